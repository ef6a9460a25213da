"""Moves whose control plane fails on the way: answers that say nothing, migrations that nobody
works on, clocks that differ, and two runs that want one instance."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import builders
from drain_nova import (
    DESTINATION,
    OWNER,
    SILENCE,
    SOURCE,
    DebtsInMemory,
    drain_nova,
    request,
)
from openstack_maintenance.domain.cloud import Instance, Migration
from openstack_maintenance.domain.drain.capacity import Need, need_of
from openstack_maintenance.domain.drain.move_step import (
    Decision,
    Memory,
    Order,
    Step,
    next_step,
    timeout,
)
from openstack_maintenance.domain.drain.slots import Limits
from openstack_maintenance.domain.errors import CloudError, MigrationFailed
from openstack_maintenance.triggers.drain import source_health, tries
from openstack_maintenance.triggers.drain.ledger import MigrationLedger
from openstack_maintenance.triggers.drain.move import Move
from watched_moves import Watches, until

pytestmark = pytest.mark.thorough

SLOW = CloudError("compute API", "the cloud lab answered 429: slow down", "Wait.")
NOW = datetime(2026, 3, 10, 1, 20, tzinfo=UTC)


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tries, "_PAUSES", [timedelta(0)] * 3)


async def ended(*moves: Move) -> list[Any]:
    return await asyncio.wait_for(
        asyncio.gather(*(each.done for each in moves), return_exceptions=True), 20
    )


# An answer that is an error says nothing about what was asked.


@pytest.mark.parametrize("error", [SILENCE, SLOW, KeyError("x")], ids=["503", "429", "a defect"])
@pytest.mark.parametrize("status", ["ACTIVE", "SHUTOFF"])
@pytest.mark.parametrize("was_taken", [True, False])
async def test_a_migration_whose_request_was_answered_with_an_error_begins_once(
    watch_of: Watches, error: Exception, status: str, was_taken: bool
) -> None:
    nova = drain_nova()
    nova.cloud.add("i1", status=status)
    call = "live_migrate" if status == "ACTIVE" else "cold_migrate"
    nova.errors = {call: [error]}
    nova.done_all_the_same = was_taken
    (outcome,) = await ended(watch_of(nova).enter(request(nova)))
    assert outcome["host"] == DESTINATION
    assert nova.calls[call] == (1 if was_taken else 2)
    assert len(nova.cloud.migrations) == 1


async def test_it_is_not_asked_again_while_nova_works_on_it_unseen(watch_of: Watches) -> None:
    """The task_state is set, but the migration is not listed for a while."""
    nova = drain_nova()
    nova.cloud.add("i1")
    nova.errors = {"live_migrate": [SILENCE]}
    hidden = {"until": 30}
    nova.cloud.on_second = lambda second: nova.cloud.change(
        "i1", task_state="migrating" if second < hidden["until"] else None
    )
    move = watch_of(nova).enter(request(nova))
    await until(lambda: nova.cloud.seconds >= 25)
    assert nova.calls["live_migrate"] <= 1
    (outcome,) = await ended(move)
    assert outcome["host"] == DESTINATION


async def test_what_never_gets_an_answer_ends_within_the_patience(watch_of: Watches) -> None:
    nova = drain_nova()
    nova.cloud.add("i1")
    nova.errors = {"live_migrate": [SILENCE] * 99_999}
    asked = request(nova, api_patience=timedelta(seconds=0.2))
    (error,) = await ended(watch_of(nova).enter(asked))
    assert "answered 503" in str(error)


@pytest.mark.parametrize("call", ["confirm", "stop_guest", "start_guest"])
@pytest.mark.parametrize("was_taken", [True, False])
async def test_other_steps_are_looked_at_and_asked_again(
    watch_of: Watches, call: str, was_taken: bool
) -> None:
    nova, debts = drain_nova(), DebtsInMemory()
    nova.cloud.add("i1")
    nova.errors = {call: [SILENCE]}
    nova.done_all_the_same = was_taken
    (outcome,) = await ended(watch_of(nova).enter(request(nova, method="stop", debts=debts)))
    assert (outcome["host"], outcome["status"]) == (DESTINATION, "ACTIVE")
    assert nova.calls[call] == (1 if was_taken else 2)


async def test_an_abort_whose_answer_was_lost_is_asked_again_at_once(watch_of: Watches) -> None:
    nova = drain_nova()
    nova.cloud.add("i1")
    nova.cloud.endings = {"i1": ["never"] * 9999}
    nova.errors = {"abort": [SILENCE]}
    asked = request(nova, per_gib=timedelta(seconds=20), may_stop=False)  # 40 s
    (error,) = await ended(watch_of(nova).enter(asked))
    assert "ended as cancelled" in str(error)
    assert nova.calls["abort"] == 2
    assert nova.cloud.seconds < 60  # not after another 40 s


# Two runs, one instance.


async def test_two_runs_that_have_one_instance_both_end(watch_of: Watches) -> None:
    nova = drain_nova()
    nova.cloud.add("i1")
    watch = watch_of(nova)
    first, second = watch.enter(request(nova)), watch.enter(request(nova))
    ends = await ended(first, second)
    assert [each["host"] for each in ends] == [DESTINATION] * 2
    assert len(nova.cloud.migrations) == 1
    watch.leave(second)
    assert watch._moves == [first]


# What waits for its turn, and what moves.


async def test_a_migration_that_runs_inside_its_own_limit_is_followed(watch_of: Watches) -> None:
    nova = drain_nova(takes=300)
    nova.cloud.add("i1", ram_mib=512 * 1024)
    (outcome,) = await ended(
        watch_of(nova).enter(request(nova, turn_patience=timedelta(seconds=0.1)))
    )
    assert outcome["host"] == DESTINATION
    assert nova.calls["abort"] == 0


async def test_a_cold_one_is_followed_too(watch_of: Watches) -> None:
    nova = drain_nova(takes=300)
    nova.cloud.add("i1", status="SHUTOFF")
    (outcome,) = await ended(
        watch_of(nova).enter(request(nova, turn_patience=timedelta(seconds=0.1)))
    )
    assert outcome["host"] == DESTINATION


async def test_one_that_cannot_be_ended_is_not_followed_for_ever(watch_of: Watches) -> None:
    nova = drain_nova()
    nova.cloud.add("i1")
    nova.cloud.endings = {"i1": ["never"] * 9999}
    nova.abort = lambda migration: None  # type: ignore[method-assign]
    asked = request(nova, per_gib=timedelta(seconds=1), turn_patience=timedelta(seconds=0.2))
    (error,) = await ended(watch_of(nova).enter(asked))
    assert "turn_patience" in str(error)


async def test_what_nova_holds_in_its_queue_waits_for_its_turn(watch_of: Watches) -> None:
    nova = drain_nova()
    nova.cloud.add("i1")
    nova.cloud.migrate("i1", "live-migration")
    nova.cloud.endings = {"i1": ["forgotten"]}
    nova.cloud.migrations[1] = replace(nova.cloud.migrations[1], status="queued")
    (error,) = await ended(
        watch_of(nova).enter(request(nova, turn_patience=timedelta(seconds=0.1)))
    )
    assert "turn_patience: migration queued" in str(error)


def order(**given: Any) -> Order:
    facts: dict[str, Any] = {
        "instance_id": "i1",
        "name": "i1",
        "source": SOURCE,
        "method": "live",
        "was_running": True,
        "ram_mib": 4096,
        "since": NOW - timedelta(minutes=30),
        "retries": 1,
        "timeout_per_gib": timedelta(seconds=100),
        "on_stuck": Step.ABORT,
        "may_stop": False,
    }
    return Order(**{**facts, **given})


@pytest.mark.parametrize(
    ("ram_mib", "copied_gib", "seconds"),
    [(512, 0, 200), (4096, 0, 400), (4096, 20, 2400), (512, 100, 10_200)],
)
def test_the_limit_counts_ram_and_the_disks_that_are_copied(
    ram_mib: int, copied_gib: int, seconds: int
) -> None:
    found = timeout(order(ram_mib=ram_mib, copied_gib=copied_gib))
    assert found == timedelta(seconds=seconds)


def test_root_ephemeral_and_swap_are_on_the_host() -> None:
    given = {"disk_gib": 20, "ephemeral_gib": 10, "swap_mib": 1500, "vcpus": 1}
    assert need_of(builders.instance(**given)) == Need(1, 512, 32)
    assert need_of(builders.instance(**given, is_volume_backed=True)) == Need(1, 512, 12)


# What Nova says is over, and is not.


def decided(
    there: Instance | None, *rows: Migration, now: datetime = NOW, memory: Memory | None = None
) -> Decision:
    return next_step(order(), there, rows, memory or Memory(), now, is_owed=False)


def row(status: str, minutes_ago: float = 10, **given: Any) -> Migration:
    at = NOW - timedelta(minutes=minutes_ago)
    return builders.migration(1, status, **{"created_at": at, "updated_at": at, **given})


@pytest.mark.parametrize("task_state", ["migrating", None])
def test_completed_but_still_on_its_source_is_told_and_never_migrated_again(
    task_state: str | None,
) -> None:
    there = builders.instance(task_state=task_state)
    soon = decided(there, row("completed", 4))
    assert soon.step is Step.WAIT
    late = decided(there, row("completed", 6))
    assert late.step is Step.FAIL
    assert late.why == (
        "Nova says the migration to c02 is completed but still shows the instance on c01 "
        f"(task_state {task_state or 'none'}): its guest runs on c02"
    )
    assert "post-live-migration" in late.remedy
    assert "Do not run `openstack server set --state active i1` alone" in late.remedy


def test_nor_by_a_run_that_comes_later() -> None:
    later = order(since=NOW + timedelta(hours=1))
    there = builders.instance()
    found = next_step(later, there, [row("completed")], Memory(), NOW + timedelta(hours=2), False)
    assert found.step is Step.FAIL


def test_one_that_came_back_is_moved_again() -> None:
    back = replace(row("completed", 5), id=2, source=DESTINATION, destination=SOURCE)
    assert decided(builders.instance(), row("completed", 20), back).step is Step.START_LIVE


@pytest.mark.parametrize(
    ("host", "said"),
    [
        (SOURCE, "became ERROR on c01 when its migration to c02 ended as error (libvirt timed out"),
        (DESTINATION, "arrived on c02 but is in ERROR (libvirt timed out"),
    ],
)
def test_error_during_its_move_is_told_with_novas_reason_and_where_its_guest_was_seen(
    host: str, said: str
) -> None:
    status = "error" if host == SOURCE else "completed"
    there = builders.instance(status="ERROR", host=host, fault="libvirt timed out")
    found = decided(there, row(status))
    assert found.step is Step.FAIL
    assert found.why.startswith(said)
    assert found.migration is not None  # then Nova's reason is read
    assert found.remedy.startswith(
        f"Nova shows its guest on {host}, power_state RUNNING. Look for it on c01 and c02 "
        f"(`virsh list --all`). If it runs on {host}, run `openstack server set --state active i1`"
    )


# What nobody works on any more.


def forgotten(minutes: float, **given: Any) -> Migration:
    return row("accepted", minutes, **{"destination": None, **given})


@pytest.mark.parametrize(
    ("minutes", "is_passed_by", "expected"),
    [(4, True, Step.WAIT), (6, False, Step.WAIT), (6, True, Step.FAIL), (11, False, Step.FAIL)],
)
def test_a_migration_that_nobody_works_on_is_known_within_minutes(
    minutes: float, is_passed_by: bool, expected: Step
) -> None:
    there = builders.instance(task_state="migrating")
    memory = Memory(is_passed_by=is_passed_by)
    found = decided(there, forgotten(minutes), memory=memory)
    assert found.step is expected
    if expected is Step.FAIL:
        assert f"accepted its migration {minutes} minutes ago, but nobody works on it" in found.why
        assert "Nova shows its guest on c01, power_state RUNNING" in found.why
        assert "`openstack server set --state active i1`, then clear this task" in found.remedy


@pytest.mark.parametrize("status", ["accepted", "queued"])
def test_one_whose_destination_is_chosen_is_on_its_way_to_the_source(status: str) -> None:
    there = builders.instance(task_state="migrating")
    assert decided(there, row(status, 9), memory=Memory(is_passed_by=True)).step is Step.WAIT


def test_an_order_that_its_source_has_not_taken_for_long_is_lost_and_a_queued_one_is_not() -> None:
    there = builders.instance(task_state="migrating")
    found = decided(there, row("accepted", 11))
    assert found.step is Step.FAIL
    assert "nobody works on it (c01 has not taken the order" in found.why
    assert "See nova-compute's log on c01. Run `openstack server set --state active i1`" in (
        found.remedy
    )
    assert decided(there, row("queued", 60)).step is Step.WAIT


def test_once_a_person_has_set_it_right_it_is_moved_although_its_old_record_stays() -> None:
    assert decided(builders.instance(), forgotten(30)).step is Step.START_LIVE


async def test_the_conductor_dies_and_the_run_says_so_within_minutes(watch_of: Watches) -> None:
    nova = drain_nova()
    nova.cloud.add("i1")
    nova.cloud.endings = {"i1": ["forgotten"]}
    (error,) = await ended(watch_of(nova).enter(request(nova)))
    assert "nobody works on it" in str(error)
    assert nova.cloud.seconds < 15 * 60
    assert nova.calls["live_migrate"] == 1


async def test_it_holds_no_slot_for_ever(watch_of: Watches) -> None:
    nova = drain_nova()
    nova.cloud.add("i1")
    nova.cloud.add("i2")
    nova.cloud.endings = {"i1": ["forgotten"]}
    watch = watch_of(nova)
    first = watch.enter(request(nova, "i1"))
    await until(lambda: nova.calls["live_migrate"] == 1)
    second = watch.enter(request(nova, "i2"))
    error, outcome = await ended(first, second)
    assert isinstance(error, MigrationFailed)
    assert outcome["host"] == DESTINATION


async def test_others_that_go_on_tell_it_sooner(watch_of: Watches) -> None:
    nova = drain_nova()
    nova.cloud.add("i1")
    nova.cloud.add("i2")
    nova.cloud.endings = {"i1": ["forgotten"]}
    watch = watch_of(nova)
    limits = Limits(2, 4)
    first = watch.enter(request(nova, "i1", limits=limits))
    await until(lambda: nova.calls["live_migrate"] == 1)
    second = watch.enter(request(nova, "i2", limits=limits))
    error, _ = await ended(first, second)
    assert "nobody works on it" in str(error)
    assert nova.cloud.seconds < 6 * 60


# Clocks that differ.


@pytest.mark.parametrize("lag_seconds", [45, 300, -45, -300])
async def test_clocks_that_differ_lose_no_migrations_end(
    watch_of: Watches, lag_seconds: int
) -> None:
    nova = drain_nova(takes=20)
    nova.cloud.lag = timedelta(seconds=lag_seconds)
    nova.cloud.add("i1")
    (outcome,) = await ended(watch_of(nova).enter(request(nova)))
    assert outcome["outcome"] == "moved to c02"
    assert nova.cloud.seconds < 60


@pytest.mark.parametrize("lag_seconds", [45, 300])
async def test_nor_after_a_restart_of_the_triggerer(watch_of: Watches, lag_seconds: int) -> None:
    nova = drain_nova(takes=40)
    nova.cloud.lag = timedelta(seconds=lag_seconds)
    nova.cloud.add("i1")
    nova.cloud.migrate("i1", "live-migration")
    asked = request(nova)
    (outcome,) = await ended(watch_of(nova).enter(asked))
    assert outcome["migration"] == "u1"
    assert nova.cloud.seconds < 150
    assert nova.calls["live_migrate"] == 0


async def test_who_is_elsewhere_is_looked_for_once_more_before_it_was_someone_else(
    watch_of: Watches,
) -> None:
    """Its migration ended between the list and the look at the instance."""
    nova = drain_nova()
    nova.cloud.add("i1")
    asked = request(nova)
    nova.cloud.change("i1", host=DESTINATION)

    def appear(second: int) -> None:
        if second == 2:
            at = {"created_at": nova.now(), "updated_at": nova.now()}
            nova.cloud.migrations[1] = row("completed", **at)

    nova.cloud.on_second = appear
    (outcome,) = await ended(watch_of(nova).enter(asked))
    assert "someone else" not in outcome["outcome"]
    assert outcome["migration"] == "u1"


# A cell that does not answer.


async def test_a_service_that_is_unknown_is_waited_for_like_a_silent_api(
    watch_of: Watches, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_health, "_EVERY", timedelta(0))
    nova = drain_nova()
    nova.cloud.add_host(SOURCE, is_unknown=True)
    nova.cloud.add("i1")

    def answers_again(second: int) -> None:
        if second == 5:
            nova.cloud.add_host(SOURCE, reason=str(OWNER))

    nova.cloud.on_second = answers_again
    (outcome,) = await ended(watch_of(nova).enter(request(nova)))
    assert outcome["host"] == DESTINATION


async def test_the_moves_of_other_cells_go_on(
    watch_of: Watches, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_health, "_EVERY", timedelta(0))
    nova = drain_nova()
    nova.cloud.add_host(SOURCE, is_unknown=True)
    nova.cloud.add("i1")
    nova.cloud.add("i2", host="c05")
    brief = timedelta(seconds=0.1)
    watch = watch_of(nova)
    silent = watch.enter(request(nova, "i1", api_patience=brief))
    good = watch.enter(request(nova, "i2", source="c05", api_patience=brief))
    error, outcome = await ended(silent, good)
    assert isinstance(error, CloudError)
    assert outcome["host"] == DESTINATION


async def test_one_whose_cell_is_silent_is_not_called_down(
    watch_of: Watches, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_health, "_EVERY", timedelta(0))
    nova = drain_nova(takes=20)
    nova.cloud.add("i1")

    def silent(second: float) -> None:
        nova.cloud.change_service(SOURCE, is_unknown=second > 5, is_up=second <= 5)

    nova.cloud.on_second = silent
    (outcome,) = await ended(watch_of(nova).enter(request(nova)))
    assert outcome["host"] == DESTINATION


async def test_one_that_stays_unknown_ends_the_moves_with_one_sentence(
    watch_of: Watches, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_health, "_EVERY", timedelta(0))
    nova = drain_nova()
    nova.cloud.add_host(SOURCE, is_unknown=True)
    nova.cloud.add("i1")
    asked = request(nova, api_patience=timedelta(seconds=0.1))
    (error,) = await ended(watch_of(nova).enter(asked))
    assert str(error).startswith(
        "host c01: its cell does not answer (Nova shows its nova-compute as UNKNOWN). "
    )
    assert nova.calls["live_migrate"] == 0


async def test_the_cells_of_a_cloud_may_have_the_same_migration_ids() -> None:
    nova: Any = drain_nova()
    ledger = MigrationLedger(nova)
    one = replace(row("running"), created_at=nova.now(), updated_at=nova.now())
    other = replace(one, uuid="u-of-another-cell", instance_id="i9")
    nova.shown = lambda *_: [one, other]
    await ledger.refresh()
    assert {each.instance_id for each in ledger.rows()} == {"i1", "i9"}
