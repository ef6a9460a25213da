"""A rehearsal as a person reads it, and as the night's record has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from openstack_maintenance.domain.nights.experience import Lesson
from openstack_maintenance.domain.nights.past_run import REST
from openstack_maintenance.domain.nights.plan_in_words import WallClock, columns
from openstack_maintenance.domain.nights.rehearsal import (
    BUDGET,
    GROUP,
    OUT,
    RESERVE,
    ROOM,
    WINDOW,
    Rehearsal,
    Stop,
)
from openstack_maintenance.domain.nights.tonight import Blocking

# So many rows of a list are for a person; the record has all.
_ROWS = 30
_NAMED = 10
_FEW_NIGHTS = 50
_RULES = {
    WINDOW: "the window ends",
    BUDGET: "more hosts have failed than failure_budget allows",
    OUT: "failed hosts stay out, and no more may be out (max_hosts_out)",
    RESERVE: "too little would stay free in the zone (reserve_hosts)",
    ROOM: "an instance fits on no other host of its zone",
    GROUP: "a failed host holds a member of the same server group",
}
_PHASES = {
    "check": "pre-check",
    "drain": "drain",
    "stop": "stop of nova-compute",
    "script": "script",
    "boot": "boot",
    "proofs": "proofs after the boot",
    REST: "Airflow's own time",
    "handover": "from one host to the next",
}


def rehearsal_in_words(
    rehearsal: Rehearsal, begins: datetime, until: datetime | None, zone: str
) -> str:
    """The answer first, then who is at risk and why, then what it goes by."""
    clock = WallClock(begins, ZoneInfo(zone))
    parts = [
        _head(rehearsal),
        *([_outcome(rehearsal, clock, until)] if rehearsal.planned else []),
        _left(rehearsal.left),
        _blocked(rehearsal.blocking),
        *([_basis(rehearsal)] if rehearsal.planned else []),
    ]
    return "\n\n".join(part for part in parts if part)


def rehearsal_as_json(rehearsal: Rehearsal) -> dict[str, Any]:
    """A rehearsal as plain JSON, for the record."""
    return {
        "seed": rehearsal.seed,
        "nights": rehearsal.nights,
        "planned": rehearsal.planned,
        "done": {"median": rehearsal.done, "worst_tenth": rehearsal.worst_done},
        "end_seconds": {
            "median": rehearsal.end.total_seconds(),
            "worst_tenth": rehearsal.worst_end.total_seconds(),
        },
        "chances": {**dict.fromkeys(rehearsal.left, 0.0), **rehearsal.chances},
        "stops": [
            {"reason": _RULES[each.rule], "nights": each.nights, "failed_in": dict(each.phases)}
            for each in rehearsal.stops
        ],
        "failures": dict(rehearsal.failures),
        "migrations_per_instance": rehearsal.migrations_per_instance,
        "blocking": [asdict(each) for each in rehearsal.blocking],
        "records": rehearsal.records,
        "basis": [asdict(each) for each in rehearsal.lessons],
    }


def _head(rehearsal: Rehearsal) -> str:
    if not rehearsal.planned:
        return "Rehearsal: the plan has no host, so there is nothing to play."
    times = f"{rehearsal.nights} times" if rehearsal.nights > 1 else "once"
    rough = ""
    if rehearsal.nights < _FEW_NIGHTS:
        rough = " So few nights give rough numbers only."
    return f"Rehearsal: tonight was played {times} (seed {rehearsal.seed}).{rough}"


def _outcome(rehearsal: Rehearsal, clock: WallClock, until: datetime | None) -> str:
    by = f"by the window's end ({clock.of(until)} {clock.name})" if until else "without a window"
    lines = [
        f"Done {by}: {rehearsal.done} of {_hosts(rehearsal.planned)} (median), "
        f"{rehearsal.worst_done} in the worst tenth of the nights."
    ]
    if rehearsal.done:
        lines.append(
            f"Last host back: {clock.after(rehearsal.end)} (median), "
            f"{clock.after(rehearsal.worst_end)} in the latest tenth."
        )
    if rehearsal.migrations_per_instance is not None:
        lines.append(f"Migrations: {rehearsal.migrations_per_instance:.2f} for each instance.")
    lines += ["", _stopped(rehearsal), "", _chances(rehearsal.chances)]
    return "\n".join(lines)


def _stopped(rehearsal: Rehearsal) -> str:
    """What most often stops the night, and in which phase hosts fail."""
    lines = ["No night was stopped: each planned host had its turn."]
    if rehearsal.stops:
        rows = [
            (f"{each.nights} of {rehearsal.nights} nights", _rule(each)) for each in rehearsal.stops
        ]
        lines = ["What stops the night, most often first:", *columns(rows)]
    if rehearsal.failures:
        told = [f"{_PHASES[phase]} {nights}" for phase, nights in rehearsal.failures.items()]
        lines.append(f"Nights in which a host fails, by what fails: {', '.join(told)}.")
    return "\n".join(lines)


def _rule(stop: Stop) -> str:
    """The rule; where failed hosts are the cause, what most often failed."""
    if stop.rule not in (OUT, BUDGET) or not stop.phases:
        return _RULES[stop.rule]
    return f"{_RULES[stop.rule]}; what fails most often: {_PHASES[next(iter(stop.phases))]}"


def _chances(chances: Mapping[str, float]) -> str:
    unsure = [(host, chance) for host, chance in chances.items() if chance < 1]
    sure = len(chances) - len(unsure)
    if not unsure:
        return f"Chance to be done: 100 % for each of {_hosts(sure)}."
    rows = [("host", "chance"), *((host, _percent(chance)) for host, chance in unsure[:_ROWS])]
    lines = ["Chance to be done, least first:", *columns(rows, right={1})]
    if more := unsure[_ROWS:]:
        first, last = _percent(more[0][1]), _percent(more[-1][1])
        lines.append(f"{len(more)} more: from {first} to {last}.")
    if sure:
        lines.append(f"{sure} more: 100 %.")
    return "\n".join(lines)


def _left(hosts: Sequence[str]) -> str:
    """Who has no chance, because the plan has no turn for it."""
    if not hosts:
        return ""
    more = f" and {len(hosts) - _NAMED} more" if len(hosts) > _NAMED else ""
    named = f"{', '.join(hosts[:_NAMED])}{more}"
    return f"No chance tonight, because the plan leaves them (`make plan` says why): {named}."


def _blocked(blocking: Sequence[Blocking]) -> str:
    if not blocking:
        return "No instance would block now."
    rows = [(each.host, each.instance, f"{each.reason}. {each.remedy}") for each in blocking]
    told = columns([("host", "instance", "why, and what to do"), *rows[:_ROWS]])
    more = [f"{len(rows) - _ROWS} more instances block."] if len(rows) > _ROWS else []
    return "\n".join(["Instances that would block:", *told, *more])


def _basis(rehearsal: Rehearsal) -> str:
    runs = "1 record" if rehearsal.records == 1 else f"{rehearsal.records} records"
    # That there is no script, say, needs no row.
    told = [each for each in rehearsal.lessons if each.value]
    rows = [(_what(each), _value(each), _source(each)) for each in told]
    table = columns([("what", "value", "from"), *rows], right={1})
    return "\n".join([f"It goes by {runs} of earlier runs, and by what is assumed:", *table])


def _what(lesson: Lesson) -> str:
    phase, _, fails = lesson.what.partition(" ")
    return f"{_PHASES[phase]} {fails}".rstrip() if phase in _PHASES else lesson.what


def _value(lesson: Lesson) -> str:
    if lesson.unit == "seconds":
        return f"{lesson.value:.0f} s"
    if lesson.unit == "seconds per GiB":
        return f"{lesson.value:.2f} s/GiB"
    return f"{lesson.value * 100:.2f} %"


def _source(lesson: Lesson) -> str:
    runs = "1 run" if lesson.records == 1 else f"{lesson.records} runs"
    return f"assumed: {runs} known, too few" if lesson.is_assumed else runs


def _hosts(count: int) -> str:
    return "1 host" if count == 1 else f"{count} hosts"


def _percent(share: float) -> str:
    """In whole percent; what is not certain is neither 0 nor 100."""
    if 0 < share < 1:
        return f"{min(99, max(1, round(share * 100)))} %"
    return f"{share * 100:.0f} %"
