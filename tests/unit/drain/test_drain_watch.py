"""The drain watch: whose turn it is, and what it asks of Nova, which lives in memory."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from openstack_maintenance.domain.drain.slots import Limits
from openstack_maintenance.domain.errors import MigrationFailed
from openstack_maintenance.domain.mark import Mark
from openstack_maintenance.triggers.drain import source_health
from openstack_maintenance.triggers.drain import watch as drain_watch
from watched_moves import (
    DESTINATION,
    SOURCE,
    Watches,
    begun,
    end,
    enter,
    idle_seconds,
    most_at_once,
    most_in_queue,
    nova_with,
    outcomes,
    request,
    said,
    somebody_moves,
    until,
)


@pytest.mark.parametrize(
    ("limits", "off_host", "in_cloud"),
    [
        (Limits(per_host=1, total=4), 1, 1),
        (Limits(per_host=2, total=4), 2, 2),
        (Limits(per_host=8, total=3), 3, 3),
        (Limits(per_host=4, total=4), 4, 4),
    ],
)
async def test_never_more_in_flight_than_allowed_and_everything_moves(
    watch_of: Watches, limits: Limits, off_host: int, in_cloud: int
) -> None:
    nova = nova_with(*(f"i{number}" for number in range(9)))
    ended = await outcomes(enter(watch_of(nova), nova, limits=limits))
    assert [each["host"] for each in ended] == [DESTINATION] * 9
    assert most_at_once(nova, SOURCE) == off_host
    assert most_at_once(nova) == in_cloud
    assert len(begun(nova)) == 9


async def test_other_peoples_migrations_count(watch_of: Watches) -> None:
    nova = nova_with("i1", "i2", takes=5)
    somebody_moves(nova, "foreign")
    await outcomes(enter(watch_of(nova), nova, "i1", "i2", limits=Limits(per_host=2, total=1)))
    assert most_at_once(nova) == 1


async def test_a_slot_that_becomes_free_is_refilled_at_once(watch_of: Watches) -> None:
    nova = nova_with(*(f"i{number}" for number in range(6)), takes=4)
    await outcomes(enter(watch_of(nova), nova))
    # Each start is seen to run at the next look: no second passes beyond that one.
    assert nova.cloud.seconds <= 6 * (4 + 1) + 2
    assert idle_seconds(nova) <= 6 + 1


async def test_where_novas_limit_is_ours_one_more_waits_in_its_queue(watch_of: Watches) -> None:
    nova = nova_with(*(f"i{number}" for number in range(6)), takes=4, nova_limit=1)
    ended = await outcomes(
        enter(watch_of(nova), nova, limits=Limits(per_host=1, total=4, nova_limit=1))
    )
    assert [each["host"] for each in ended] == [DESTINATION] * 6
    assert most_at_once(nova, SOURCE) == 1
    assert most_in_queue(nova) == 1
    # Nova refills without us: nothing stands still between the first start and the last end.
    assert nova.cloud.seconds <= 6 * 4 + 3


async def test_the_largest_moves_first(watch_of: Watches) -> None:
    nova = nova_with("large", "middle", "small")
    await outcomes(enter(watch_of(nova), nova, "small", "large", "middle"))
    assert begun(nova) == ["large", "middle", "small"]


async def test_requests_grow_with_time_and_not_with_instances(watch_of: Watches) -> None:
    lists = {}
    for count in (2, 40):
        nova = nova_with(*(f"i{number:02}" for number in range(count)), takes=30)
        await outcomes(enter(watch_of(nova), nova, limits=Limits(per_host=100, total=100)))
        lists[count] = nova.calls["migrations"]
        # One request to start each, one to see where it is; the host is listed once for all.
        assert nova.calls["live_migrate"] == count
        assert nova.calls["find_instance"] <= count
        assert nova.calls["instances_on"] == 1
        assert nova.calls["read_clock"] == 1
    assert abs(lists[40] - lists[2]) <= 1


async def test_a_restarted_watch_goes_on_where_the_last_one_was(watch_of: Watches) -> None:
    nova = nova_with("i1", "i2", "i3")
    names = list(nova.cloud.instances)
    for second in range(1, 12):
        watch = watch_of(nova)
        waiting = [name for name in names if nova.cloud.instances[name].host == SOURCE]
        enter(watch, nova, *waiting)
        while nova.cloud.seconds < second:  # noqa: ASYNC110  # the fake's clock has no event
            await asyncio.sleep(0.001)
        await end(watch)
    ended = await outcomes(enter(watch_of(nova), nova))
    assert [each["host"] for each in ended] == [DESTINATION] * 3
    assert begun(nova) == names
    assert most_at_once(nova, SOURCE) == 1


async def test_a_move_that_was_done_before_the_restart_is_done(watch_of: Watches) -> None:
    nova = nova_with("i1")
    moved = request(nova, "i1")
    (first,) = await outcomes([watch_of(nova).enter(moved)])
    (again,) = await outcomes([watch_of(nova).enter(moved)])
    found = {"outcome": "moved to c02 by a migration that was under way already", "steps": []}
    assert again == first | found
    assert begun(nova) == ["i1"]
    assert again["migration"] == "u1"


async def test_what_comes_while_the_watch_is_at_work_is_taken_too(watch_of: Watches) -> None:
    nova = nova_with("i1", "i2")
    watch = watch_of(nova)
    first = enter(watch, nova, "i1")
    await asyncio.sleep(0.01)
    assert len(await outcomes([*first, *enter(watch, nova, "i2")])) == 2
    assert sorted(begun(nova)) == ["i1", "i2"]


async def test_an_idle_watch_asks_nothing_and_starts_again_when_needed(watch_of: Watches) -> None:
    nova = nova_with("i1", "i2")
    watch = watch_of(nova)
    for name in ("i1", "i2"):
        (move,) = enter(watch, nova, name)
        await outcomes([move])
        watch.leave(move)
        await asyncio.sleep(0.02)
        asked = nova.calls.total()
        await asyncio.sleep(0.02)
        assert nova.calls.total() == asked
    assert begun(nova) == ["i1", "i2"]


@pytest.mark.parametrize("second", [1, 2, 3, 5])
async def test_an_instance_that_is_deleted_meanwhile_is_fine(
    watch_of: Watches, second: int
) -> None:
    nova = nova_with("i1", "i2", "i3")

    def delete(now: float) -> None:
        if now == second:
            nova.cloud.delete("i2")

    nova.cloud.on_second = delete
    ended = await outcomes(enter(watch_of(nova), nova))
    assert [each["host"] for each in ended] == [DESTINATION, None, DESTINATION]
    assert "deleted" in ended[1]["outcome"]
    assert ended[1]["status"] == "DELETED"


async def test_an_instance_that_someone_else_moved_is_fine(watch_of: Watches) -> None:
    nova = nova_with("i1", "i2")

    def take(now: float) -> None:
        if now == 2:
            somebody_moves(nova, "i2", "c03")

    nova.cloud.on_second = take
    ended = await outcomes(enter(watch_of(nova), nova))
    assert [each["host"] for each in ended] == [DESTINATION, "c03"]
    assert begun(nova) == ["i1", "i2"]
    assert nova.calls["live_migrate"] == 1


async def test_when_the_window_closes_nothing_more_is_started(watch_of: Watches) -> None:
    nova = nova_with("i1", "i2", "i3")

    def closed(now: datetime) -> str | None:
        return "the maintenance window closed" if nova.cloud.seconds >= 3 else None

    ended = await outcomes(enter(watch_of(nova), nova, may_start=closed))
    assert ended[0]["host"] == DESTINATION  # what moves when it closes, arrives
    assert [str(each.found) for each in ended[1:]] == ["the maintenance window closed"] * 2
    assert "when the window is open" in ended[1].remedy
    assert begun(nova) == ["i1"]


async def test_a_turn_that_never_comes_ends_the_move(watch_of: Watches) -> None:
    nova = nova_with("i1", endings={"foreign": ["never"] * 10_000})
    somebody_moves(nova, "foreign")
    given = {"limits": Limits(per_host=1, total=1), "turn_patience": timedelta(seconds=0.05)}
    (ended,) = await outcomes(enter(watch_of(nova), nova, "i1", **given))
    assert isinstance(ended, MigrationFailed)
    assert "turn_patience: waits for its turn: 1 of 1 migrations of the cloud" in ended.found
    assert begun(nova) == ["foreign"]


@pytest.mark.parametrize("call", ["instances_on", "migrations"])
async def test_a_move_that_was_killed_is_not_started_any_more(watch_of: Watches, call: str) -> None:
    nova = nova_with("i1")
    watch = watch_of(nova)
    (move,) = enter(watch, nova)

    def killed_meanwhile(asked: str, *_: Any) -> None:
        if asked == call:
            watch.leave(move)

    nova.before = killed_meanwhile
    await asyncio.sleep(0.1)
    assert begun(nova) == []


async def test_each_thing_is_said_once(watch_of: Watches) -> None:
    nova = nova_with("i1", "i2", takes=20)
    moves = enter(watch_of(nova), nova)
    await outcomes(moves)
    lines = said(moves[1])
    assert lines[0] == "waits for its turn: 1 of 1 migrations off c01 in flight"
    assert "asks Nova for a live migration: first try" in lines
    assert len(lines) == len(set(lines))


async def test_once_the_host_is_somebody_elses_what_runs_goes_on_and_nothing_more_is_started(
    watch_of: Watches, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_health, "_EVERY", timedelta(0))
    owner = Mark("compute_host_maintenance", "r1")
    nova = nova_with("a", "b", reason=str(owner))

    def enable(now: float) -> None:
        if now >= 3:
            nova.cloud.change_service(SOURCE, is_enabled=True, disabled_reason=None)

    nova.cloud.on_second = enable
    moves = enter(watch_of(nova), nova, "a", "b", owner=owner)
    first, second = await outcomes(moves)

    assert first["host"] == "c02"
    assert str(second) == (
        "host c01: it is enabled, not disabled by this run. "
        "Somebody else decides about it now: talk to them, then trigger a new run."
    )
    assert begun(nova) == ["a"]


@pytest.mark.parametrize(
    ("limits", "asks"),
    [
        (
            Limits(per_host=1, total=4),
            False,
        ),  # its slot is taken: it waits for its turn in any case
        (Limits(per_host=4, total=1), False),  # the cloud's are
        (Limits(per_host=2, total=4), True),
        (Limits(per_host=1, total=4, nova_limit=1), True),  # it may wait in Nova's own queue
    ],
)
async def test_who_comes_is_looked_at_before_the_next_beat_only_where_it_may_start(
    watch_of: Watches, monkeypatch: pytest.MonkeyPatch, limits: Limits, asks: bool
) -> None:
    monkeypatch.setattr(drain_watch, "next_beat", lambda *_: 60.0)
    nova = nova_with("first", "second", takes=1000)
    watch = watch_of(nova)
    enter(watch, nova, "first", limits=limits)
    await until(lambda: begun(nova) == ["first"])
    lists = nova.calls["migrations"]

    enter(watch, nova, "second", limits=limits)
    await asyncio.sleep(0.1)

    assert (nova.calls["migrations"] > lists) is asks
    assert begun(nova) == (["first", "second"] if asks else ["first"])


async def test_nothing_is_asked_about_who_waits_for_its_turn(watch_of: Watches) -> None:
    nova = nova_with("i1", "i2", "i3", takes=20)
    watch = watch_of(nova)
    enter(watch, nova, "i1")
    await until(lambda: begun(nova) == ["i1"])
    asked = {call: nova.calls[call] for call in ("instances_on", "anti_affinity_groups")}
    assert asked == {"instances_on": 1, "anti_affinity_groups": 1}

    (_, waits) = enter(watch, nova, "i2", "i3")
    await until(lambda: nova.cloud.seconds > 15)

    assert begun(nova) == ["i1"]
    assert {call: nova.calls[call] for call in asked} == asked
    assert said(waits) == ["waits for its turn: 1 of 1 migrations off c01 in flight"]
