"""What earlier maintenances teach about how long the next one takes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from openstack_maintenance.domain.nights.pace import durations_of, learnt_pace
from openstack_maintenance.domain.nights.plan import NightPace

ASSUMED = NightPace(
    per_host=timedelta(minutes=5),
    per_move=timedelta(seconds=10),
    per_gib=timedelta(seconds=5),
    in_flight=2,
)


def record(**given: Any) -> dict[str, Any]:
    return {
        "run_id": "r1",
        "started_at": "2026-11-22T01:00:00+00:00",
        "ended_at": "2026-11-22T01:10:00+00:00",
        "moves": [],
        **given,
    }


def move(first: str, last: str) -> dict[str, str]:
    day = "2026-11-22T01:"
    return {"started_at": f"{day}{first}+00:00", "ended_at": f"{day}{last}+00:00"}


def told(moves: int, moving: float, other: float) -> dict[str, Any]:
    return {"moves": moves, "moving_seconds": moving, "other_seconds": other}


def test_the_moves_of_a_record_are_counted_once_where_they_overlap() -> None:
    moves = [move("01:00", "02:00"), move("01:30", "03:00"), {"started_at": None}]
    found = durations_of(record(moves=moves))
    assert (found["moves"], found["moving_seconds"], found["other_seconds"]) == (2, 120.0, 480.0)
    assert (found["run_id"], found["ended_at"]) == ("r1", "2026-11-22T01:10:00+00:00")


def test_a_record_without_moves_teaches_the_rest() -> None:
    assert durations_of(record())["other_seconds"] == 600.0


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
        {**told(4, 40, 100), "other_seconds": None},
    ],
)
def test_what_was_not_measured_teaches_nothing(odd: dict[str, Any]) -> None:
    assert learnt_pace(ASSUMED, [odd] * 5) == ASSUMED


def test_a_move_whose_times_are_none_is_not_counted() -> None:
    odd = {"started_at": "2026-13-01T00:00:00Z", "ended_at": "9999-12-31T23:59:59-14:00"}
    assert durations_of(record(moves=[odd]))["moves"] == 0
