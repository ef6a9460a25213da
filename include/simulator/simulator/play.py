"""Play a story: to its end, with its faults, and then with an operator who follows what is said."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from simulator import asked, events
from simulator.follow import Operator
from simulator.judges import all_judges
from simulator.stage import Stage
from simulator.story import Story, build

DEADLINE = 86_400.0 * 1.5
_SHORT = 60.0


@dataclass
class Outcome:
    """How a story went. ``found``: what the judges say, each beginning with the judge's name."""

    story: Story
    found: list[str] = field(default_factory=list)
    timeline: list[str] = field(default_factory=list)
    counts: dict[str, float] = field(default_factory=dict)
    faults: dict[str, int] = field(default_factory=dict)

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
        if self._runs_end():
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
        if with_timeline:
            outcome.timeline = stage.recorder.timeline()
        return outcome

    def _runs_end(self) -> bool:
        """Whether every run ends, the last request having been made."""
        airflow = self._world.airflow
        last = max((each.get("at", 0) for each in self._stage.story.requests), default=0)
        first = self._stage.began + last

        def is_over() -> bool:
            runs = airflow.runs
            if self._world.clock.seconds() < first or not runs:
                return False
            return all(run.is_finished for run in runs) and not airflow.workers.running

        if not airflow.run_until(is_over, at_most=DEADLINE):
            return False
        # A person may still do something with what has ended.
        late = [each["at"] for each in self._stage.story.events if "at" in each]
        rest = self._stage.began + max(late, default=0) - self._world.clock.seconds()
        if rest > 0:
            airflow.run_until(lambda: False, at_most=rest + 1)
        return airflow.run_until(is_over, at_most=DEADLINE)

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
