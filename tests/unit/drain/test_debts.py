"""A guest that a drain has shut down is started again, whatever ends its move; no other one is."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from drain_nova import (
    DESTINATION,
    OWNER,
    REFUSED,
    SILENCE,
    SOURCE,
    DebtsInMemory,
    debt,
    drain_nova,
    request,
)
from in_memory_nova import InMemoryNova
from openstack_maintenance.adapters.cloud_errors import Conflict
from openstack_maintenance.domain.cloud import SHUTDOWN
from openstack_maintenance.domain.drain.sighting import Look
from openstack_maintenance.domain.errors import MaintenanceError, MigrationFailed, PolicyError
from openstack_maintenance.triggers.drain import settlement, source_health, tries
from openstack_maintenance.triggers.drain.move import Move
from watched_moves import Watches, end, until

pytestmark = pytest.mark.thorough


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tries, "_PAUSES", [timedelta(0)] * 3)
    monkeypatch.setattr(settlement, "_STOP_MAY_COME", timedelta(seconds=0.05))


async def ended(move: Move) -> Any:
    """The move's outcome, or its error."""
    (found,) = await asyncio.wait_for(asyncio.gather(move.done, return_exceptions=True), 10)
    return found


def stopping(nova: InMemoryNova, debts: DebtsInMemory, **given: Any) -> Any:
    return request(nova, **{"method": "stop", "debts": debts, **given})


async def test_a_guest_that_was_shut_down_for_its_move_is_started_where_it_arrived(
    watch_of: Watches,
) -> None:
    nova, debts = drain_nova(), DebtsInMemory()
    nova.cloud.add("i1")
    written: list[bool] = []

    def look(call: str, *args: Any) -> None:  # the debt is written before the guest is shut down
        if call == "stop_guest":
            written.append(args[0] in debts.open)

    nova.before = look
    outcome = await ended(watch_of(nova).enter(stopping(nova, debts)))
    assert (outcome["host"], outcome["status"]) == (DESTINATION, "ACTIVE")
    assert outcome["outcome"] == "moved to c02; its guest was started again on c02"
    assert written == [True]
    assert debts.open == {}


@pytest.mark.parametrize(
    ("call", "errors"),
    [
        pytest.param("cold_migrate", [REFUSED], id="the cold move is refused"),
        pytest.param("cold_migrate", [SILENCE] * 999, id="Nova does not answer to it"),
        pytest.param("cold_migrate", [KeyError("x")] * 999, id="a defect"),
    ],
)
async def test_a_guest_whose_cold_move_cannot_begin_is_started_where_it_is(
    watch_of: Watches, call: str, errors: list[Exception]
) -> None:
    nova, debts = drain_nova(), DebtsInMemory()
    nova.cloud.add("i1")
    nova.errors = {call: list(errors)}
    patience = timedelta(seconds=0.2)
    error = await ended(watch_of(nova).enter(stopping(nova, debts, api_patience=patience)))
    assert "; its guest was started again on c01" in str(error)
    assert nova.cloud.instances["i1"].status == "ACTIVE"
    assert debts.open == {}


async def test_one_that_fails_on_its_way_is_started_where_it_is(watch_of: Watches) -> None:
    nova, debts = drain_nova(), DebtsInMemory()
    nova.cloud.add("i1")
    nova.cloud.endings = {"i1": ["error"]}
    error = await ended(watch_of(nova).enter(stopping(nova, debts)))
    assert str(error).startswith(
        "instance i1 (i1): its migration to c02 ended as error (1 tries): libvirt: no such disk; "
        "its guest was started again on c01. "
    )
    assert nova.cloud.instances["i1"].status == "ACTIVE"


async def test_one_whose_host_somebody_took_after_the_stop_is_started(
    watch_of: Watches, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_health, "_EVERY", timedelta(0))
    nova, debts = drain_nova(), DebtsInMemory()
    nova.cloud.add("i1")

    def take(_: int) -> None:
        if nova.calls["stop_guest"]:
            nova.cloud.add_host(SOURCE)

    nova.cloud.on_second = take
    error = await ended(watch_of(nova).enter(stopping(nova, debts)))
    assert "not disabled by this run; its guest was started again on c01" in str(error)
    assert nova.calls["cold_migrate"] == 0


async def test_one_whose_patience_ends_is_started(watch_of: Watches) -> None:
    nova, debts = drain_nova(), DebtsInMemory()
    nova.cloud.add("i1")

    looks = iter(range(10**6))

    def snapshot(_: float) -> None:  # somebody keeps it busy, then lets it go
        if nova.calls["stop_guest"]:
            is_over = next(looks) > 300
            nova.cloud.change("i1", task_state=None if is_over else "image_uploading")

    nova.cloud.on_second = snapshot
    patience = timedelta(seconds=0.2)
    error = await ended(watch_of(nova).enter(stopping(nova, debts, turn_patience=patience)))
    assert "turn_patience" in str(error)
    assert nova.cloud.instances["i1"].status == "ACTIVE"


async def test_a_guest_that_its_owner_shut_down_meanwhile_moves_cold_and_stays_off(
    watch_of: Watches,
) -> None:
    nova, debts = drain_nova(), DebtsInMemory()
    nova.cloud.add("i1")
    watch = watch_of(nova)
    asked = stopping(nova, debts)
    nova.cloud.shut_down("i1")
    outcome = await ended(watch.enter(asked))
    assert (outcome["host"], outcome["status"]) == (DESTINATION, "SHUTOFF")
    assert outcome["outcome"].endswith("it was shut down by its owner meanwhile and stays off")
    assert nova.calls["start_guest"] == 0


async def test_a_guest_that_its_owner_shut_down_right_before_us_stays_off(
    watch_of: Watches,
) -> None:
    """The debt is written, our request is refused: Nova's list of actions tells whose it was."""
    nova, debts = drain_nova(), DebtsInMemory()
    nova.cloud.add("i1")

    def too_late(call: str, *args: Any) -> None:
        if call == "stop_guest":
            nova.cloud.shut_down(args[0])
            nova.acted = "user ana asked for stop at 2026-03-10 01:00:00 UTC"

    nova.before = too_late
    outcome = await ended(watch_of(nova).enter(stopping(nova, debts)))
    assert outcome["status"] == "SHUTOFF"
    assert "it stays as it is: user ana asked for stop" in outcome["outcome"]
    assert nova.calls["start_guest"] == 0
    assert debts.open == {}


async def test_without_room_elsewhere_no_guest_is_shut_down(watch_of: Watches) -> None:
    nova, debts = drain_nova(), DebtsInMemory()
    nova.cloud.add("i1")
    nova.cloud.room = frozenset({nova.cloud.hypervisor(SOURCE).id})  # its own host alone
    error = await ended(watch_of(nova).enter(stopping(nova, debts)))
    assert isinstance(error, MigrationFailed)
    assert "no other host has room for it" in str(error)
    assert "it was not shut down" in str(error)
    assert nova.calls["stop_guest"] == 0
    assert debts.open == {}


async def test_without_a_place_for_its_debt_no_guest_is_shut_down(watch_of: Watches) -> None:
    nova, debts = drain_nova(), DebtsInMemory()
    nova.cloud.add("i1")
    debts.error = PolicyError("records storage", "cannot be used: disk full", "Fix it.")
    error = await ended(watch_of(nova).enter(stopping(nova, debts)))
    assert "disk full" in str(error)
    assert nova.calls["stop_guest"] == 0


async def test_a_new_triggerer_knows_what_is_owed(watch_of: Watches) -> None:
    nova, debts = drain_nova(), DebtsInMemory()
    nova.cloud.add("i1")
    first = watch_of(nova)
    asked = stopping(nova, debts)
    first.enter(asked)
    await until(lambda: nova.calls["stop_guest"] == 1)
    await end(first)
    outcome = await ended(watch_of(nova).enter(asked))
    assert (outcome["host"], outcome["status"]) == (DESTINATION, "ACTIVE")
    assert nova.calls["stop_guest"] == 1


@pytest.mark.parametrize("was_running", [True, False])
async def test_a_run_that_lists_it_anew_as_shutoff_starts_it_all_the_same(
    watch_of: Watches, was_running: bool
) -> None:
    nova, debts = drain_nova(), DebtsInMemory()
    nova.cloud.add("i1", status="SHUTOFF")
    debts.write(debt(run_id="r0"))
    asked = request(nova, method="cold", was_running=was_running, debts=debts, may_stop=False)
    watch = watch_of(nova)
    move = watch.enter(asked)
    await until(lambda: nova.calls["cold_migrate"] == 1)
    assert debts.open["i1"].is_of(OWNER)  # this run's report pays it from now on
    outcome = await ended(move)
    assert (outcome["host"], outcome["status"]) == (DESTINATION, "ACTIVE")


async def test_one_that_arrived_cold_before_it_was_listed_is_confirmed_and_started(
    watch_of: Watches,
) -> None:
    nova, debts = drain_nova(), DebtsInMemory()
    nova.cloud.add("i1", status="SHUTOFF")
    nova.cloud.migrate("i1", "migration")
    for _ in range(4):
        nova.migrations(nova.cloud.began)
    assert nova.cloud.instances["i1"].status == "VERIFY_RESIZE"
    debts.write(debt())
    outcome = await ended(watch_of(nova).enter(request(nova, method="cold", debts=debts)))
    assert (outcome["host"], outcome["status"]) == (DESTINATION, "ACTIVE")
    assert nova.calls["cold_migrate"] == 0


async def test_where_no_debts_are_kept_it_is_inferred_as_it_was(watch_of: Watches) -> None:
    """The triggers that an older release stored."""
    nova = drain_nova()
    nova.cloud.add("i1")
    outcome = await ended(watch_of(nova).enter(request(nova, method="stop")))
    assert (outcome["host"], outcome["status"]) == (DESTINATION, "ACTIVE")


# A person ends the task.


async def test_a_killed_moves_guest_is_started_although_nobody_waits(watch_of: Watches) -> None:
    nova, debts = drain_nova(), DebtsInMemory()
    nova.cloud.add("i1")
    watch = watch_of(nova)
    asked = stopping(nova, debts)
    killed = watch.enter(asked)
    await until(lambda: nova.calls["stop_guest"] == 1)
    watch.leave(killed)
    watch.settle(asked, debts.open["i1"])
    await until(lambda: not debts.open)
    assert nova.cloud.instances["i1"].status == "ACTIVE"
    await until(lambda: not watch._moves)


async def test_a_killed_move_that_arrives_cold_is_confirmed_and_started(watch_of: Watches) -> None:
    nova, debts = drain_nova(takes=30), DebtsInMemory()
    nova.cloud.add("i1")
    watch = watch_of(nova)
    asked = stopping(nova, debts)
    killed = watch.enter(asked)
    await until(lambda: nova.calls["cold_migrate"] == 1)
    watch.leave(killed)
    watch.settle(asked, debts.open["i1"])
    await until(lambda: not debts.open)
    there = nova.cloud.instances["i1"]
    assert (there.host, there.status) == (DESTINATION, "ACTIVE")
    assert nova.calls["confirm"] == 1


@pytest.mark.parametrize(
    ("hypervisor", "runs", "is_started"),
    [
        ("QEMU", False, False),  # its owner shut it down from within, and Nova does not know yet
        ("QEMU", True, True),
        ("QEMU", None, True),  # nobody could look
        ("fake", False, True),  # its guests are no processes
    ],
)
async def test_a_guest_that_is_off_already_stays_off(
    watch_of: Watches, hypervisor: str, runs: bool | None, is_started: bool
) -> None:
    nova, debts = drain_nova(), DebtsInMemory()
    nova.cloud.add("i1")
    known = nova.find_hypervisor(SOURCE)
    assert known is not None
    nova.cloud.hypervisors[SOURCE] = replace(known, hypervisor_type=hypervisor)

    async def look(nova: Any, host: str, guest: str) -> Look:
        return Look(host, runs)

    sight = SimpleNamespace(look=look)
    outcome = await ended(watch_of(nova).enter(stopping(nova, debts, sight=sight)))

    assert (outcome["host"], outcome["status"]) == (
        DESTINATION,
        "ACTIVE" if is_started else "SHUTOFF",
    )
    assert nova.calls["start_guest"] == is_started
    assert debts.open == {}


async def test_a_stop_that_lands_after_the_kill_is_waited_for(
    watch_of: Watches, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of real time, however long a loaded machine takes until the stop lands.
    monkeypatch.setattr(settlement, "_STOP_MAY_COME", timedelta(minutes=1))
    nova, debts = drain_nova(), DebtsInMemory()
    nova.cloud.add("i1")
    debts.write(debt())
    seconds = {"stop": 3}

    def land(second: int) -> None:
        if second == seconds["stop"]:
            nova.cloud.shut_down("i1")

    nova.cloud.on_second = land
    watch_of(nova).settle(stopping(nova, debts), debts.open["i1"])
    await until(lambda: not debts.open)
    assert nova.calls["start_guest"] == 1


async def test_who_comes_next_takes_over_what_is_owed(watch_of: Watches) -> None:
    nova, debts = drain_nova(), DebtsInMemory()
    nova.cloud.add("i1", status="SHUTOFF")
    debts.write(debt())
    nova.cloud.starts = [False] * 99
    watch = watch_of(nova)
    asked = request(nova, method="cold", debts=debts)
    alone = watch.settle(asked, debts.open["i1"])
    moves = watch.enter(asked)
    nova.cloud.starts = []
    outcome = await ended(moves)
    assert alone.done.cancelled()
    assert (outcome["host"], outcome["status"]) == (DESTINATION, "ACTIVE")


async def test_a_storage_that_cannot_be_read_for_a_moment_is_waited_for(
    watch_of: Watches,
) -> None:
    nova, debts = drain_nova(), DebtsInMemory()
    nova.cloud.add("i1")
    gone = PolicyError("records storage", "cannot be used: stale file handle", "Fix it.")
    answers, read = [gone, gone], debts.all

    def flaky() -> Any:
        if answers:
            raise answers.pop()
        return read()

    debts.all = flaky  # type: ignore[method-assign]
    outcome = await ended(watch_of(nova).enter(request(nova, debts=debts)))
    assert outcome["host"] == DESTINATION
    answers += [gone] * 9999
    nova.cloud.add("i2")
    brief = timedelta(seconds=0.1)
    error = await ended(watch_of(nova).enter(request(nova, "i2", debts=debts, api_patience=brief)))
    assert "stale file handle" in str(error)
    assert nova.calls["live_migrate"] == 1


async def test_a_cold_move_that_only_waits_to_be_confirmed_is_confirmed_and_not_started(
    watch_of: Watches,
) -> None:
    nova, debts = drain_nova(), DebtsInMemory()
    nova.cloud.add("i1", status="SHUTOFF")
    nova.cloud.migrate("i1", "migration")
    debts.write(debt(starts=False))
    watch_of(nova).settle(request(nova, method="cold", debts=debts), debts.open["i1"])
    await until(lambda: not debts.open)
    there = nova.cloud.instances["i1"]
    assert (there.host, there.status) == (DESTINATION, "SHUTOFF")
    assert (nova.calls["confirm"], nova.calls["start_guest"]) == (1, 0)


# A start or a stop that Nova takes, and that then fails.


async def test_a_start_that_fails_is_tried_some_times_and_then_told(watch_of: Watches) -> None:
    nova, debts = drain_nova(), DebtsInMemory()
    nova.cloud.add("i1")
    nova.cloud.starts = [False] * 999
    error = await ended(watch_of(nova).enter(stopping(nova, debts)))
    assert nova.calls["start_guest"] == 4
    assert (
        "moved to c02; its guest was shut down on c01 for its move, and on c02 it may be off"
        in str(error)
    )
    assert "Nova took the request to start 4 times, but it does not start" in str(error)
    assert "libvirt: no such disk" in str(error)
    assert "Run `openstack server start i1`" in str(error)
    assert set(debts.open) == {"i1"}  # still owed


async def test_a_start_that_fails_once_is_tried_again(watch_of: Watches) -> None:
    nova, debts = drain_nova(), DebtsInMemory()
    nova.cloud.add("i1")
    nova.cloud.starts = [False, True]
    outcome = await ended(watch_of(nova).enter(stopping(nova, debts)))
    assert outcome["status"] == "ACTIVE"
    assert nova.calls["start_guest"] == 2


async def test_a_start_of_a_move_that_an_older_release_stored_is_bounded_too(
    watch_of: Watches,
) -> None:
    nova = drain_nova()
    nova.cloud.add("i1")
    nova.cloud.starts = [False] * 999
    error = await ended(watch_of(nova).enter(request(nova, method="stop")))
    assert nova.calls["start_guest"] == 4
    assert "does not start: libvirt: no such disk" in str(error)


async def test_a_stop_that_fails_is_tried_some_times_and_then_told(watch_of: Watches) -> None:
    nova, debts = drain_nova(), DebtsInMemory()
    nova.cloud.add("i1")
    nova.cloud.stops = [False] * 999
    error = await ended(watch_of(nova).enter(stopping(nova, debts)))
    assert nova.calls["stop_guest"] == 4
    assert "Nova took the request to stop 4 times, but it does not stop" in str(error)
    assert "openstack server stop i1" in str(error)
    assert debts.open == {}


async def test_tries_are_further_and_further_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert [each.total_seconds() for each in tries._PAUSES] == [5, 20, 60]


async def test_when_nova_stays_silent_the_error_says_how_to_start_the_guest(
    watch_of: Watches,
) -> None:
    nova, debts = drain_nova(), DebtsInMemory()
    nova.cloud.add("i1")

    def away(_: int) -> None:
        if nova.calls["stop_guest"]:
            nova.errors = {"migrations": [SILENCE] * 99_999}

    nova.cloud.on_second = away
    patience = timedelta(seconds=0.1)
    error = await ended(watch_of(nova).enter(stopping(nova, debts, api_patience=patience)))
    assert "its guest was shut down on c01 for its move, and it may be off" in str(error)
    assert "`openstack server start i1`" in str(error)
    assert set(debts.open) == {"i1"}


@pytest.mark.parametrize("call", ["start_guest", "find_instance", "acted_since"])
@pytest.mark.parametrize("error", [SILENCE, KeyError("x"), REFUSED], ids=["503", "x", "400"])
async def test_a_guest_that_cannot_be_started_does_not_keep_its_move_for_ever(
    watch_of: Watches, call: str, error: Exception
) -> None:
    nova, debts = drain_nova(), DebtsInMemory()
    nova.cloud.add("i1")
    nova.cloud.endings = {"i1": ["error"]}

    def break_it(_: float) -> None:
        if nova.cloud.migrations and nova.cloud.migrations[1].status == "error":
            nova.errors[call] = error

    nova.cloud.on_second = break_it
    patience = timedelta(seconds=0.1)
    told = await ended(watch_of(nova).enter(stopping(nova, debts, api_patience=patience)))
    if call == "acted_since" and error is REFUSED:  # it may not be known: then it is started
        assert "its guest was started again on c01" in str(told)
        return
    assert isinstance(told, MaintenanceError)
    assert "`openstack server start i1`" in str(told)
    assert set(debts.open) == {"i1"}


async def test_a_conflict_while_it_is_started_is_looked_at(watch_of: Watches) -> None:
    nova, debts = drain_nova(), DebtsInMemory()
    nova.cloud.add("i1")
    nova.errors = {"start_guest": [Conflict("i1", "in task_state powering-on", "Look."), SILENCE]}
    outcome = await ended(watch_of(nova).enter(stopping(nova, debts)))
    assert outcome["status"] == "ACTIVE"


async def test_a_guest_in_error_that_was_off_already_is_owed_nothing(watch_of: Watches) -> None:
    nova, debts = drain_nova(), DebtsInMemory()
    nova.cloud.add("i1", status="ERROR", power_state=SHUTDOWN)
    outcome = await ended(watch_of(nova).enter(stopping(nova, debts, was_running=False)))
    assert (outcome["host"], outcome["status"]) == (DESTINATION, "SHUTOFF")
    assert nova.calls["start_guest"] == 0


async def test_a_move_that_failed_and_cannot_pay_tells_both(watch_of: Watches) -> None:
    nova, debts = drain_nova(), DebtsInMemory()
    nova.cloud.add("i1")
    nova.cloud.endings = {"i1": ["error"]}

    def away(_: int) -> None:
        if nova.cloud.migrations and nova.cloud.migrations[1].status == "error":
            nova.errors = {"migrations": [SILENCE] * 99_999}
            nova.cloud.starts = [False] * 99_999

    nova.cloud.on_second = away
    patience = timedelta(seconds=0.1)
    error = await ended(watch_of(nova).enter(stopping(nova, debts, api_patience=patience)))
    assert "its migration to c02 ended as error" in str(error)
    assert "`openstack server start i1`" in str(error)
    assert set(debts.open) == {"i1"}


async def test_a_cold_move_that_nobody_works_on_is_told_with_what_to_do(watch_of: Watches) -> None:
    nova, debts = drain_nova(), DebtsInMemory()
    nova.cloud.add("i1")
    nova.cloud.endings = {"i1": ["forgotten"]}
    patience = timedelta(seconds=0.1)
    error = await ended(watch_of(nova).enter(stopping(nova, debts, api_patience=patience)))
    assert "nobody works on it" in str(error)
    assert "`openstack server start i1`" in str(error)
    assert set(debts.open) == {"i1"}


async def test_once_its_state_is_set_right_its_guest_is_started_although_the_record_stays(
    watch_of: Watches,
) -> None:
    nova, debts = drain_nova(), DebtsInMemory()
    nova.cloud.add("i1", status="SHUTOFF")
    nova.cloud.endings = {"i1": ["forgotten"]}
    nova.cloud.migrate("i1", "migration")
    nova.cloud.change("i1", task_state=None)
    debts.write(debt())
    watch_of(nova).settle(request(nova, method="cold", debts=debts), debts.open["i1"])
    await until(lambda: not debts.open)
    assert nova.cloud.instances["i1"].status == "ACTIVE"
