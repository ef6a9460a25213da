"""The next step of one instance's move, from every state in which Nova may show it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from builders import instance, migration
from openstack_maintenance.domain.cloud import SHUTDOWN, Instance, Migration
from openstack_maintenance.domain.drain.move_step import (
    Decision,
    Memory,
    Order,
    Step,
    next_step,
    timeout,
)

NOW = datetime(2026, 3, 10, 1, 20, tzinfo=UTC)
SINCE = NOW - timedelta(minutes=10)
BEFORE = SINCE - timedelta(days=2)

LIVE = Order(
    instance_id="11111111-1111-4111-8111-111111111111",
    name="web-1",
    source="c01",
    method="live",
    was_running=True,
    ram_mib=4096,
    since=SINCE,
    retries=1,
    timeout_per_gib=timedelta(seconds=100),
    on_stuck=Step.ABORT,
    may_stop=False,
)
COLD = replace(LIVE, method="cold", was_running=False)
STOP = replace(LIVE, method="stop", may_stop=True)
LIVE_OR_STOP = replace(LIVE, may_stop=True)

ACTIVE = instance(LIVE.instance_id, name="web-1", ram_mib=4096, disk_gib=10)
STOPPED = replace(ACTIVE, status="SHUTOFF", vm_state="stopped", power_state=SHUTDOWN)
PAUSED = replace(ACTIVE, status="PAUSED", vm_state="paused")
ARRIVED_COLD = replace(STOPPED, status="VERIFY_RESIZE", vm_state="resized", host="c02")
ERROR = replace(ACTIVE, status="ERROR", vm_state="error")


def at(instance: Instance, host: str | None) -> Instance:
    return replace(instance, host=host)


def rows(*statuses: str, kind: str = "live-migration", **more: Any) -> list[Migration]:
    given = {"created_at": SINCE + timedelta(minutes=1), **more}
    return [
        migration(
            id=number,
            uuid=f"uuid-{number}",
            instance_id=LIVE.instance_id,
            kind=kind,
            status=status,
            updated_at=NOW,
            **given,
        )
        for number, status in enumerate(statuses, start=1)
    ]


def cold(*statuses: str, **more: Any) -> list[Migration]:
    return rows(*statuses, kind="migration", **more)


def joined(*groups: list[Migration]) -> list[Migration]:
    everything = [each for group in groups for each in group]
    return [replace(each, id=number) for number, each in enumerate(everything, start=1)]


def step(
    order: Order,
    instance: Instance | None,
    migrations: list[Migration] | None = None,
    memory: Memory | None = None,
    now: datetime = NOW,
) -> Decision:
    return next_step(order, instance, migrations or [], memory or Memory(), now)


OLD_MOVE = rows("completed", created_at=BEFORE)

TABLE: list[tuple[Any, ...]] = [
    ("nothing has begun", LIVE, ACTIVE, [], Step.START_LIVE),
    ("a paused guest", LIVE, PAUSED, [], Step.START_LIVE),
    ("a SHUTOFF one", COLD, STOPPED, [], Step.START_COLD),
    ("a running one that cannot move live", STOP, ACTIVE, [], Step.STOP),
    ("a running one in ERROR that is to be stopped", STOP, ERROR, [], Step.STOP),
    ("it was moved off this host long ago and came back", LIVE, ACTIVE, OLD_MOVE, Step.START_LIVE),
    ("it came here by migration", LIVE, ACTIVE, rows("completed", source="c03"), Step.START_LIVE),
    ("its owner started it meanwhile", COLD, ACTIVE, [], Step.START_LIVE),
    ("its owner stopped it meanwhile", LIVE, STOPPED, [], Step.START_COLD),
    ("a snapshot is under way", LIVE, replace(ACTIVE, task_state="image_uploading"), [], Step.WAIT),
    (
        "it is still being built",
        LIVE,
        replace(ACTIVE, vm_state="building", task_state="spawning"),
        [],
        Step.WAIT,
    ),
    ("it is being stopped", STOP, replace(ACTIVE, task_state="powering-off"), [], Step.WAIT),
    ("it is stopped now", STOP, STOPPED, [], Step.START_COLD),
    ("asked, no record yet", LIVE, replace(ACTIVE, task_state="migrating"), [], Step.WAIT),
    ("accepted", LIVE, ACTIVE, rows("accepted"), Step.WAIT),
    ("queued", LIVE, ACTIVE, rows("queued"), Step.WAIT),
    ("preparing", LIVE, ACTIVE, rows("preparing"), Step.WAIT),
    ("running", LIVE, ACTIVE, rows("running"), Step.WAIT),
    ("post-migrating", LIVE, ACTIVE, rows("post-migrating"), Step.WAIT),
    ("cold, on its way", COLD, STOPPED, cold("migrating"), Step.WAIT),
    ("cold, about to arrive", COLD, STOPPED, cold("post-migrating"), Step.WAIT),
    ("completed, and really elsewhere", LIVE, at(ACTIVE, "c02"), rows("completed"), Step.DONE),
    (
        "completed, Nova still tidies up",
        LIVE,
        at(replace(ACTIVE, task_state="migrating"), "c02"),
        rows("completed"),
        Step.WAIT,
    ),
    ("completed, but its host is the same", LIVE, ACTIVE, rows("completed"), Step.WAIT),
    ("failed once", LIVE, ACTIVE, rows("failed"), Step.START_LIVE),
    (
        "failed, Nova still rolls back",
        LIVE,
        replace(ACTIVE, task_state="migrating"),
        rows("failed"),
        Step.WAIT,
    ),
    ("failed twice", LIVE, ACTIVE, rows("failed", "failed"), Step.FAIL),
    ("refused by the pre-check, twice", LIVE, ACTIVE, rows("error", "error"), Step.FAIL),
    ("somebody cancelled it", LIVE, ACTIVE, rows("cancelled"), Step.START_LIVE),
    ("somebody cancelled it twice", LIVE, ACTIVE, rows("cancelled", "cancelled"), Step.FAIL),
    (
        "failed before this drain began",
        LIVE,
        ACTIVE,
        rows("failed", "failed", created_at=BEFORE),
        Step.START_LIVE,
    ),
    ("failed, then worked", LIVE, at(ACTIVE, "c02"), rows("failed", "completed"), Step.DONE),
    ("no retries are allowed", replace(LIVE, retries=0), ACTIVE, rows("failed"), Step.FAIL),
    ("cold, finished", COLD, ARRIVED_COLD, cold("finished"), Step.CONFIRM),
    ("cold, Nova confirms", COLD, ARRIVED_COLD, cold("confirming"), Step.WAIT),
    ("cold, confirmed, its status lags", COLD, ARRIVED_COLD, cold("confirmed"), Step.WAIT),
    ("cold, confirmed", COLD, at(STOPPED, "c02"), cold("confirmed"), Step.DONE),
    ("cold, failed once", COLD, STOPPED, cold("error"), Step.START_COLD),
    ("cold, failed twice", COLD, STOPPED, cold("error", "error"), Step.FAIL),
    ("cold, arrived where it was", COLD, at(ARRIVED_COLD, "c01"), cold("finished"), Step.FAIL),
    ("stopped for the move, arrived", STOP, ARRIVED_COLD, cold("finished"), Step.CONFIRM),
    (
        "stopped for the move, confirmed",
        STOP,
        at(STOPPED, "c02"),
        cold("confirmed"),
        Step.START_GUEST,
    ),
    (
        "starting again",
        STOP,
        at(replace(STOPPED, task_state="powering-on"), "c02"),
        cold("confirmed"),
        Step.WAIT,
    ),
    ("started again", STOP, at(ACTIVE, "c02"), cold("confirmed"), Step.DONE),
    (
        "stop, in ERROR but its guest was off",
        replace(STOP, was_running=False),
        at(STOPPED, "c02"),
        cold("confirmed"),
        Step.DONE,
    ),
    (
        "stopped, cannot move cold: runs again here",
        STOP,
        STOPPED,
        cold("error", "error"),
        Step.START_GUEST,
    ),
    ("stopped, could not move cold, runs again", STOP, ACTIVE, cold("error", "error"), Step.FAIL),
    (
        "live failed for good, may be stopped",
        LIVE_OR_STOP,
        ACTIVE,
        rows("failed", "failed"),
        Step.STOP,
    ),
    ("a paused one is never stopped", LIVE_OR_STOP, PAUSED, rows("failed", "failed"), Step.FAIL),
    (
        "live failed for good, stopped",
        LIVE_OR_STOP,
        STOPPED,
        rows("failed", "failed"),
        Step.START_COLD,
    ),
    (
        "live failed for good, arrived cold: runs again there",
        LIVE_OR_STOP,
        at(STOPPED, "c02"),
        joined(rows("failed", "failed"), cold("confirmed")),
        Step.START_GUEST,
    ),
    (
        "neither live nor cold: runs again here",
        LIVE_OR_STOP,
        STOPPED,
        joined(rows("failed", "failed"), cold("error", "error")),
        Step.START_GUEST,
    ),
    (
        "neither live nor cold: is not stopped a second time",
        LIVE_OR_STOP,
        ACTIVE,
        joined(rows("failed", "failed"), cold("error", "error")),
        Step.FAIL,
    ),
    (
        "arrived live, then its owner stopped it",
        LIVE_OR_STOP,
        at(STOPPED, "c02"),
        rows("completed"),
        Step.DONE,
    ),
    (
        "its owner stopped it, cold failed for good",
        LIVE,
        STOPPED,
        cold("error", "error"),
        Step.FAIL,
    ),
    ("deleted before anything began", LIVE, None, [], Step.DONE),
    ("deleted while it moved", LIVE, None, rows("failed"), Step.DONE),
    ("deleted, its migration still runs", LIVE, None, rows("running"), Step.WAIT),
    ("moved by someone else", LIVE, at(ACTIVE, "c03"), [], Step.DONE),
    ("arrived, but in ERROR", LIVE, at(ERROR, "c02"), rows("completed"), Step.FAIL),
    ("in ERROR where someone else moved it", LIVE, at(ERROR, "c03"), [], Step.DONE),
    (
        "shelved away meanwhile",
        LIVE,
        at(replace(STOPPED, status="SHELVED_OFFLOADED", vm_state="shelved_offloaded"), None),
        [],
        Step.DONE,
    ),
    ("SHUTOFF on no host is not shelved", LIVE, at(STOPPED, None), [], Step.WAIT),
    (
        "soft-deleted meanwhile",
        LIVE,
        replace(STOPPED, status="SOFT_DELETED", vm_state="soft-delete"),
        [],
        Step.DONE,
    ),
    ("its owner resizes it", LIVE, replace(ACTIVE, task_state="resize_prep"), [], Step.WAIT),
    (
        "its owner resized it here",
        LIVE,
        at(ARRIVED_COLD, "c01"),
        rows("finished", kind="resize"),
        Step.FAIL,
    ),
    ("its owner resized it away", LIVE, ARRIVED_COLD, rows("finished", kind="resize"), Step.DONE),
    ("a resize of unknown origin", LIVE, ARRIVED_COLD, [], Step.DONE),
    ("it went to ERROR", LIVE, ERROR, rows("error"), Step.FAIL),
    (
        "it was suspended meanwhile",
        LIVE,
        replace(ACTIVE, status="SUSPENDED", vm_state="suspended"),
        [],
        Step.FAIL,
    ),
]


@pytest.mark.parametrize(
    ("order", "instance", "migrations", "expected"),
    [pytest.param(*row[1:], id=row[0]) for row in TABLE],
)
def test_every_state_has_its_next_step(
    order: Order, instance: Instance | None, migrations: list[Migration], expected: Step
) -> None:
    decision = step(order, instance, migrations)
    assert decision.step is expected
    assert decision.why
    assert bool(decision.remedy) is (expected is Step.FAIL)


@pytest.mark.parametrize(
    ("order", "instance", "migrations", "expected"),
    [
        pytest.param(*row[1:], id=row[0])
        for row in TABLE
        if row[3] and row[4] is not Step.START_LIVE
    ],
)
def test_what_a_process_remembers_changes_nothing_but_starts_and_time_outs(
    order: Order, instance: Instance | None, migrations: list[Migration], expected: Step
) -> None:
    """A restarted process knows nothing: it must come to the same step."""
    last = migrations[-1].id if migrations else 0
    remembered = Memory(
        posted_at=NOW - timedelta(seconds=20), posted_after=last - 1, running_since=NOW
    )
    assert step(order, instance, migrations, remembered).step is expected


def test_a_start_that_nova_has_not_recorded_yet_is_not_repeated() -> None:
    posted = Memory(posted_at=NOW - timedelta(seconds=5))
    assert step(LIVE, ACTIVE, [], posted).step is Step.WAIT
    again = Memory(posted_at=NOW - timedelta(seconds=5), posted_after=1)
    assert step(LIVE, ACTIVE, rows("failed"), again).step is Step.WAIT
    assert step(COLD, STOPPED, [], posted).step is Step.WAIT


def test_a_start_that_nova_never_records_fails_instead_of_being_repeated() -> None:
    decision = step(LIVE, ACTIVE, [], Memory(posted_at=NOW - timedelta(seconds=61)))
    assert decision.step is Step.FAIL
    assert "shows no migration" in decision.why
    assert "nova-conductor" in decision.remedy


def test_a_new_failure_after_the_start_counts() -> None:
    posted = Memory(posted_at=NOW - timedelta(seconds=5), posted_after=1)
    assert step(LIVE, ACTIVE, rows("failed", "failed"), posted).step is Step.FAIL


@pytest.mark.parametrize(
    ("ram_mib", "seconds"), [(0, 200), (512, 200), (2048, 200), (4096, 400), (65536, 6400)]
)
def test_the_time_out_grows_with_ram_from_two_gib_on(ram_mib: int, seconds: int) -> None:
    assert timeout(replace(LIVE, ram_mib=ram_mib)) == timedelta(seconds=seconds)


@pytest.mark.parametrize("on_stuck", [Step.ABORT, Step.FORCE_COMPLETE])
def test_a_stuck_migration_is_ended_as_the_policy_says(on_stuck: Step) -> None:
    order = replace(LIVE, on_stuck=on_stuck)
    limit = timedelta(seconds=400)
    just = Memory(running_since=NOW - limit)
    late = Memory(running_since=NOW - limit - timedelta(seconds=1))
    assert step(order, ACTIVE, rows("running"), just).step is Step.WAIT
    decision = step(order, ACTIVE, rows("running"), late)
    assert decision.step is on_stuck
    assert decision.migration is not None
    assert decision.migration.id == 1
    assert "400 s" in decision.why


def test_an_aborted_stuck_migration_is_tried_once_more_then_given_up() -> None:
    assert step(LIVE, ACTIVE, rows("cancelled")).step is Step.START_LIVE
    assert step(LIVE, ACTIVE, rows("cancelled", "cancelled")).step is Step.FAIL


def test_a_cold_migration_is_never_aborted() -> None:
    """Nova aborts live migrations only."""
    late = Memory(running_since=NOW - timedelta(days=1))
    assert step(COLD, STOPPED, cold("migrating"), late).step is Step.WAIT


def test_giving_up_names_the_destination_the_status_and_the_tries() -> None:
    decision = step(LIVE, ACTIVE, rows("failed", "error"))
    assert decision.why == "its migration to c02 ended as error (2 tries)"
    assert decision.migration is not None
    assert decision.migration.id == 2
    assert "clear this task" in decision.remedy


def test_a_move_by_someone_else_is_said_to_be_one() -> None:
    assert "by someone else" in step(LIVE, at(ACTIVE, "c03"), []).why
    assert "someone else" not in step(LIVE, at(ACTIVE, "c02"), rows("completed")).why


@pytest.mark.parametrize("order", [LIVE, COLD, STOP, LIVE_OR_STOP])
@pytest.mark.parametrize("tries", [("failed",), ("failed", "error"), ("error",) * 3])
def test_a_move_that_can_never_work_ends(order: Order, tries: tuple[str, ...]) -> None:
    """Simulates a cloud in which every migration fails: a tenant is not toggled for ever."""
    instance = STOPPED if order.method == "cold" else ACTIVE
    migrations: list[Migration] = []
    stops = 0
    for _ in range(20):
        decision = step(order, instance, migrations)
        if decision.step is Step.FAIL:
            break
        kind = {Step.START_LIVE: "live-migration", Step.START_COLD: "migration"}
        if decision.step in kind:
            failed = tries[len(migrations) % len(tries)]
            migrations = joined(migrations, rows(failed, kind=kind[decision.step]))
        elif decision.step is Step.STOP:
            instance, stops = STOPPED, stops + 1
        elif decision.step is Step.START_GUEST:
            instance = ACTIVE
    assert decision.step is Step.FAIL
    assert stops <= 1
    # Whoever ran before runs again.
    assert instance.vm_state == ("active" if order.was_running else "stopped")


def test_an_instance_that_arrives_in_error_is_not_called_moved() -> None:
    broken = replace(ACTIVE, host="c02", status="ERROR", vm_state="error", fault="no disk")
    decision = step(LIVE, broken, rows("completed"))
    assert decision.step is Step.FAIL
    assert "arrived on c02 but is in ERROR (no disk)" in decision.why
