"""A night as a person reads it: the hosts that are due, the plan, the hosts that are left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from openstack_maintenance.domain.nights.bound import Bound
from openstack_maintenance.domain.nights.due import Verdict
from openstack_maintenance.domain.nights.pace import pace_in_words
from openstack_maintenance.domain.nights.plan import NightPlan, PlannedHost

_WIDTH = 40
_KINDS = ("due", "passed_over", "not_due")
# So many destinations of a host are named; of the rest, how many there are.
_NAMED = 3
_HEAD = ("host", "zone", "instances", "out", "back", "they go to")


def verdicts_in_words(verdicts: Iterable[Verdict]) -> str:
    """Which hosts are due and which are not, each with the reason; who is due first."""
    ordered = sorted(verdicts, key=lambda each: (_KINDS.index(each.kind), each.host))
    rows = [(each.host, each.kind.replace("_", " "), each.reason) for each in ordered]
    return "\n".join(columns([("host", "tonight", "why"), *rows]))


def plan_in_words(
    plan: NightPlan, bound: Bound, begins: datetime, until: datetime | None, zone: str
) -> str:
    """The plan as text, its times by the wall clock of ``zone``, an IANA name.

    ``begins``: the moment from which the plan counts. ``until``: the window's end; None where
    it is ignored. Both are aware.
    """
    clock = WallClock(begins, ZoneInfo(zone))
    lines = ["No host is to be maintained now."]
    if plan.hosts:
        lines = [
            _hosts_and_time(plan, bound, clock, until),
            _instances_and_moves(plan, bound),
            pace_in_words(plan.pace),
            "",
            *columns([_HEAD, *(_row(each, clock) for each in plan.hosts)], right={2}),
            "",
            *_timeline(plan, clock),
        ]
    if plan.left and not plan.hosts:
        lines.append(pace_in_words(plan.pace))
    if plan.left:
        lines += ["", "Left for another night:"]
        lines += columns([(each.host, each.reason) for each in plan.left])
    return "\n".join(lines)


class WallClock:
    """The clock on the wall while a night goes on, to the nearest minute."""

    def __init__(self, begins: datetime, zone: tzinfo) -> None:
        self._begins, self._zone = begins.astimezone(UTC), zone

    def after(self, length: timedelta) -> str:
        # By way of UTC: in a zone of its own Python adds as if the clocks were never changed.
        return self.of(self._begins + length)

    def of(self, moment: datetime) -> str:
        return f"{(moment + timedelta(seconds=30)).astimezone(self._zone):%H:%M}"

    @property
    def name(self) -> str:
        """What people call the zone that night, such as CET."""
        return f"{self._begins.astimezone(self._zone):%Z}"


def _hosts_and_time(plan: NightPlan, bound: Bound, clock: WallClock, until: datetime | None) -> str:
    hosts = "1 host" if len(plan.hosts) == 1 else f"{len(plan.hosts)} hosts"
    end = f"the window ends at {clock.of(until)}" if until else "the window is ignored"
    return (
        f"{hosts} from {clock.after(timedelta(0))} to {clock.after(plan.makespan)} {clock.name}: "
        f"{_length(plan.makespan)}, at best {_length(bound.makespan)}; {end}."
    )


def _instances_and_moves(plan: NightPlan, bound: Bound) -> str:
    if not bound.instances:
        return "There are no instances on them: nothing moves."
    each = plan.migrations / bound.instances
    return (
        f"Instances on them: {bound.instances}, migrations: {plan.migrations}; "
        f"{each:.2f} for each, at best 1.00."
    )


def _row(turn: PlannedHost, clock: WallClock) -> tuple[str, ...]:
    times = clock.after(turn.starts), clock.after(turn.ends)
    return turn.host, turn.zone, str(len(turn.moves)), *times, _destinations(turn)


def _destinations(turn: PlannedHost) -> str:
    """Where its instances go: the hosts that take the most first."""
    to = Counter(move.to for move in turn.moves)
    ranked = sorted(to.items(), key=lambda each: (-each[1], each[0]))
    told = [f"{host} ({count})" for host, count in ranked]
    if len(told) > _NAMED + 1:
        told[_NAMED:] = [f"{len(told) - _NAMED} more hosts"]
    return ", ".join(told) or "-"


def _timeline(plan: NightPlan, clock: WallClock) -> list[str]:
    times = f"{clock.after(timedelta(0))}{clock.after(plan.makespan):>{_WIDTH - 3}}"
    bars = [(each.host, _bar(each, plan.makespan)) for each in plan.hosts]
    return columns([("", times), *bars])


def _bar(turn: PlannedHost, whole: timedelta) -> str:
    first = min(round(turn.starts / whole * _WIDTH), _WIDTH - 1)
    last = max(first + 1, round(turn.ends / whole * _WIDTH))
    return f"|{' ' * first}{'=' * (last - first)}{' ' * (_WIDTH - last)}|"


def _length(length: timedelta) -> str:
    minutes = round(length / timedelta(minutes=1))
    if not minutes:
        return f"{round(length.total_seconds())} s"
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"


def columns(rows: Sequence[Sequence[str]], right: Collection[int] = ()) -> list[str]:
    """Rows as lines of aligned columns; those in ``right`` by their last character."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if place in right else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
