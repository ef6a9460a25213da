"""What earlier maintenances teach about how long the next one takes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from openstack_maintenance.domain.nights.pace import durations_of, learnt_pace, pace_in_words
from openstack_maintenance.domain.nights.plan import NightPace

ASSUMED = NightPace(
    per_host=timedelta(minutes=5),
    per_move=timedelta(seconds=10),
    per_gib=timedelta(seconds=5),
    in_flight=2,
)


# 460 s in all; the wait for the window is none of the host's.
TASKS = [
    {"task_id": task, "state": "success", "seconds": seconds}
    for task, seconds in (
        ("check_host", 20.0),
        ("wait_for_window", 3000.0),
        ("stop_nova_compute", 40.0),
        ("wait_for_host", 300.0),
        ("wait_for_nova_compute", 100.0),
    )
]


def record(**given: Any) -> dict[str, Any]:
    return {
        "outcome": "done",
        "host": "c01",
        "run_id": "r1",
        "started_at": "2026-11-22T01:00:00+00:00",
        "ended_at": "2026-11-22T01:10:00+00:00",
        "moves": [],
        "tasks": TASKS,
        **given,
    }


def move(first: str, last: str) -> dict[str, str]:
    day = "2026-11-22T01:"
    return {"started_at": f"{day}{first}+00:00", "ended_at": f"{day}{last}+00:00"}


def told(moves: int, moving: float, other: float) -> dict[str, Any]:
    return {"moves": moves, "moving_seconds": moving, "host_seconds": other}


def test_the_moves_of_a_record_are_counted_once_where_they_overlap() -> None:
    moves = [move("01:00", "02:00"), move("01:30", "03:00"), {"started_at": None}]
    found = durations_of(record(moves=moves))
    assert (found["moves"], found["moving_seconds"]) == (2, 120.0)
    assert (found["run_id"], found["ended_at"]) == ("r1", "2026-11-22T01:10:00+00:00")


@pytest.mark.parametrize(
    ("ended", "seconds"),
    [("01:10:00", 460.0), ("01:58:40", 460.0 + 60.0), ("04:00:00", 460.0 + 300.0)],
    ids=["overlapping", "Airflow's own minute", "Airflow was down"],
)
def test_a_host_is_counted_by_its_phases_and_not_by_what_was_waited_for(
    ended: str, seconds: float
) -> None:
    found = durations_of(record(ended_at=f"2026-11-22T{ended}+00:00"))
    assert found["host_seconds"] == seconds


@pytest.mark.parametrize(
    "given",
    [
        {"failed_before": [{"task_id": "migrate_instance", "ended_at": "x"}]},
        {"tasks": [*TASKS, {"task_id": "reboot", "state": "failed", "seconds": 9.0}]},
        {"outcome": "failed"},
        {"tasks": None},
        {"tasks": [*TASKS, {"task_id": "reboot", "state": "success", "seconds": 80_000.0}]},
    ],
    ids=["cleared the next morning", "failed once", "failed", "no tasks", "went on a night later"],
)
def test_a_run_that_did_not_go_through_at_once_teaches_nothing(given: dict[str, Any]) -> None:
    assert durations_of(record(**given)) == {
        "run_id": "r1",
        "ended_at": "2026-11-22T01:10:00+00:00",
        "rebooted": False,
    }


def test_what_an_older_release_measured_is_forgotten() -> None:
    older = {"moves": 4, "moving_seconds": 40.0, "other_seconds": 10_800.0}
    assert learnt_pace(ASSUMED, [older] * 9) == ASSUMED


def test_of_many_what_four_of_five_kept_to_counts() -> None:
    pace = learnt_pace(ASSUMED, [told(10, 10.0 * n, 100.0 * n) for n in range(1, 12)])
    assert (pace.per_host, pace.per_move, pace.learnt_from) == (
        timedelta(seconds=900),
        timedelta(seconds=9),
        11,
    )
    assert pace_in_words(pace) == "Pace: 15 min a host, 9 s an instance, by 11 earlier runs."


def test_no_host_is_taken_to_need_more_than_two_hours() -> None:
    assert learnt_pace(ASSUMED, [told(0, 0, 50_000)] * 3).per_host == timedelta(hours=2)
    assert pace_in_words(ASSUMED) == (
        "Pace: 5 min a host, 10 s an instance and 5 s a GiB of its RAM, as assumed at first."
    )


def test_two_nights_teach_nothing_yet() -> None:
    assert learnt_pace(ASSUMED, [told(1, 9, 200)] * 2) == ASSUMED


def test_the_median_counts_and_not_the_one_night_that_went_wrong() -> None:
    nights = [told(4, 40, 100), told(4, 48, 110), told(4, 44, 7000)]
    pace = learnt_pace(ASSUMED, nights)
    assert pace == NightPace(
        per_host=timedelta(seconds=110),
        per_move=timedelta(seconds=11),
        per_gib=timedelta(0),
        in_flight=1,
    )
    assert pace.maintenance(10, 4096) == timedelta(seconds=220)


def test_empty_hosts_teach_nothing_about_moves() -> None:
    pace = learnt_pace(ASSUMED, [told(0, 0, 90)] * 3)
    assert pace == NightPace(
        per_host=timedelta(seconds=90),
        per_move=ASSUMED.per_move,
        per_gib=ASSUMED.per_gib,
        in_flight=2,
    )


@pytest.mark.parametrize(
    "odd",
    [
        {},
        told(4, 40, float("nan")),
        told(4, float("inf"), 100),
        told(4, 40, 1e300),
        told(-4, 40, 100),
        {**told(4, 40, 100), "moves": "4"},
        {**told(4, 40, 100), "host_seconds": None},
    ],
)
def test_what_was_not_measured_teaches_nothing(odd: dict[str, Any]) -> None:
    assert learnt_pace(ASSUMED, [odd] * 5) == ASSUMED


def test_a_move_whose_times_are_none_is_not_counted() -> None:
    odd = {"started_at": "2026-13-01T00:00:00Z", "ended_at": "9999-12-31T23:59:59-14:00"}
    assert durations_of(record(moves=[odd]))["moves"] == 0


def test_a_run_that_only_drained_the_host_is_no_reboot() -> None:
    assert durations_of(record())["rebooted"] is False
    assert durations_of(record(evidence={"reboot": {"boot_id_after": "x"}}))["rebooted"] is True
