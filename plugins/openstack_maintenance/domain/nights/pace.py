"""How long maintenance takes here, learnt from earlier nights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from statistics import median
from typing import Any

from openstack_maintenance.domain.moment import read_moment
from openstack_maintenance.domain.nights.plan import NightPace

# With fewer earlier maintenances than this, what is assumed counts.
_ENOUGH = 3
_LONGEST_SECONDS = 366 * 86400


def durations_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """What a finished record teaches: ended_at, run_id, seconds beside and in the moves, GiB.

    Moves that overlap are counted from the first start to the last end.
    """
    spans = [
        (read_moment(m.get("started_at")), read_moment(m.get("ended_at"))) for m in record["moves"]
    ]
    moves = [(began, ended) for began, ended in spans if began and ended]
    moving = 0.0
    if moves:
        began = min(began for began, _ in moves)
        ended = max(ended for _, ended in moves)
        moving = (ended - began).total_seconds()
    whole = datetime.fromisoformat(record["ended_at"]) - datetime.fromisoformat(
        record["started_at"]
    )
    return {
        "ended_at": record["ended_at"],
        "run_id": record["run_id"],
        "moves": len(moves),
        "moving_seconds": moving,
        "other_seconds": max(0.0, whole.total_seconds() - moving),
    }


def _is_measured(told: Mapping[str, Any]) -> bool:
    """Whether all numbers are there; an infinite one, or one beyond a year, measures nothing."""
    numbers = [told.get(key) for key in ("moves", "moving_seconds", "other_seconds")]
    return all(isinstance(each, (int, float)) and 0 <= each <= _LONGEST_SECONDS for each in numbers)


def learnt_pace(assumed: NightPace, told: Iterable[Mapping[str, Any]]) -> NightPace:
    """The pace by the medians of earlier maintenances; what is not known stays as assumed."""
    known = [each for each in told if _is_measured(each)]
    if len(known) < _ENOUGH:
        return assumed
    others = median(each["other_seconds"] for each in known)
    moved = [each for each in known if each["moves"]]
    if len(moved) < _ENOUGH:
        return NightPace(
            timedelta(seconds=others), assumed.per_move, assumed.per_gib, assumed.in_flight
        )
    per_move = median(each["moving_seconds"] / each["moves"] for each in moved)
    # Measured with the policy's migrations in flight: they are in it already.
    return NightPace(timedelta(seconds=others), timedelta(seconds=per_move), timedelta(0), 1)
