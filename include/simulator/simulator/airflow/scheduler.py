"""The schedulers: they look at runs, hand tasks out under all limits, and see to what is overdue.

A look is made at one moment, so a task is handed out once, however many schedulers there are.
Source: airflow/jobs/scheduler_job_runner.py, 3.3.2.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from simulator.airflow.core import Core
from simulator.airflow.dags import Task
from simulator.airflow.deciding import Decision
from simulator.airflow.processes import Process
from simulator.airflow.records import WORKING, Run, TaskInstance
from simulator.airflow.worker import Workers


@dataclass(eq=False)
class Job:
    """One scheduler's process."""

    name: str
    is_alive: bool = True
    is_known_dead: bool = False


@dataclass
class Schedulers:
    """All schedulers of this Airflow."""

    core: Core
    workers: Workers
    jobs: list[Job] = field(default_factory=list)
    # Makes the runs that are due; asked at each loop.
    make_due_runs: Callable[[], None] = lambda: None
    _is_woken: bool = False
    _turn: int = 0

    def start(self) -> Job:
        """One more scheduler; it adopts, or resets, what dead ones have left."""
        job = Job(f"scheduler-{len(self.jobs) + 1}")
        self.jobs.append(job)
        self.core.clock.after(self.core.settings.scheduler_loop, self._adopt)
        self.wake()
        return job

    def kill(self, which: int = 0) -> None:
        """One of the living schedulers dies, and with LocalExecutor nobody runs its tasks."""
        job = [each for each in self.jobs if each.is_alive][which]
        job.is_alive = False
        self.core.clock.after(self.core.settings.job_timeout, lambda: self._declare_dead(job))

    def wake(self) -> None:
        """Something has changed: the next scheduler's loop looks at it."""
        if not self._is_woken and any(job.is_alive for job in self.jobs):
            self._is_woken = True
            self.core.clock.after(self.core.settings.scheduler_loop, self._loop)

    def executor_event(self, ti: TaskInstance, process: Process) -> None:
        """The executor says that a task's process is gone. Source: process_executor_events."""
        if ti.state == "restarting":
            ti.max_tries = ti.try_number + self._task(ti).retries
            self.core.set_state(ti, None)
        elif ti.state == "queued" and ti.process is process:
            self.core.fail(ti)  # it could not even begin

    def lose(self, ti: TaskInstance) -> None:
        """The fault "finished with state success, but the task instance's state is queued"."""
        if ti.state in ("queued", "running", "scheduled"):
            self.core.fail(ti)

    # One look.

    def _loop(self) -> None:
        self._is_woken = False
        alive = [job for job in self.jobs if job.is_alive]
        if not alive:
            return
        self._turn += 1
        job = alive[self._turn % len(alive)]
        self.make_due_runs()
        self._start_runs()
        for run in list(self.core.store.runs.values()):
            if run.state == "running" and (run.dirty or not run.unfinished):
                self._look_at(run)
        self._hand_out(job)

    def _start_runs(self) -> None:
        active: Counter[Any] = Counter(
            (run.dag_id, run.backfill)
            for run in self.core.store.runs.values()
            if run.state == "running"
        )
        for run in self._queued_runs():
            of_dag = self.core.dags[run.dag_id].source.max_active_runs
            limit = of_dag if run.backfill is None else run.backfill.max_active_runs
            if limit and active[run.dag_id, run.backfill] >= limit:
                continue
            active[run.dag_id, run.backfill] += 1
            self.core.set_run_state(run, "running")
            run.start_date = self.core.now()

    def _queued_runs(self) -> Iterator[Run]:
        now = self.core.now()
        found = [
            run
            for run in self.core.store.runs.values()
            if run.state == "queued"
            and run.dag_id not in self.core.store.paused
            and run.run_after <= now
        ]
        return iter(sorted(found, key=lambda run: run.run_after))

    def _look_at(self, run: Run) -> None:
        if run.dag_id in self.core.store.paused and run.unfinished:
            return
        core = self.core
        dag = core.dags[run.dag_id]
        decision = Decision(core.store, dag, run, core.now(), core.make, core.set_state)
        for ti in decision.ready():
            ti.try_number += ti.state != "up_for_reschedule"
            core.set_state(ti, "scheduled")
        if (outcome := decision.outcome()) is not None:
            core.set_run_state(run, outcome)

    def _hand_out(self, job: Job) -> None:
        """Queue what may run, the heaviest first, and give it to workers."""
        paused = self.core.store.paused
        waiting = [
            ti
            for ti in self.core.store.scheduled
            if ti.run.state == "running" and ti.run.dag_id not in paused
        ]
        if not waiting:
            return
        limits = _Limits.of(self.core)
        slots = self.core.settings.parallelism - len(self.workers.running)
        for ti in sorted(waiting, key=self._place):
            if slots <= 0:
                return
            if limits.allow(self.core, ti, self._task(ti)):
                slots -= 1
                ti.queued_by = job
                self.core.set_state(ti, "queued")
                self.workers.start(ti)

    def _place(self, ti: TaskInstance) -> tuple[int, float, int]:
        date = ti.run.logical_date
        last = float("inf") if date is None else date.timestamp()
        return -self._task(ti).priority, last, ti.map_index

    def _task(self, ti: TaskInstance) -> Task:
        return self.core.dags[ti.run.dag_id].tasks[ti.task_id]

    # Dead schedulers.

    def _declare_dead(self, job: Job) -> None:
        job.is_known_dead = True
        if any(each.is_alive for each in self.jobs):
            self.core.clock.after(self.core.settings.orphan_check, self._adopt)

    def _adopt(self) -> None:
        """Source: adopt_or_reset_orphaned_tasks; LocalExecutor adopts nothing."""
        alive = [each for each in self.jobs if each.is_alive]
        if not alive:
            return
        for run in self.core.store.runs.values():
            for ti in run.instances() if run.state == "running" else ():
                if ti.queued_by is None or not ti.queued_by.is_known_dead:
                    continue
                if ti.state in ("queued", "running", "restarting"):
                    self._adopt_one(ti, alive[0])
        self.wake()

    def _adopt_one(self, ti: TaskInstance, job: Job) -> None:
        ti.queued_by = job
        if self.core.settings.executor == "local":
            self.core.next_try(ti)
            ti.forget_wait()
            self.core.set_state(ti, None)


@dataclass
class _Limits:
    """How many are under way, and whether one more may be.

    Deferred tasks count for a task's own limits (max_active_tis_per_dag, _per_dagrun), not for
    a run's max_active_tasks. Source: ConcurrencyMap.
    """

    of_runs: Counter[Any]
    of_tasks: Counter[Any]
    of_tasks_in_runs: Counter[Any]

    @classmethod
    def of(cls, core: Core) -> _Limits:
        limits = cls(Counter(), Counter(), Counter())
        for ti in core.store.active:
            limits.count(ti)
        return limits

    def count(self, ti: TaskInstance) -> None:
        self.of_tasks[ti.run.dag_id, ti.task_id] += 1
        self.of_tasks_in_runs[ti.run, ti.task_id] += 1
        if ti.state in WORKING or ti.state == "scheduled":
            self.of_runs[ti.run] += 1

    def allow(self, core: Core, ti: TaskInstance, task: Task) -> bool:
        """Whether one more may run; then it is counted."""
        if self.of_runs[ti.run] >= core.dags[ti.run.dag_id].source.max_active_tasks:
            return False
        if task.per_dag is not None and self.of_tasks[ti.run.dag_id, ti.task_id] >= task.per_dag:
            return False
        if task.per_run is not None and self.of_tasks_in_runs[ti.run, ti.task_id] >= task.per_run:
            return False
        self.count(ti)
        return True
