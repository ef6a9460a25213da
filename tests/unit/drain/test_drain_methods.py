"""How a drain moves an instance: live, cold, or stopped on the way; and again where it failed."""

from __future__ import annotations

from datetime import datetime

from openstack_maintenance.domain.drain.move_step import Step
from openstack_maintenance.domain.errors import MigrationFailed
from watched_moves import (
    DESTINATION,
    SILENCE,
    SOURCE,
    Watches,
    begun,
    enter,
    nova_with,
    outcomes,
    request,
)


async def test_a_failure_is_tried_once_more_and_then_told_with_its_reason(
    watch_of: Watches,
) -> None:
    nova = nova_with("i1", "i2", endings={"i1": ["failed", "error"], "i2": ["failed"]})
    ended = await outcomes(enter(watch_of(nova), nova))
    assert isinstance(ended[0], MigrationFailed)
    assert ended[0].subject == "instance i1 (i1)"
    assert ended[0].found.endswith("ended as error (2 tries): the disk is too slow")
    assert begun(nova).count("i1") == 2
    assert ended[1]["host"] == DESTINATION
    assert nova.cloud.instances["i1"].host == SOURCE


async def test_a_reason_that_cannot_be_read_does_not_hide_the_failure(watch_of: Watches) -> None:
    nova = nova_with("i1", endings={"i1": ["failed"]}, errors={"why_it_failed": [SILENCE]})
    (ended,) = await outcomes(enter(watch_of(nova), nova, retries=0))
    assert "ended as failed (1 tries): the reason could not be read" in ended.found


async def test_completed_without_a_new_host_is_no_success(watch_of: Watches) -> None:
    nova = nova_with("i1", endings={"i1": ["completed in place"] * 2})
    (ended,) = await outcomes(enter(watch_of(nova), nova))
    assert isinstance(ended, MigrationFailed)
    assert len(begun(nova)) == 1


async def test_a_stopped_instance_moves_cold_and_is_confirmed_once(watch_of: Watches) -> None:
    nova = nova_with("i1", status="SHUTOFF")
    (ended,) = await outcomes(enter(watch_of(nova), nova))
    assert (ended["host"], ended["status"]) == (DESTINATION, "SHUTOFF")
    assert nova.calls["cold_migrate"] == nova.calls["confirm"] == 1
    assert nova.calls["start_guest"] == 0


async def test_a_slow_confirm_is_not_repeated(watch_of: Watches) -> None:
    """Nova answers 400 to a second confirm while it works on the first."""
    nova = nova_with("i1", status="SHUTOFF", confirm_takes=8)
    (ended,) = await outcomes(enter(watch_of(nova), nova))
    assert ended["host"] == DESTINATION
    assert nova.calls["confirm"] == 1


async def test_what_cannot_move_live_is_stopped_moved_and_started_again(
    watch_of: Watches,
) -> None:
    nova = nova_with("i1")
    (ended,) = await outcomes(enter(watch_of(nova), nova, method="stop", may_stop=True))
    assert (ended["host"], ended["status"]) == (DESTINATION, "ACTIVE")
    done = ("stop_guest", "cold_migrate", "confirm", "start_guest")
    assert [nova.calls[each] for each in done] == [1, 1, 1, 1]


async def test_what_fails_to_move_live_may_be_stopped_and_runs_again_there(
    watch_of: Watches,
) -> None:
    nova = nova_with("i1", endings={"i1": ["failed", "failed"]})
    (ended,) = await outcomes(enter(watch_of(nova), nova, may_stop=True))
    assert (ended["host"], ended["status"]) == (DESTINATION, "ACTIVE")
    assert nova.calls["stop_guest"] == nova.calls["start_guest"] == 1


async def test_a_migration_that_hangs_is_aborted_and_tried_once_more(watch_of: Watches) -> None:
    nova = nova_with("i1", endings={"i1": ["never"] * 12})
    (ended,) = await outcomes(enter(watch_of(nova), nova, per_gib=4))
    assert ended["host"] == DESTINATION
    assert nova.calls["abort"] == 1
    assert begun(nova) == ["i1", "i1"]


async def test_a_migration_that_hangs_is_forced_where_the_policy_says_so(
    watch_of: Watches,
) -> None:
    nova = nova_with("i1", endings={"i1": ["never"] * 100})
    moves = enter(watch_of(nova), nova, per_gib=4, on_stuck=Step.FORCE_COMPLETE)
    (ended,) = await outcomes(moves)
    assert ended["host"] == DESTINATION
    assert (nova.calls["abort"], nova.calls["force_complete"]) == (0, 1)


async def test_a_guest_that_has_to_be_stopped_runs_until_its_turn_comes(watch_of: Watches) -> None:
    nova = nova_with("i1", "i2", "i3", "i4", takes=5)
    off: dict[float, set[str]] = {}

    def look(second: float) -> None:
        there = (each for each in nova.cloud.instances.values() if each.host == SOURCE)
        off[second] = {each.id for each in there if each.vm_state == "stopped"}

    nova.cloud.on_second = look
    ended = await outcomes(enter(watch_of(nova), nova, method="stop", may_stop=True))
    assert [(each["host"], each["status"]) for each in ended] == [(DESTINATION, "ACTIVE")] * 4
    assert max(map(len, off.values())) == 1, off
    assert nova.calls["stop_guest"] == nova.calls["cold_migrate"] == 4


async def test_no_guest_is_stopped_after_the_window_and_one_that_was_is_not_left_off(
    watch_of: Watches,
) -> None:
    nova = nova_with("i1", "i2")

    def closed(now: datetime) -> str | None:  # as soon as the first guest is off
        return "the window is closed" if nova.calls["stop_guest"] else None

    moves = enter(watch_of(nova), nova, method="stop", may_stop=True, may_start=closed)
    first, second = await outcomes(moves)
    assert (first["host"], first["status"]) == (DESTINATION, "ACTIVE")
    assert isinstance(second, MigrationFailed)
    assert "the window is closed" in str(second)
    assert (nova.cloud.instances["i2"].host, nova.cloud.instances["i2"].status) == (
        SOURCE,
        "ACTIVE",
    )
    assert nova.calls["stop_guest"] == nova.calls["start_guest"] == 1


async def test_guests_that_are_off_already_go_first_and_wait_for_no_other(
    watch_of: Watches,
) -> None:
    nova = nova_with("i1", "i2", "i3")
    requests = [request(nova, name, method="stop", may_stop=True) for name in nova.cloud.instances]
    for name in ("i2", "i3"):  # by a triggerer that died then
        nova.stop_guest(name)
    watch = watch_of(nova)
    ended = await outcomes([watch.enter(each) for each in requests])
    assert [each["status"] for each in ended] == ["ACTIVE"] * 3
    assert begun(nova) == ["i2", "i3", "i1"]
