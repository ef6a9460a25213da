"""What may happen to a host tonight: learned from earlier runs, assumed until there are enough."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from statistics import median

from openstack_maintenance.domain.nights.past_run import PHASES, REST, PastRun, gib_of
from openstack_maintenance.domain.nights.plan import NightPace

# How often a phase fails as long as too few runs are known, and how often an instance is in the
# way that was not when the night was planned.
ASSUMED_FAILURES: Mapping[str, float] = {
    "check": 0.01,
    "drain": 0.02,
    "stop": 0.005,
    "script": 0.0,
    "boot": 0.01,
    "proofs": 0.01,
}
ASSUMED_BLOCKED = 0.0005
# How the time beside the drain is assumed to be shared.
_SHARES = {"check": 0.05, "stop": 0.05, "script": 0.0, "boot": 0.5, "proofs": 0.2, REST: 0.2}
_ASSUMED_HANDOVER = 10.0
# What is assumed may be that much shorter or longer.
_SPREAD = (0.85, 1.5)
# Fewer runs than this teach no rate; fewer than that no duration.
ENOUGH_RUNS, ENOUGH_TIMES = 20, 3
# A host's own runs count beside so many of all hosts.
_OTHERS = 5
# Longer than this, the next host was waiting for something else than the other's return.
_LONGEST_HANDOVER = 120.0
_NIGHTLY = "nightly__"


@dataclass(frozen=True)
class Course:
    """How a host's turn goes: ``seconds`` in all, and the phase in which it fails, if any.

    ``is_blocked``: an instance is in the way. ``moved``: the share of its instances that moves.
    """

    seconds: float
    fails_in: str | None = None
    is_blocked: bool = False
    moved: float = 1.0


@dataclass(frozen=True)
class Lesson:
    """What a rehearsal goes by. ``records``: how many runs told it. ``value`` in ``unit``."""

    what: str
    value: float
    unit: str
    records: int
    is_assumed: bool


@dataclass(frozen=True)
class Experience:
    """All that is known of earlier runs, and what is assumed beside it.

    ``pace``: what the night's plan goes by. ``fails_after``: seconds that a phase takes which
    fails, where a time-out ends it. ``failures`` and ``blocked``: the assumed rates, each of a
    host's run and of an instance. ``spread``: of what is assumed, the shortest and the longest.
    """

    runs: Sequence[PastRun] = ()
    pace: NightPace = field(default_factory=NightPace)
    fails_after: Mapping[str, float] = field(default_factory=dict)
    failures: Mapping[str, float] = field(default_factory=lambda: ASSUMED_FAILURES)
    blocked: float = ASSUMED_BLOCKED
    spread: tuple[float, float] = _SPREAD
    handover: float = _ASSUMED_HANDOVER

    def course(self, host: str, instances: int, ram_mib: int, dice: random.Random) -> Course:
        """How the turn of a host goes. It always takes the same number of draws."""
        fails = {phase: dice.random() for phase in PHASES}
        blocks, moved, drain = dice.random(), dice.random(), dice.random()
        lengths = {phase: dice.random() for phase in (*_SHARES, "handover")}
        rates = self._rates_of(host)
        failed = next((each for each in PHASES if fails[each] < rates[each]), None)
        is_blocked = blocks < 1 - (1 - self._blocked) ** instances
        if is_blocked:
            failed = "check"
        times = self._times_of(host)
        seconds = self._drawn("handover", self._handovers, lengths["handover"], self.handover)
        seconds += self._part(REST, times, lengths)
        for phase in PHASES:
            if phase == "drain":
                length = self._drain(host, instances, ram_mib, drain)
            else:
                length = self._part(phase, times, lengths)
            if phase == failed:
                length = max(length, self.fails_after.get(phase, 0.0))
            seconds += length
            if phase == failed:
                break
        share = moved if failed == "drain" else float(failed != "check")
        return Course(seconds, failed, is_blocked, share)

    def lessons(self) -> list[Lesson]:
        """Everything that a rehearsal goes by, the durations first."""
        told = [self._drain_lesson()]
        for phase in (*_SHARES, "handover"):
            times = self._handovers if phase == "handover" else self._times.get(phase, [])
            is_assumed = len(times) < ENOUGH_TIMES
            value = self._assumed_seconds(phase) if is_assumed else median(times)
            told.append(Lesson(phase, value, "seconds", len(times), is_assumed))
        for phase, rate in self._rates.items():
            reached = self._counts[phase][0]
            told.append(
                Lesson(f"{phase} fails", rate, "share of runs", reached, reached < ENOUGH_RUNS)
            )
        seen = sum(each.instances > 0 for each in self.runs)
        is_assumed = seen < ENOUGH_RUNS
        told.append(
            Lesson("an instance blocks", self._blocked, "share of instances", seen, is_assumed)
        )
        return told

    def _drain_lesson(self) -> Lesson:
        rates = self._drain_rates
        is_assumed = len(rates) < ENOUGH_TIMES
        if not is_assumed:
            return Lesson("drain", median(rates), "seconds per GiB", len(rates), False)
        # As the plan has it, of an instance of 4 GiB.
        one = self.pace.maintenance(1, 4096) - self.pace.per_host
        value = one.total_seconds() / gib_of(1, 4096)
        return Lesson("drain", value, "seconds per GiB", len(rates), True)

    def _drain(self, host: str, instances: int, ram_mib: int, drawn: float) -> float:
        if not instances:
            return 0.0
        own = self._drain_rates_by_host.get(host, [])
        rates = own if len(own) >= ENOUGH_TIMES else self._drain_rates
        if len(rates) >= ENOUGH_TIMES:
            return rates[int(drawn * len(rates))] * gib_of(instances, ram_mib)
        planned = self.pace.maintenance(instances, ram_mib) - self.pace.per_host
        return planned.total_seconds() * self._assumed(drawn)

    def _part(
        self, phase: str, times: Mapping[str, Sequence[float]], drawn: Mapping[str, float]
    ) -> float:
        return self._drawn(phase, times.get(phase, ()), drawn[phase], self._assumed_seconds(phase))

    def _drawn(self, phase: str, times: Sequence[float], drawn: float, assumed: float) -> float:
        if len(times) >= ENOUGH_TIMES:
            return times[int(drawn * len(times))]
        return assumed * self._assumed(drawn)

    def _assumed(self, drawn: float) -> float:
        """From the shortest to the longest, mostly about as assumed."""
        low, high = self.spread
        return low + (1 - low) * drawn * 2 if drawn < 0.5 else 1 + (high - 1) * (drawn * 2 - 1) ** 2

    def _assumed_seconds(self, phase: str) -> float:
        if phase == "handover":
            return self.handover
        return _SHARES[phase] * self.pace.per_host.total_seconds()

    def _rates_of(self, host: str) -> Mapping[str, float]:
        counts = self._counts_by_host.get(host)
        if counts is None:
            return self._rates
        return {
            phase: (counts[phase][1] + _OTHERS * rate) / (counts[phase][0] + _OTHERS)
            for phase, rate in self._rates.items()
        }

    def _times_of(self, host: str) -> Mapping[str, Sequence[float]]:
        own = self._times_by_host.get(host, {})
        is_enough = len(own.get(REST, ())) >= ENOUGH_TIMES
        return own if is_enough else self._times

    @cached_property
    def _rates(self) -> dict[str, float]:
        """Of every phase, how often it fails: with one run more that went as assumed."""
        rates = {}
        for phase, assumed in self.failures.items():
            reached, failed = self._counts[phase]
            is_enough = reached >= ENOUGH_RUNS
            rates[phase] = (failed + assumed) / (reached + 1) if is_enough else assumed
        return rates

    @cached_property
    def _blocked(self) -> float:
        seen = [each for each in self.runs if each.instances > 0 or each.blocked]
        if len(seen) < ENOUGH_RUNS:
            return self.blocked
        instances = sum(each.instances + each.blocked for each in seen)
        return (sum(each.blocked for each in seen) + self.blocked) / (instances + 1)

    @cached_property
    def _counts(self) -> dict[str, tuple[int, int]]:
        return _counts(self.runs)

    @cached_property
    def _counts_by_host(self) -> dict[str, dict[str, tuple[int, int]]]:
        return {host: _counts(runs) for host, runs in self._by_host.items()}

    @cached_property
    def _by_host(self) -> dict[str, list[PastRun]]:
        found = defaultdict(list)
        for each in self.runs:
            found[each.host].append(each)
        return dict(found)

    @cached_property
    def _times(self) -> dict[str, list[float]]:
        return _times(self.runs)

    @cached_property
    def _times_by_host(self) -> dict[str, dict[str, list[float]]]:
        return {host: _times(runs) for host, runs in self._by_host.items()}

    @cached_property
    def _drain_rates(self) -> list[float]:
        return _drain_rates(self.runs)

    @cached_property
    def _drain_rates_by_host(self) -> dict[str, list[float]]:
        return {host: _drain_rates(runs) for host, runs in self._by_host.items()}

    @cached_property
    def _handovers(self) -> list[float]:
        """Seconds from one host's return to the next one's start, in the same night."""
        nights = defaultdict(list)
        for each in self.runs:
            prefix = f"{_NIGHTLY}{each.host}__"
            if each.run_id.startswith(prefix):
                nights[each.run_id.removeprefix(prefix)].append(each)
        found = []
        for runs in nights.values():
            for each in runs:
                gaps = [(each.began - other.ended) / timedelta(seconds=1) for other in runs]
                found += sorted(gap for gap in gaps if 0 <= gap <= _LONGEST_HANDOVER)[:1]
        return sorted(found)


def _counts(runs: Iterable[PastRun]) -> dict[str, tuple[int, int]]:
    """Of each phase, how many runs reached it, and how many failed there.

    Every run that went on to its stop reached the script, too, where there was none.
    """
    listed = list(runs)
    found = {}
    for phase in PHASES:
        reached = "stop" if phase == "script" else phase
        failed = sum(phase in each.failed for each in listed)
        found[phase] = (max(failed, sum(reached in each.reached for each in listed)), failed)
    return found


def _times(runs: Iterable[PastRun]) -> dict[str, list[float]]:
    found = defaultdict(list)
    for run in runs:
        for phase, seconds in run.seconds.items():
            found[phase].append(seconds)
    return {phase: sorted(each) for phase, each in found.items()}


def _drain_rates(runs: Iterable[PastRun]) -> list[float]:
    return sorted(each.drain_seconds / each.drained_gib for each in runs if each.drained_gib)
