"""One Airflow, in virtual time: its parts put together, and what people and faults do to it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from airflow.sdk import DAG

from simulator.airflow.api import ExecutionApi
from simulator.airflow.comms import ProcessLog, connected
from simulator.airflow.core import Core
from simulator.airflow.dags import Dags
from simulator.airflow.parsing import parse
from simulator.airflow.people import People, Which
from simulator.airflow.records import Change, Run, TaskInstance
from simulator.airflow.scheduler import Schedulers
from simulator.airflow.settings import Settings
from simulator.airflow.timetable import Timetables
from simulator.airflow.triggerer import Triggerers
from simulator.airflow.worker import Workers
from simulator.clock import VirtualTime


class Airflow:
    """A model of Airflow that runs the DAGs of a folder, or given ones.

    Everything happens while `clock.installed()` and `installed()` last, in `run_until` and
    `run_until_idle`.
    """

    def __init__(
        self,
        clock: VirtualTime,
        dags: Path | Iterable[DAG],
        settings: Settings = Settings(),  # noqa: B008  it is frozen
        seed: int = 0,
    ) -> None:
        self.clock = clock
        sources = parse(dags) if isinstance(dags, Path) else dags
        self.core = Core(clock, Dags(sources), settings, random.Random(seed))  # noqa: S311
        self.people = People(self.core)
        self.api = ExecutionApi(self.core, self.people.trigger, self.people.clear)
        self._log = ProcessLog(self.core)
        self.workers = Workers(self.core, self.api, self._log)
        self.schedulers = Schedulers(self.core, self.workers)
        self.triggerers = Triggerers(self.core)
        self.timetables = Timetables(self.core, self.people)
        self._connect()
        for dag_id in self.core.dags:
            if self.core.dags[dag_id].source.is_paused_upon_creation:
                self.core.store.paused.add(dag_id)

    def _connect(self) -> None:
        self.core.wake = self.schedulers.wake
        self.core.changed += [self.workers.changed, self.triggerers.changed]
        self.api.defer = self.triggerers.defer
        self.workers.ended = self.schedulers.executor_event
        self.schedulers.make_due_runs = self._make_due
        for _ in range(self.core.settings.schedulers):
            self.schedulers.start()
        for _ in range(self.core.settings.triggerers):
            self.triggerers.start()

    def _make_due(self) -> None:
        self.timetables.make_due()
        self.people.time_out_questions()

    @contextmanager
    def installed(self) -> Iterator[Airflow]:
        """While this lasts, Airflow's task SDK in this thread talks to this Airflow."""
        with connected(self.core, self.api, self._log):
            yield self

    # What people do.

    def trigger(self, dag_id: str, conf: dict[str, Any] | None = None, **more: Any) -> Run:
        """Trigger a run. Raises: BadRequest: its params are not valid."""
        return self.people.trigger(dag_id, conf, **more)

    def backfill(self, dag_id: str, start: datetime, end: datetime, **more: Any) -> list[Run]:
        """Make the runs of past nights. See `Timetables.backfill`."""
        return self.timetables.backfill(dag_id, start, end, **more)

    def clear(
        self, run: Run, tasks: Sequence[Which] | None = None, **more: Any
    ) -> list[TaskInstance]:
        """Let tasks of a run, or all, run again. See `People.clear`."""
        return self.people.clear(run, tasks, **more)

    def mark(self, run: Run, task: Which | None, state: str, **more: Any) -> list[TaskInstance]:
        """Mark a task, or with None the run, success or failed."""
        return self.people.mark(run, task, state, **more)

    def answer(self, run: Run, task_id: str, option: str, user: str = "admin") -> None:
        """Answer a task that waits for a person."""
        self.people.answer(run, task_id, option, user)

    def delete(self, run: Run) -> None:
        """Delete a run."""
        self.people.delete(run)

    def pause(self, dag_id: str, is_paused: bool = True) -> None:
        """Pause a DAG, or let it go on."""
        self.people.pause(dag_id, is_paused)

    # Faults.

    def kill_task(self, ti: TaskInstance) -> None:
        """A task's process dies; its supervisor lives and sees it."""
        self.workers.kill_task(ti)

    def kill_worker(self, ti: TaskInstance) -> None:
        """A worker dies with its task; a scheduler sees it by the missing heartbeats."""
        self.workers.kill_worker(ti)

    def kill_triggerer(self, which: int = 0) -> None:
        """A triggerer dies."""
        self.triggerers.kill(which)

    def start_triggerer(self) -> None:
        """A new triggerer begins; it takes over what a dead one had, when that is known."""
        self.triggerers.start()

    def kill_scheduler(self, which: int = 0) -> None:
        """A scheduler dies."""
        self.schedulers.kill(which)

    def start_scheduler(self) -> None:
        """A new scheduler begins."""
        self.schedulers.start()

    def lose(self, ti: TaskInstance) -> None:
        """The executor mistakes a task that goes on for one that has ended without a word."""
        self.schedulers.lose(ti)

    def api_away(self, is_away: bool = True) -> None:
        """The API server does not answer, or does again."""
        self.core.is_api_away = is_away
        if is_away:
            self.core.outages += 1
            self.workers.api_is_away()

    # How it goes.

    def run_until(self, is_so: Callable[[], bool], at_most: float = 86_400) -> bool:
        """Let the world go on until something is so; whether it is."""
        done = self.clock.run(is_so, at_most)
        self.core.raise_gap()
        return done

    def run_until_idle(self, at_most: float = 86_400) -> bool:
        """Let the world go on until every run has ended; whether they all have."""
        return self.run_until(lambda: self.is_idle, at_most)

    def run_until_state(self, run: Run, task: Which, *states: str, at_most: float = 86_400) -> bool:
        """Let the world go on until a task instance is in one of these states."""
        return self.run_until(lambda: self.state(run, task) in states, at_most)

    @property
    def is_idle(self) -> bool:
        """Whether every run has ended, and the last process, too."""
        return self.core.store.are_runs_finished and not self.workers.running

    def find(self, run: Run, task: Which) -> TaskInstance | None:
        """A task instance; None where there is none (yet)."""
        task_id, index = task if isinstance(task, tuple) else (task, -1)
        return run.tasks[task_id].get(index)

    def state(self, run: Run, task: Which) -> str | None:
        """A task instance's state; None also where there is none."""
        found = self.find(run, task)
        return None if found is None else found.state

    def states(self, run: Run) -> dict[str, str | None]:
        """The state of each task by the name that the UI shows."""
        return {ti.name: ti.state for ti in run.instances()}

    def log(self, ti: TaskInstance, attempt: int | None = None) -> list[str]:
        """The lines of one try's log, or of all."""
        tries = sorted(ti.logs) if attempt is None else [attempt]
        return [text for each in tries for _, _, text in ti.logs.get(each, [])]

    @property
    def history(self) -> list[Change]:
        """Each state that a task instance has come to, in order."""
        return self.core.store.history

    @property
    def runs(self) -> list[Run]:
        """All runs, in the order of their making."""
        return list(self.core.store.runs.values())

    def xcom(self, run: Run, task: Which, key: str = "return_value") -> Any:
        """What a task handed on, or None."""
        import json

        task_id, index = task if isinstance(task, tuple) else (task, -1)
        text = self.core.store.xcoms.get((*run.key, task_id, key), {}).get(index)
        return None if text is None else json.loads(text)
