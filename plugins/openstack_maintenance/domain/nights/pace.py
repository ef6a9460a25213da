"""How long maintenance takes here, learnt from earlier nights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from statistics import median, quantiles
from typing import Any

from openstack_maintenance.domain.nights.past_run import REST, moves_of, read_past_run
from openstack_maintenance.domain.nights.plan import NightPace

# With fewer earlier maintenances than this, what is assumed counts.
_ENOUGH = 3
# With so many, what four of five of them kept to; one odd one of fewer would decide alone.
_MANY = 10
_LONGEST_SECONDS = 366 * 86400
# A host's own time is its phases. What is between them is Airflow's, if it is short: else somebody
# was waited for, or Airflow was down. No host of ours needs longer than this without a fault.
_MOST_REST_SECONDS = 300.0
_MOST_HOST_SECONDS = 7200.0
# A step that took longer than a night has waited for the next one.
_WAITED_SECONDS = 6 * 3600.0


def durations_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """What a finished record teaches: ended_at, run_id, whether the host was rebooted
    (``rebooted``), seconds beside and in the moves.

    Only a run that went through at once is measured, from its first check until its host was
    given back, without the wait for the window: one that was cleared the next morning says
    nothing. Moves that overlap are counted from the first start to the last end.
    """
    evidence = record.get("evidence")
    was_rebooted = isinstance(evidence, Mapping) and bool(evidence.get("reboot"))
    told = {
        "ended_at": record["ended_at"],
        "run_id": record["run_id"],
        "rebooted": was_rebooted,
    }
    run = read_past_run(record)
    if run is None or not run.seconds:
        return told
    phases = sum(length for phase, length in run.seconds.items() if phase != REST)
    if phases > _WAITED_SECONDS:
        return told
    return {
        **told,
        "moves": moves_of(record),
        "moving_seconds": run.drain_seconds,
        "host_seconds": phases + min(run.seconds[REST], _MOST_REST_SECONDS),
    }


def _is_measured(told: Mapping[str, Any]) -> bool:
    """Whether all numbers are there; an infinite one, or one beyond a year, measures nothing.

    Older releases noted ``other_seconds``, in which whatever was waited for is counted, too.
    """
    numbers = [told.get(key) for key in ("moves", "moving_seconds", "host_seconds")]
    return all(isinstance(each, (int, float)) and 0 <= each <= _LONGEST_SECONDS for each in numbers)


def learnt_pace(assumed: NightPace, told: Iterable[Mapping[str, Any]]) -> NightPace:
    """The pace by earlier maintenances; what is not known stays as assumed."""
    known = [each for each in told if _is_measured(each)]
    if len(known) < _ENOUGH:
        return assumed
    hosts = _kept(min(each["host_seconds"], _MOST_HOST_SECONDS) for each in known)
    moved = [each for each in known if each["moves"]]
    if len(moved) < _ENOUGH:
        return NightPace(
            timedelta(seconds=hosts),
            assumed.per_move,
            assumed.per_gib,
            assumed.in_flight,
            learnt_from=len(known),
        )
    per_move = _kept(each["moving_seconds"] / each["moves"] for each in moved)
    # Measured with the policy's migrations in flight: they are in it already.
    return NightPace(
        timedelta(seconds=hosts),
        timedelta(seconds=per_move),
        timedelta(0),
        1,
        learnt_from=len(known),
    )


def _kept(seconds: Iterable[float]) -> float:
    """What most of them keep to: half of a few, four of five of many."""
    found = list(seconds)
    return quantiles(found, n=5, method="inclusive")[-1] if len(found) >= _MANY else median(found)


def pace_in_words(pace: NightPace) -> str:
    """What a host is taken to need, and where that is from."""
    seconds = round(pace.per_host.total_seconds())
    a_host = f"{seconds // 60} min" if seconds % 60 == 0 and seconds else f"{seconds} s"
    moves = f"{pace.per_move.total_seconds():.3g} s an instance"
    if pace.per_gib:
        moves += f" and {pace.per_gib.total_seconds():.3g} s a GiB of its RAM"
    source = f"by {pace.learnt_from} earlier runs" if pace.learnt_from else "as assumed at first"
    return f"Pace: {a_host} a host, {moves}, {source}."
