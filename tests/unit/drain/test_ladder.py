"""A migration that is stuck, or whose guest is too busy, climbs a ladder before it is given up."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from in_memory_nova import InMemoryNova
from openstack_maintenance.adapters.cloud_errors import Refused
from openstack_maintenance.domain.cloud import Migration
from openstack_maintenance.domain.drain.ladder import (
    Climb,
    Rung,
    Watermark,
    lower,
    next_rung,
)
from openstack_maintenance.domain.drain.move_step import Step
from openstack_maintenance.domain.drain.slots import Limits
from watched_moves import DESTINATION, Watches, begun, enter, nova_with, outcomes, said

pytestmark = pytest.mark.thorough

NOW = datetime(2026, 3, 10, 1, 20, tzinfo=UTC)
LIMIT = timedelta(seconds=1600)


def climb(seconds: int, still: int | None = None, **given: Any) -> Climb:
    still_for = None if still is None else timedelta(seconds=still)
    return Climb(
        **{
            "status": "running",
            "ran_for": timedelta(seconds=seconds),
            "limit": LIMIT,
            "still_for": still_for,
            **given,
        }
    )


@pytest.mark.parametrize(
    ("seen", "rung"),
    [
        (climb(10), Rung.WAIT),
        (climb(800, still=800), Rung.WAIT),  # half of its limit, not more
        (climb(801), Rung.WAIT),  # Nova does not say what is left
        (climb(801, still=59), Rung.WAIT),  # it comes nearer
        (climb(801, still=60), Rung.FEWER),
        (climb(1600, still=700, may_force=True), Rung.FEWER),
        (climb(1601), Rung.ABORT),
        (climb(1601, still=1), Rung.ABORT),  # Nova's own limit is the limit
        (climb(1601, may_force=True), Rung.FORCE_COMPLETE),
        (climb(1601, may_force=True, is_forced=True), Rung.ABORT),
        (climb(10, may_force=True, is_forced=True), Rung.WAIT),  # forced just now
        (climb(9999, may_force=True, status="post-migrating"), Rung.WAIT),
        (climb(9999, status="post-migrating"), Rung.WAIT),
    ],
)
def test_each_rung_has_its_time(seen: Climb, rung: Rung) -> None:
    assert next_rung(seen) is rung


def test_a_guest_that_dirties_its_ram_again_comes_no_nearer_to_the_end() -> None:
    mark = lower(None, 100, NOW)
    for seconds, left in ((10, 80), (20, 95), (30, 80), (40, 90)):
        mark = lower(mark, left, NOW + timedelta(seconds=seconds))
    assert mark == Watermark(80, NOW + timedelta(seconds=10))


def stuck(*names: str) -> InMemoryNova:
    nova = nova_with(*names, endings={"i1": ["never"] * 10_000})
    nova.cloud.left = lambda _: 512
    return nova


def steps_of(ended: dict[str, Any]) -> list[str]:
    return [each["step"] for each in ended["steps"]]


async def test_beside_one_that_stands_still_nothing_else_starts(watch_of: Watches) -> None:
    """A place beside it becomes free at second 145, but it stands still from second 140 on."""
    nova = stuck("i1", "i2", "i3")
    for name in ("i1", "i2", "i3"):
        nova.cloud.change(name, ram_mib=2048)
    nova.cloud.takes = 145
    begun_at: dict[str, float] = {}

    def note(second: float) -> None:
        for row in nova.cloud.migrations.values():
            begun_at.setdefault(row.instance_id, second)

    nova.cloud.on_second = note
    moves = enter(watch_of(nova), nova, per_gib=80, limits=Limits(2, 4), retries=0)
    stays, *others = await outcomes(moves)
    assert "cancelled" in str(stays)
    assert [each["host"] for each in others] == [DESTINATION] * 2
    # It is aborted after its 160 s.
    assert begun_at["i2"] < 10
    assert begun_at["i3"] > 160
    assert [each.split(",")[0] for each in said(moves[0]) if "nothing else" in each] == [
        "migration running"
    ]


async def test_what_is_left_is_asked_of_late_migrations_alone(watch_of: Watches) -> None:
    nova = nova_with("i1", "i2", "i3", takes=30)
    await outcomes(enter(watch_of(nova), nova, per_gib=40))  # 80 s: half is 40 s
    assert nova.calls["left_to_copy"] == 0


async def test_one_that_is_late_is_asked_every_ten_seconds(watch_of: Watches) -> None:
    nova = stuck("i1")
    await outcomes(enter(watch_of(nova), nova, per_gib=40, retries=0))
    assert 1 <= nova.calls["left_to_copy"] <= 5


async def test_what_may_not_be_asked_is_not_asked_twice(watch_of: Watches) -> None:
    nova = stuck("i1")
    nova.errors["left_to_copy"] = Refused("instance i1", "Policy doesn't allow it", "Allow it.")
    (move,) = enter(watch_of(nova), nova, per_gib=40, retries=0)
    await outcomes([move])
    assert nova.calls["left_to_copy"] == 1
    assert any("cannot be read" in line for line in said(move))


async def test_each_step_of_the_ladder_is_in_the_record(watch_of: Watches) -> None:
    nova = stuck("i1")

    def give_up(migration: Migration) -> None:
        nova.calls["forced"] += 1

    nova.force_complete = give_up  # type: ignore[method-assign]  # taken, and without effect
    nova.cloud.on_second = lambda _: (
        nova.cloud.endings.pop("i1", None) if nova.calls["abort"] else None
    )
    moves = enter(watch_of(nova), nova, per_gib=80, on_stuck=Step.FORCE_COMPLETE)
    (ended,) = await outcomes(moves)
    assert ended["host"] == DESTINATION
    assert steps_of(ended) == [
        "start_live",
        "fewer",
        "force_complete",
        "fewer",
        "abort",
        "start_live",
    ]
    assert nova.calls["forced"] == 1
    assert "longer than 160 s" in ended["steps"][2]["why"]
    assert "also after Nova was asked" in ended["steps"][4]["why"]
    times = [datetime.fromisoformat(each["at"]) for each in ended["steps"]]
    assert times == sorted(times)
    assert all(each.tzinfo for each in times)


async def test_a_force_that_nova_refuses_is_followed_by_an_abort(watch_of: Watches) -> None:
    nova = stuck("i1")
    refused = Refused("instance i1", "Nova refused: it is PAUSED", "Look.")
    nova.errors["force_complete"] = refused
    nova.cloud.on_second = lambda _: (
        nova.cloud.endings.pop("i1", None) if nova.calls["abort"] else None
    )
    moves = enter(watch_of(nova), nova, per_gib=4, on_stuck=Step.FORCE_COMPLETE)
    (ended,) = await outcomes(moves)
    assert ended["host"] == DESTINATION
    assert (nova.calls["force_complete"], nova.calls["abort"]) == (1, 1)
    assert steps_of(ended) == ["start_live", "force_complete", "refused", "abort", "start_live"]
    assert begun(nova) == ["i1", "i1"]


def test_a_policy_without_force_never_forces() -> None:
    late = replace(climb(1601), is_forced=False)
    assert next_rung(late) is Rung.ABORT
