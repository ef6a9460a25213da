"""Tonight, played many times beforehand: by the plan's rules, with what earlier runs teach.

Each night is drawn from a seed. The same seed, fleet and experience give the same answer.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from heapq import heappop, heappush
from statistics import median_high, median_low
from typing import Any

from openstack_maintenance.domain.nights.experience import Course, Experience, Lesson
from openstack_maintenance.domain.nights.fleet import Fleet, FleetInstance
from openstack_maintenance.domain.nights.plan import (
    NightLimits,
    NightPace,
    NightPlan,
    group_on_the_move,
    rooms_of,
)
from openstack_maintenance.domain.nights.room import Place, Room
from openstack_maintenance.domain.nights.tonight import Blocking

NIGHTS = 200
# What stops a night, by the rule that leaves its hosts.
WINDOW, BUDGET, OUT, RESERVE, ROOM, GROUP = "window", "budget", "out", "reserve", "room", "group"


@dataclass(frozen=True)
class Rules:
    """What a night keeps to. ``pace``: by which a host's end is predicted before it starts."""

    limits: NightLimits = field(default_factory=NightLimits)
    pace: NightPace = field(default_factory=NightPace)
    failure_budget: int = 1


@dataclass(frozen=True)
class Night:
    """How one played night went.

    ``failed``: hosts and the phase in which each failed. ``left``: how many hosts each rule left.
    ``end``: when the last host was back. ``moved``: instances that moved, ``migrations`` in all.
    """

    done: tuple[str, ...]
    failed: Mapping[str, str]
    left: Mapping[str, int]
    end: timedelta
    migrations: int
    moved: int

    @property
    def stopped_by(self) -> str | None:
        """The rule that left most hosts; None where none was left."""
        return max(self.left, key=lambda rule: (self.left[rule], rule)) if self.left else None


@dataclass(frozen=True)
class Stop:
    """What stops a night, in how many ``nights``, and in which ``phases`` hosts failed in them."""

    rule: str
    nights: int
    phases: Mapping[str, int]


@dataclass(frozen=True)
class Rehearsal:
    """What the played nights come to.

    ``done``, ``worst_done``, ``end``, ``worst_end``: the median, and what the worst tenth of the
    nights stays within or beyond. ``chances``: by planned host, the least first. ``failures``: in
    how many nights a host failed in a phase. ``left``: the hosts that the plan itself leaves.
    """

    seed: int
    nights: int
    planned: int
    left: Sequence[str]
    done: int
    worst_done: int
    end: timedelta
    worst_end: timedelta
    chances: Mapping[str, float]
    stops: Sequence[Stop]
    failures: Mapping[str, int]
    migrations_per_instance: float | None
    blocking: Sequence[Blocking]
    lessons: Sequence[Lesson]
    records: int


def rehearse(
    fleet: Fleet,
    plan: NightPlan,
    rules: Rules,
    experience: Experience,
    *,
    seed: int = 1,
    nights: int = NIGHTS,
    blocking: Sequence[Blocking] = (),
    is_time_up: Callable[[], bool] = lambda: False,
) -> Rehearsal:
    """Play the plan that many times; fewer where ``is_time_up`` says so, but once at least."""
    played: list[Night] = []
    while len(played) < nights and not (played and is_time_up()):
        played.append(play_night(fleet, plan, rules, experience, f"{seed}/{len(played)}"))
    done = [len(each.done) for each in played]
    ends = [each.end for each in played]
    return Rehearsal(
        seed=seed,
        nights=len(played),
        planned=len(plan.hosts),
        left=tuple(each.host for each in plan.left),
        done=median_low(done),
        worst_done=_worst_tenth(sorted(done)),
        end=median_high(ends),
        worst_end=_worst_tenth(sorted(ends, reverse=True)),
        chances=_chances(plan, played),
        stops=_stops(played),
        failures=_failures(played),
        migrations_per_instance=_per_instance(played),
        blocking=blocking,
        lessons=experience.lessons(),
        records=len(experience.runs),
    )


def play_night(
    fleet: Fleet, plan: NightPlan, rules: Rules, experience: Experience, seed: str
) -> Night:
    """Play one night. What happens to a host depends on the seed and the host, not on the others:
    so one that fails more often makes no other one luckier.
    """

    def course(place: Place) -> Course:
        dice = random.Random(f"{seed}/{place.host.name}")  # noqa: S311 - a simulation, no secret
        load = place.load.ram_mib
        return experience.course(place.host.name, len(place.instances), load, dice)

    return _Played(fleet, plan, rules, course).play()


class _Wait(Exception):
    """A host cannot start now, by this rule."""


class _Left(Exception):
    """A host does not start any more tonight, by this rule."""


class _Played:
    """A night as `maintain_host` goes through it: so many turns at a time, in the plan's order."""

    def __init__(
        self, fleet: Fleet, plan: NightPlan, rules: Rules, course: Callable[[Place], Course]
    ) -> None:
        self._rules, self._course = rules, course
        self._rooms: dict[str, Room] = {}
        self._places: dict[str, Place] = {}
        for room in rooms_of(fleet, rules.limits.reserve_hosts).values():
            self._rooms |= dict.fromkeys(room.places, room)
            self._places |= room.places
        self._queue = deque(each.host for each in plan.hosts)
        self._waiting: list[str] = []
        self._running: list[tuple[timedelta, int, str, Course]] = []
        self._groups_of: dict[str, frozenset[str]] = {}
        self._groups_out: Counter[str] = Counter()
        self._stay_out = 0
        # How many hosts have come back in a zone; and how many had, when a host found no room.
        self._returns: Counter[str] = Counter()
        self._no_room_at: dict[str, int] = {}
        self._now = self._end = timedelta(0)
        self._done: list[str] = []
        self._failed: dict[str, str] = {}
        self._left: Counter[str] = Counter()
        self._moved: set[str] = set()
        self._migrations = self._started = 0

    def play(self) -> Night:
        while True:
            self._start_all()
            if not self._running:
                break
            self._now, _, host, course = heappop(self._running)
            self._finish(host, course)
        return Night(
            tuple(self._done),
            self._failed,
            dict(self._left),
            self._end,
            self._migrations,
            len(self._moved),
        )

    def _start_all(self) -> None:
        """Every turn that has come, in the plan's order; one that is over makes room for the next.

        A host that goes out, and one that is left, may change what the others find.
        """
        while True:
            self._take_turns()
            if not any(self._try(host) for host in list(self._waiting)):
                return

    def _take_turns(self) -> None:
        while self._queue and self._turns < self._rules.limits.hosts_out:
            self._waiting.append(self._queue.popleft())

    @property
    def _turns(self) -> int:
        return len(self._waiting) + len(self._running)

    def _try(self, host: str) -> bool:
        """Whether the host need not wait any more: it has started, or is left."""
        try:
            self._start(host)
        except _Wait as rule:
            if self._is_someone_back():
                return False
            self._left[str(rule)] += 1
        except _Left as rule:
            self._left[str(rule)] += 1
        self._waiting.remove(host)
        return True

    def _is_someone_back(self) -> bool:
        """Whether a host is out that comes back: a failed one is not waited for."""
        return bool(self._running)

    def _start(self, host: str) -> None:
        """Raises: _Wait; _Left."""
        rules, place, room = self._rules, self._places[host], self._rooms[host]
        # Whom the pre-check refuses has not failed.
        if sum(phase != "check" for phase in self._failed.values()) > rules.failure_budget:
            raise _Left(BUDGET)
        length = rules.pace.maintenance(len(place.instances), place.load.ram_mib)
        if rules.limits.time is not None and self._now + length > rules.limits.time:
            raise _Left(WINDOW)
        if self._stay_out + len(self._running) >= rules.limits.hosts_out:
            raise _Wait(OUT)
        if group_on_the_move(place, self._groups_out):
            raise _Wait(GROUP)
        if not room.keeps_reserve_without(place):
            raise _Wait(RESERVE)
        if self._no_room_at.get(host) == self._returns[place.host.zone]:
            raise _Wait(ROOM)  # who goes out makes no room: only who comes back
        course = self._course(place)
        if course.fails_in != "check":
            self._drain(room, place, course)
        self._started += 1
        ends = self._now + timedelta(seconds=course.seconds)
        heappush(self._running, (ends, self._started, host, course))

    def _drain(self, room: Room, place: Place, course: Course) -> None:
        groups = frozenset(place.groups)
        moves = room.empty(place)
        if isinstance(moves, FleetInstance):
            self._no_room_at[place.host.name] = self._returns[place.host.zone]
            raise _Wait(ROOM)
        self._groups_of[place.host.name] = groups
        self._groups_out.update(groups)
        moved = moves[: round(course.moved * len(moves))]
        self._migrations += len(moved)
        self._moved.update(instance.id for instance, _ in moved)

    def _finish(self, host: str, course: Course) -> None:
        if course.fails_in is not None:
            self._fail(host, course.fails_in)
            return
        self._groups_out.subtract(self._groups_of[host])
        self._rooms[host].give_back(self._places[host])
        self._returns[self._places[host].host.zone] += 1
        time = self._rules.limits.time
        if time is not None and self._now > time:
            self._left[WINDOW] += 1
            return
        self._end = self._now
        self._done.append(host)

    def _fail(self, host: str, phase: str) -> None:
        """What the pre-check refuses is untouched; any other host stays out, with what it holds."""
        self._failed[host] = phase
        if phase == "check":
            return
        self._stay_out += 1
        if phase != "drain":
            self._groups_out.subtract(self._groups_of[host])


def _worst_tenth(worst_first: Sequence[Any]) -> Any:
    """The best of the worst tenth: every tenth night is like this, or worse."""
    return worst_first[max(0, len(worst_first) // 10 - 1)]


def _chances(plan: NightPlan, played: Sequence[Night]) -> dict[str, float]:
    done = Counter(host for night in played for host in night.done)
    shares = {each.host: done[each.host] / len(played) for each in plan.hosts}
    # The sort is stable: of the same chance, whose turn is the first comes first.
    return dict(sorted(shares.items(), key=lambda each: each[1]))


def _stops(played: Sequence[Night]) -> list[Stop]:
    found: dict[str, list[Night]] = {}
    for night in played:
        if rule := night.stopped_by:
            found.setdefault(rule, []).append(night)
    stops = [Stop(rule, len(nights), _failures(nights)) for rule, nights in found.items()]
    return sorted(stops, key=lambda each: (-each.nights, each.rule))


def _failures(played: Iterable[Night]) -> dict[str, int]:
    """In how many nights a host failed in a phase, most first."""
    found = Counter(phase for night in played for phase in sorted(set(night.failed.values())))
    return dict(sorted(found.items(), key=lambda each: (-each[1], each[0])))


def _per_instance(played: Sequence[Night]) -> float | None:
    moved = sum(each.moved for each in played)
    return sum(each.migrations for each in played) / moved if moved else None
