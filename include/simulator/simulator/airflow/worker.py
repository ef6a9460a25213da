"""Workers: each task instance runs in a process of its own, with a supervisor that watches it."""

from __future__ import annotations

import functools
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from airflow.sdk.exceptions import AirflowRuntimeError
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

from simulator.airflow.api import ExecutionApi
from simulator.airflow.comms import ProcessLog
from simulator.airflow.core import Core
from simulator.airflow.processes import Process
from simulator.airflow.records import State, TaskInstance
from simulator.clock import Killed, Outcome

SENT_BEFORE_THE_END = frozenset(
    {"deferred", "awaiting_input", "up_for_reschedule", "up_for_retry", "success"}
)


@dataclass
class Workers:
    """All workers of this Airflow. A slot is taken from the start until the process is gone."""

    core: Core
    api: ExecutionApi
    log: ProcessLog
    running: dict[Process, TaskInstance] = field(default_factory=dict)
    # The executor's word to the scheduler: the process, which has gone, was this one's.
    ended: Callable[[TaskInstance, Process], None] = lambda ti, process: None
    _should_retry: dict[Process, bool] = field(default_factory=dict)
    _runtimes: dict[Process, RuntimeTaskInstance] = field(default_factory=dict)

    def start(self, ti: TaskInstance) -> None:
        """Run a queued task instance."""
        process = Process(self.core.clock, f"worker of {ti.name}", ti, ti.id, needs_api=True)
        ti.process = process
        self.running[process] = ti
        run = functools.partial(self._supervise, process, ti)
        process.run(run, functools.partial(self._over, process))

    def kill_task(self, ti: TaskInstance) -> None:
        """Only the task's own process dies: its supervisor sees it at once."""
        process = ti.process
        if process is None or process.is_dead:
            return
        process.kill()
        state = "up_for_retry" if self._should_retry.get(process) else "failed"
        self._tell(process, state)
        self._gone(process)

    def kill_worker(self, ti: TaskInstance) -> None:
        """The task's process and its supervisor die: nobody says anything any more."""
        process = ti.process
        if process is None or process.is_dead:
            return
        process.kill()
        if ti.state == "queued":
            wait = self.core.settings.queued_timeout
            self.core.clock.after(wait, functools.partial(self._requeue, process))
        else:
            self._later_missed(process)

    def api_is_away(self) -> None:
        """No heartbeat arrives: whoever runs through a long outage is given up, and killed."""
        outage = self.core.outages

        def give_up() -> None:
            if self.core.is_api_away and self.core.outages == outage:
                for process in list(self._should_retry):  # those that have begun
                    if not process.is_dead:
                        process.kill()
                        self._missed(process)

        self.core.clock.after(self._until_missed, give_up)

    def kill_all(self) -> None:
        """The machine of all workers is gone."""
        for ti in list(self.running.values()):
            self.kill_worker(ti)

    def changed(self, ti: TaskInstance, was: State) -> None:
        """Somebody else has changed a running task instance: its next heartbeat is refused."""
        process = ti.process
        if was == "running" and process in self.running and not process.is_dead:
            self.core.clock.after(
                self.core.settings.heartbeat, functools.partial(self._heartbeat, process)
            )

    # One process.

    def _supervise(self, process: Process, ti: TaskInstance) -> State:
        clock, settings = self.core.clock, self.core.settings
        clock.pause(settings.executor_takes)
        self.core.reach_api()
        context = self.api.start(process)
        self._should_retry[process] = bool(context.should_retry)
        clock.pause(settings.process_start)
        runtime = self._runtime(ti, context)
        self._runtimes[process] = runtime
        template = runtime.get_template_context()
        log: Any = self.log
        state, msg, error = task_runner.run(runtime, template, log)
        task_runner.finalize(runtime, state, template, log, error)
        if state not in SENT_BEFORE_THE_END:
            self.core.reach_api()
            self.api.finish(process, state.value)
        elif ti.id == process.ti_id and ti.state == "running":  # it was told, and not heard
            self.core.reach_api()
            self.api.answer(msg, process)
        return str(state.value)

    def _runtime(self, ti: TaskInstance, context: Any) -> RuntimeTaskInstance:
        dag = self.core.dags[ti.run.dag_id]
        return RuntimeTaskInstance.model_construct(
            id=ti.id,
            task_id=ti.task_id,
            dag_id=ti.run.dag_id,
            run_id=ti.run.run_id,
            try_number=ti.try_number,
            dag_version_id=UUID(int=0),
            map_index=ti.map_index,
            task=dag.fresh(ti.task_id),
            bundle_instance=None,
            _ti_context_from_server=context,
            max_tries=context.max_tries,
            start_date=context.start_date,
            state="running",
            sentry_integration="",
        )

    def _over(self, process: Process, outcome: Outcome[Any]) -> None:
        """The process has ended by itself, or was killed (then others have seen to it)."""
        self.core.raise_gap()
        if process.is_dead or isinstance(outcome.error, Killed):
            return
        ti, error = self.running[process], outcome.error
        process.is_dead = True
        if self.core.is_api_away and ti.id == process.ti_id and ti.state == "running":
            self._later_missed(process)  # nobody could be told how it ended
            return
        if error is not None and not isinstance(error, AirflowRuntimeError):
            text = "".join(traceback.format_exception(error))
            self.core.log(ti, "error", text)
            self._tell(process, "up_for_retry" if self._should_retry.get(process) else "failed")
        self._gone(process)

    def _tell(self, process: Process, state: str) -> None:
        try:
            self.api.finish(process, state)
        except AirflowRuntimeError:
            return  # somebody else has said what becomes of it

    def _gone(self, process: Process) -> None:
        ti = self.running.pop(process)
        self._should_retry.pop(process, None)
        self._runtimes.pop(process, None)
        self.ended(ti, process)
        self.core.wake()

    def _heartbeat(self, process: Process) -> None:
        """Its supervisor sends it SIGTERM where it should not run any more, and then SIGKILL."""
        ti = self.running.get(process)
        if ti is None or process.is_dead or (ti.id == process.ti_id and ti.state == "running"):
            return
        if (runtime := self._runtimes.get(process)) is not None:
            process.run(runtime.task.on_kill, lambda _: None)
        self.core.clock.after(
            self.core.settings.term_to_kill, functools.partial(self._terminate, process)
        )

    def _terminate(self, process: Process) -> None:
        if process in self.running and not process.is_dead:
            process.kill()
            self._gone(process)

    def _requeue(self, process: Process) -> None:
        """Source: _handle_tasks_stuck_in_queued."""
        ti = self.running.pop(process)
        if ti.id == process.ti_id and ti.state == "queued":
            self.core.set_state(ti, "scheduled")

    @property
    def _until_missed(self) -> float:
        return self.core.settings.heartbeat_timeout + self.core.settings.heartbeat_check / 2

    def _later_missed(self, process: Process) -> None:
        self.core.clock.after(self._until_missed, functools.partial(self._missed, process))

    def _missed(self, process: Process) -> None:
        """A scheduler finds that a running task has sent no heartbeat for too long."""
        ti = self.running.pop(process, None)
        self._should_retry.pop(process, None)
        self._runtimes.pop(process, None)
        if ti is None:
            return
        # One that was cleared meanwhile is another try already, and waits for this one's end.
        if ti.state == "restarting" or (ti.id == process.ti_id and ti.state == "running"):
            self.core.fail(ti)
        self.core.wake()
