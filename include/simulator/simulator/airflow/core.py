"""What all parts of the modelled Airflow work on: its tables, and how a state changes."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time.comms import ErrorResponse

from simulator.airflow.dags import Dags
from simulator.airflow.mapping import length_of
from simulator.airflow.records import (
    FINISHED,
    FINISHED_RUN,
    Change,
    Run,
    State,
    Store,
    TaskInstance,
)
from simulator.airflow.settings import Settings
from simulator.clock import VirtualTime


@dataclass
class Core:
    """The database, and who is told when it changes."""

    clock: VirtualTime
    dags: Dags
    settings: Settings
    random: random.Random
    store: Store = field(default_factory=Store)
    is_api_away: bool = False
    outages: int = 0  # of the API server, so far
    # A run, or what waits for a slot, is to be looked at; a task instance is no longer running.
    wake: Callable[[], None] = lambda: None
    changed: list[Callable[[TaskInstance, State], None]] = field(default_factory=list)
    gaps: list[BaseException] = field(default_factory=list)  # what this model cannot answer

    def now(self) -> datetime:
        return self.clock.now()

    def new_id(self) -> UUID:
        return UUID(int=self.random.getrandbits(128))

    def reach_api(self, is_needed: bool = True) -> None:
        """The way to the API server, in a worker. Raises: AirflowRuntimeError: no answer."""
        self.clock.pause(self.settings.api_takes)
        for again in self.settings.api_patience if is_needed else ():
            if not self.is_api_away:
                return
            self.clock.pause(again)
        if is_needed and self.is_api_away:
            raise refusal(503, "the API server does not answer")

    def add_run(self, run: Run) -> Run:
        """A new run, with a task instance of each task."""
        self.store.runs[run.key] = run
        run.queued_at = self.now()
        dag = self.dags[run.dag_id]
        for task_id, task in dag.tasks.items():
            run.tasks[task_id] = {}
            length = length_of(self.store, dag, run, task) if task.is_expanded else None
            for map_index in range(length) if length else (-1,):
                self.make(run, task_id, map_index)
        run.dirty = set(dag.tasks)
        self.wake()
        return run

    def make(self, run: Run, task_id: str, map_index: int) -> TaskInstance:
        """A new task instance of a run."""
        task = self.dags[run.dag_id].tasks[task_id]
        ti = TaskInstance(run, task_id, map_index, self.new_id(), max_tries=task.retries)
        ti.operator = task.operator
        run.tasks[task_id][map_index] = ti
        run.unfinished += 1
        run.dirty |= task.watchers
        return ti

    def set_state(self, ti: TaskInstance, state: State) -> None:
        """Let a task instance come to a state, and tell everybody."""
        was = ti.state
        if state == was:
            return
        ti.state = state
        self.store.note_state(ti)
        now = self.now()
        if state in FINISHED or state == "up_for_retry":
            ti.end_date = now
            ti.start_date = ti.start_date or now
        run, task = ti.run, self.dags[ti.run.dag_id].tasks[ti.task_id]
        run.unfinished += (was in FINISHED) - (state in FINISHED)
        if state in FINISHED or was in FINISHED:
            run.dirty |= task.watchers
        if state is None:
            run.dirty.add(ti.task_id)
        self.store.history.append(
            Change(now, run.dag_id, run.run_id, ti.task_id, ti.map_index, ti.try_number, state)
        )
        for told in self.changed:
            told(ti, was)
        self.wake()

    def set_run_state(self, run: Run, state: str) -> None:
        """Source: DagRun.set_state."""
        if run.state == state:
            return
        if state == "queued":
            run.queued_at, run.start_date, run.end_date = self.now(), None, None
        elif state == "running":
            if run.state in FINISHED_RUN or run.start_date is None:
                run.start_date = self.now()
            run.end_date = None
        else:
            run.end_date = self.now()
        run.state = state
        self.wake()

    def next_try(self, ti: TaskInstance) -> None:
        """What has been tried goes to the history: who still works on it works on nothing."""
        ti.id = self.new_id()

    def fail(self, ti: TaskInstance) -> None:
        """A try has failed without a word: another one, if there is one left.

        Source: TaskInstance.handle_failure.
        """
        retries = self.dags[ti.run.dag_id].tasks[ti.task_id].retries
        if ti.state == "restarting" or (retries and ti.try_number <= ti.max_tries):
            if ti.state == "running":
                self.next_try(ti)
            self.retry_later(ti)
        else:
            ti.forget_wait()
            self.set_state(ti, "failed")

    def retry_later(self, ti: TaskInstance, seconds: float | None = None) -> None:
        """Let it be tried again after its delay."""
        source = self.dags[ti.run.dag_id].tasks[ti.task_id].source
        ti.forget_wait()
        ti.retry_delay = source.retry_delay if seconds is None else timedelta(seconds=seconds)
        self.set_state(ti, "up_for_retry")
        assert ti.retry_delay is not None  # noqa: S101  every task has one

        def due() -> None:
            ti.run.dirty.add(ti.task_id)
            self.wake()

        self.clock.after(ti.retry_delay.total_seconds(), due)

    def log(self, ti: TaskInstance, level: str, text: str) -> None:
        """A line of a try's log."""
        ti.logs.setdefault(ti.try_number, []).append((self.now(), level, text))

    def report_gap(self, gap: BaseException) -> BaseException:
        """Whoever reads the run must know that this model could not answer."""
        self.gaps.append(gap)
        return gap

    def raise_gap(self) -> None:
        if self.gaps:
            raise self.gaps[0]


def refusal(status: int, why: str) -> AirflowRuntimeError:
    """What the task SDK raises when the API refuses."""
    detail = {"status_code": status, "message": why}
    return AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail=detail))


def stored(value: Any) -> str:
    """A value as the database holds it. Raises: TypeError: it is no plain JSON."""
    return json.dumps(value)
