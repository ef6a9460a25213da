"""What records teach: which phase failed, how long each took, and what stays assumed."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from openstack_maintenance.domain.nights.experience import (
    ASSUMED_FAILURES,
    ENOUGH_RUNS,
    Experience,
    Lesson,
)
from openstack_maintenance.domain.nights.past_run import (
    PHASES,
    REST,
    PastRun,
    failed_before,
    read_past_run,
)

BEGAN = datetime(2026, 3, 10, 1, 0, tzinfo=UTC)
SECONDS = {
    "check_host": 4.0,
    "wait_for_window": 100.0,
    "migrate_instance": 60.0,
    "check_host_empty": 5.0,
    "stop_nova_compute": 8.0,
    "run_script": 0.0,
    "reboot": 20.0,
    "wait_for_host": 100.0,
    "wait_for_nova_compute": 30.0,
    "assert_amqp": 5.0,
    "enable_service": 5.0,
}


def task(task_id: str, state: str = "success", seconds: Any = None) -> dict[str, Any]:
    length = SECONDS.get(task_id) if seconds is None else seconds
    return {"task_id": task_id, "map_index": -1, "state": state, "seconds": length}


def record(**given: Any) -> dict[str, Any]:
    """A run of c01 of 10 minutes that moved one instance of 6 GiB in 40 seconds."""
    move = {
        "instance_id": "i1",
        "started_at": (BEGAN + timedelta(seconds=10)).isoformat(),
        "ended_at": (BEGAN + timedelta(seconds=50)).isoformat(),
    }
    whole = {
        "outcome": "done",
        "host": "c01",
        "run_id": "nightly__c01__x",
        "started_at": BEGAN.isoformat(),
        "ended_at": (BEGAN + timedelta(minutes=10)).isoformat(),
        "before": {"moves": [{"id": "i1", "ram_mib": 6144}]},
        "moves": [move],
        "errors": [],
        "tasks": [task(each) for each in SECONDS],
    }
    return {**whole, **given}


def failed_at(task_id: str, **error: str) -> dict[str, Any]:
    """What is different in the record of a run that ended at a task."""
    order = [*SECONDS]
    before = order[: order.index(task_id)]
    tasks = [*(task(each) for each in before), task(task_id, "failed")]
    told = {"task_id": task_id, "map_index": -1, "subject": "host c01", "remedy": "Look."}
    return {"outcome": "failed", "tasks": tasks, "errors": [{**told, **error}]}


def read(**given: Any) -> PastRun:
    found = read_past_run(record(**given))
    assert found is not None
    return found


def test_a_run_that_went_well_teaches_how_long_each_phase_took() -> None:
    found = read()
    assert found.failed == frozenset()
    assert found.seconds == {
        "check": 4.0,
        "stop": 8.0,
        "script": 0.0,
        "boot": 120.0,
        "proofs": 40.0,
        REST: 600 - 100 - 40 - 4 - 8 - 120 - 40,
    }
    assert (found.drain_seconds, found.drained_gib, found.instances) == (40.0, 8.0, 1)


@pytest.mark.parametrize(
    ("task_id", "phase"),
    [
        ("check_host", "check"),
        ("migrate_instance", "drain"),
        ("check_host_empty", "drain"),
        ("run_script", "script"),
        ("wait_for_host", "boot"),
        ("assert_amqp", "proofs"),
    ],
)
def test_a_run_that_failed_teaches_where_and_no_duration(task_id: str, phase: str) -> None:
    found = read(**failed_at(task_id))
    assert found.failed == {phase}
    assert phase in found.reached
    assert (found.seconds, found.drained_gib) == ({}, 0.0)


def test_a_window_that_closed_says_nothing_of_the_host() -> None:
    told = failed_at("migrate_instance", subject="maintenance window")
    assert read(**told).failed == frozenset()


def test_a_run_that_failed_was_cleared_and_went_well_counts_as_failed_and_teaches_no_time() -> None:
    earlier = [{"task_id": "wait_for_host", "ended_at": BEGAN.isoformat()}]
    found = read(failed_before=earlier)
    assert found.failed == {"boot"}
    assert found.seconds == {}


@pytest.mark.parametrize(
    ("error", "blocked"),
    [
        ({"subject": "instance db (i1)"}, 1),
        ({"remedy": "Remove them:\n1. instance db (i1): x\n2. instance a (i2): x\n3. host: y"}, 2),
        ({}, 0),
    ],
)
def test_instances_that_the_pre_check_named_are_counted(
    error: dict[str, str], blocked: int
) -> None:
    assert read(**failed_at("check_host", **error)).blocked == blocked


@pytest.mark.parametrize(
    "given",
    [
        {"outcome": "dry_run"},
        {"outcome": 5},
        {"host": None},
        {"started_at": "yesterday"},
        {"tasks": []},
        {"tasks": "many"},
    ],
)
def test_a_record_that_teaches_nothing_is_left_aside(given: dict[str, Any]) -> None:
    assert read_past_run(record(**given)) is None


@pytest.mark.parametrize("value", [None, 5, "x", [], {}, [[]], [None], [{}], float("inf"), -1])
@pytest.mark.parametrize("key", [*record(), "failed_before"])
def test_a_record_of_any_shape_is_read_without_an_error(key: str, value: Any) -> None:
    found = read_past_run(record(**{key: value}))
    if found is not None:
        assert all(0 <= each < 1e9 for each in found.seconds.values())
    assert read_past_run(value) is None


def test_where_a_run_failed_before_is_told_once_for_each_task_and_not_of_the_present_end() -> None:
    earlier = {
        "ended_at": "2026-03-10T02:00:00+00:00",
        "tasks": [task("reboot", "failed"), task("assert_amqp", "failed")],
        "failed_before": [
            {"task_id": "run_script", "ended_at": "2026-03-10T01:00:00+00:00"},
            {"task_id": "reboot", "ended_at": "2026-03-10T01:30:00+00:00"},
            {"task_id": None},
            5,
        ],
    }
    now = {"tasks": [task("assert_amqp", "failed"), task("reboot")]}
    assert failed_before(earlier, now) == [
        {"task_id": "run_script", "ended_at": "2026-03-10T01:00:00+00:00"},
        {"task_id": "reboot", "ended_at": "2026-03-10T02:00:00+00:00"},
    ]
    assert failed_before(None, now) == []


def lesson(experience: Experience, what: str) -> Lesson:
    return next(each for each in experience.lessons() if each.what == what)


def test_what_too_few_runs_have_shown_is_assumed_and_it_is_said() -> None:
    few = Experience([read()] * 2)
    assert lesson(few, "boot") == Lesson("boot", 150.0, "seconds", 2, True)
    assert lesson(few, "drain") == Lesson("drain", 5.0, "seconds per GiB", 2, True)
    told = lesson(few, "boot fails")
    assert (told.value, told.records, told.is_assumed) == (ASSUMED_FAILURES["boot"], 2, True)


def test_enough_runs_are_what_it_goes_by() -> None:
    bad = read(**failed_at("wait_for_host"))
    enough = Experience([read()] * ENOUGH_RUNS + [bad] * ENOUGH_RUNS)
    assert lesson(enough, "boot") == Lesson("boot", 120.0, "seconds", ENOUGH_RUNS, False)
    assert lesson(enough, "drain") == Lesson("drain", 5.0, "seconds per GiB", ENOUGH_RUNS, False)
    told = lesson(enough, "boot fails")
    assert not told.is_assumed
    assert told.value == pytest.approx(0.5, abs=0.02)
    assert lesson(enough, "proofs fails").value < 0.01


def test_a_host_with_runs_of_its_own_goes_by_these() -> None:
    slow = replace(read(), host="c09", seconds={**read().seconds, "boot": 1000.0})
    known = Experience([read()] * 30 + [slow] * 3, failures=dict.fromkeys(PHASES, 0.0), blocked=0)

    def lengths(host: str) -> list[float]:
        return [known.course(host, 0, 0, dice(number)).seconds for number in range(50)]

    assert min(lengths("c09")) > 1000 > 700 > sorted(lengths("c01"))[25]


def dice(number: int) -> random.Random:
    return random.Random(number)  # noqa: S311 - no secret


def test_a_host_that_failed_often_fails_more_often_than_the_others() -> None:
    bad = replace(read(**failed_at("wait_for_host")), host="c09")
    known = Experience([read()] * 30 + [bad] * 5)

    def failures(host: str) -> int:
        return sum(
            known.course(host, 1, 1024, dice(number)).fails_in == "boot" for number in range(200)
        )

    assert failures("c09") > 60
    assert failures("c01") < 30


def test_between_two_hosts_of_a_night_lies_what_lay_there_before() -> None:
    def run(host: str, begins: int, ends: int, night: str) -> PastRun:
        at = [BEGAN + timedelta(seconds=each) for each in (begins, ends)]
        return replace(
            read(), host=host, run_id=f"nightly__{host}__{night}", began=at[0], ended=at[1]
        )

    runs = [
        run("c01", 0, 100, "a"),
        run("c02", 120, 200, "a"),
        run("c03", 225, 300, "a"),
        run("c01", 0, 100, "b"),
        run("c02", 130, 200, "b"),
        run("c03", 9000, 9100, "b"),
    ]
    assert lesson(Experience(runs), "handover") == Lesson("handover", 25.0, "seconds", 3, False)
    assert lesson(Experience(runs[:2]), "handover").is_assumed
