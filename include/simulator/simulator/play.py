"""Play a story: to its end, with its faults, and then with an operator who follows what is said."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from simulator import asked, events
from simulator.follow import DEADLINE, Operator
from simulator.judges import all_judges
from simulator.judges.records import records_of
from simulator.stage import Stage
from simulator.story import Story, build

_SHORT = 60.0


@dataclass
class Facts:
    """What named stories ask about. ``first``: how each run ended by itself, before anybody did
    what it said. ``guests``: where each instance's guest runs in the end, or "off".
    """

    first: dict[str, str] = field(default_factory=dict)
    minutes: float = 0.0  # until all had ended by themselves
    ended: dict[str, float] = field(default_factory=dict)  # each of them, in minutes
    said: str = ""
    guests: dict[str, str] = field(default_factory=dict)
    asked: dict[str, int] = field(default_factory=dict)  # what we asked of Nova, how often
    reboots: int = 0
    records: str = ""


@dataclass
class Outcome:
    """How a story went. ``found``: what the judges say, each beginning with the judge's name."""

    story: Story
    found: list[str] = field(default_factory=list)
    timeline: list[str] = field(default_factory=list)
    counts: dict[str, float] = field(default_factory=dict)
    faults: dict[str, int] = field(default_factory=dict)
    facts: Facts | None = None

    @property
    def is_good(self) -> bool:
        return not self.found

    @property
    def judges(self) -> set[str]:
        """Who has found something."""
        return {each.partition(":")[0] for each in self.found}


@contextmanager
def a_folder() -> Iterator[Path]:
    """A folder in memory, where there is one."""
    memory = Path("/dev/shm")  # noqa: S108  a folder of its own is made there
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


def play(story: Story, *, with_timeline: bool = True, cpu_seconds: float = 60.0) -> Outcome:
    """Play it, and hear the judges. Raises: simulator.clock.TooLong."""
    with a_folder() as folder:
        world = build(story, folder)
        world.clock.cpu_until = time.process_time() + cpu_seconds
        stage = Stage(story, world)
        with world.installed():
            return _Play(stage).play(with_timeline)


class _Play:
    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._world = stage.world

    def play(self, with_timeline: bool) -> Outcome:
        stage = self._stage
        stage.recorder.watch_airflow()
        judges = all_judges(stage)
        outcome = Outcome(stage.story)
        asked.schedule(stage)
        stage.begin(events.perform)
        outcome.facts = Facts()
        if self._runs_end():
            self._see_first(outcome.facts)
            stage.end_faults()
            self._world.clock.run(at_most=_SHORT)
            self._work(outcome)
        else:
            outcome.found += [f"ends: {each}" for each in self._unended()]
        for name, judge in judges.items():
            outcome.found += [f"{name}: {stage.recorder.named(each)}" for each in judge.verdicts()]
        outcome.found = list(dict.fromkeys(outcome.found))
        outcome.faults = dict(stage.faults)
        outcome.counts = self._counts()
        self._see_last(outcome.facts)
        if with_timeline:
            outcome.timeline = stage.recorder.timeline()
        return outcome

    def _runs_end(self) -> bool:
        """Whether every run ends, the last request having been made."""
        airflow = self._world.airflow
        last = max((each.get("at", 0) for each in self._stage.story.requests), default=0)
        first = self._stage.began + last

        def is_over() -> bool:
            if self._world.clock.seconds() < first or not airflow.core.store.runs:
                return False
            return airflow.is_idle

        if not airflow.run_until(is_over, at_most=DEADLINE):
            return False
        # A person may still do something with what has ended.
        late = [each["at"] for each in self._stage.story.events if "at" in each]
        rest = self._stage.began + max(late, default=0) - self._world.clock.seconds()
        if rest > 0:
            airflow.run_until(lambda: False, at_most=rest + 1)
        return airflow.run_until(is_over, at_most=DEADLINE)

    def _see_first(self, facts: Facts) -> None:
        operator = Operator(self._stage)
        for run in self._world.airflow.runs:
            name = self._stage.recorder.run_name(run.dag_id, run.run_id)
            facts.first[name] = run.state
            if run.end_date is not None:
                facts.ended[name] = (run.end_date.timestamp() - self._stage.began) / 60
            if run.state == "failed":
                facts.said += self._stage.recorder.named(operator.sentence(run)) + "\n"
        facts.minutes = (self._world.clock.seconds() - self._stage.began) / 60

    def _see_last(self, facts: Facts) -> None:
        state = self._world.cloud.state
        for instance in state.instances.values():
            guest = state.guest_of(instance.id)
            facts.guests[instance.name] = guest.host if guest else "off"
        for entry in self._world.cloud.journal.entries:
            if entry.who == "client":
                what = entry.what.partition(":")[0]
                facts.asked[what] = facts.asked.get(what, 0) + 1
            facts.reboots += (entry.who, entry.what) == ("host", "reboots")
        facts.records = "\n".join(json.dumps(each) for each in records_of(self._stage))

    def _unended(self) -> Iterator[str]:
        for run in self._world.airflow.runs:
            if not run.is_finished:
                name = self._stage.recorder.run_name(run.dag_id, run.run_id)
                open_ones = [ti.name for ti in run.instances() if ti.state and not ti.is_finished]
                yield f"{name} does not end: {run.state}, {', '.join(open_ones) or 'no task'} open"

    def _work(self, outcome: Outcome) -> None:
        operator = Operator(self._stage)
        operator.work()
        outcome.found += [f"remedy: {each}" for each in operator.complaints]
        outcome.found += [f"ends: {each}" for each in self._unended()]

    def _counts(self) -> dict[str, float]:
        entries = self._world.cloud.journal.entries
        return {
            "hours": (self._world.clock.seconds() - self._stage.began) / 3600,
            "reboots": sum(each.who == "host" and each.what == "reboots" for each in entries),
            "migrations": sum(each.who == "guest" and "has moved" in each.what for each in entries),
            "requests": self._world.transport.count,
            "runs": len(self._world.airflow.runs),
            "red": sum(run.state == "failed" for run in self._world.airflow.runs),
        }
