"""The API server as workers and triggerers meet it: it answers what the task SDK asks.

Source: airflow/api_fastapi/execution_api/routes, sdk/execution_time/supervisor.py, 3.3.2.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from airflow.sdk.api.datamodels import _generated as wire
from airflow.sdk.exceptions import ErrorType
from airflow.sdk.execution_time import comms

from simulator.airflow.core import Core, refusal
from simulator.airflow.errors import BadRequest
from simulator.airflow.processes import Process
from simulator.airflow.records import Run, TaskInstance
from simulator.airflow.tables import OK, Tables, plain, run_of


class ExecutionApi:
    """Answers one message of the task SDK at a time."""

    def __init__(self, core: Core, trigger_run: Callable[..., Run], clear_run: Any) -> None:
        self._core, self._tables = core, Tables(core)
        self._trigger_run, self._clear_run = trigger_run, clear_run
        self.defer: Callable[[TaskInstance, Any], None] = lambda ti, msg: None

    @functools.singledispatchmethod
    def answer(self, msg: Any, process: Process) -> Any:
        """What the API says. Raises: AirflowRuntimeError: it refuses."""
        return self._tables.answer(msg, process)

    # A task's own state.

    def start(self, process: Process) -> wire.TIRunContext:
        """A worker begins with a task instance. Raises: AirflowRuntimeError: it must not."""
        ti = self._tables.own(process)
        if ti.state not in ("queued", "restarting"):
            raise refusal(
                409, f"TI was not in a state where it could be marked as running: {ti.state}"
            )
        should_retry = ti.state == "restarting" or (
            ti.max_tries != 0 and ti.try_number <= ti.max_tries
        )
        if not ti.next_kwargs:
            ti.start_date = self._core.now()
        ti.end_date = ti.retry_delay = None
        self._core.set_state(ti, "running")
        keys = [] if ti.next_method else self._xcom_keys(ti)
        context = wire.TIRunContext.model_construct(
            dag_run=run_of(ti.run),
            task_reschedule_count=0,
            max_tries=ti.max_tries,
            variables=[],
            connections=[],
            xcom_keys_to_clear=keys,
            should_retry=should_retry,
            next_method=ti.next_method,
            next_kwargs=ti.next_kwargs,
            start_date=ti.start_date,
        )
        return context

    def finish(self, process: Process, state: str) -> None:
        """A worker's process is gone, and its supervisor reports how. Raises: as `start`."""
        ti = self._running(process, state)
        if ti is None:
            return
        if state == "up_for_retry":
            self._core.next_try(ti)
            self._core.retry_later(ti)
        else:
            ti.forget_wait()
            self._core.set_state(ti, state)

    @answer.register
    def _(self, msg: comms.SucceedTask, process: Process) -> None:
        ti = self._running(process, "success")
        if ti is None:
            return
        ti.forget_wait()
        ti.rendered_map_index = msg.rendered_map_index or ti.rendered_map_index
        if self._core.settings.clear_on_success:
            self._core.store.task_states.pop(self._tables.state_key(ti), None)
        self._core.set_state(ti, "success")

    @answer.register
    def _(self, msg: comms.RetryTask, process: Process) -> None:
        ti = self._running(process, "up_for_retry")
        if ti is not None:
            self._core.next_try(ti)
            self._core.retry_later(ti, msg.retry_delay_seconds)

    @answer.register
    def _(self, msg: comms.RescheduleTask, process: Process) -> None:
        ti = self._running(process, "up_for_reschedule")
        if ti is None:
            return
        ti.reschedule_at = msg.reschedule_date
        self._core.set_state(ti, "up_for_reschedule")

        def due() -> None:
            ti.run.dirty.add(ti.task_id)
            self._core.wake()

        self._core.clock.at(msg.reschedule_date.timestamp(), due)

    @answer.register
    def _(self, msg: comms.DeferTask, process: Process) -> None:
        ti = self._running(process, "deferred")
        if ti is not None:
            self.defer(ti, msg)

    @answer.register
    def _(self, msg: comms.AwaitInputTask, process: Process) -> None:
        ti = self._running(process, "awaiting_input")
        if ti is None:
            return
        ti.next_method, ti.next_kwargs = msg.next_method, plain(msg.next_kwargs)
        if msg.timeout is not None:
            ti.timeout_at = self._core.now() + msg.timeout
            wait = msg.timeout.total_seconds() + self._core.settings.deferral_check / 2
            self._core.clock.after(wait, self._core.wake)
        self._core.set_state(ti, "awaiting_input")

    @answer.register
    def _(self, msg: comms.CreateHITLDetailPayload, process: Process) -> Any:
        self._core.store.questions[msg.ti_id] = msg.model_dump(mode="json") | {"answer": None}
        return OK

    @answer.register
    def _(self, msg: comms.TaskState, process: Process) -> None:
        """Only the supervisor learns it now; the API does when the process has ended."""

    @answer.register
    def _(self, msg: comms.SkipDownstreamTasks, process: Process) -> None:
        run = self._tables.own(process).run
        for task in msg.tasks:
            task_id, index = task if isinstance(task, tuple) else (task, -1)
            ti = run.tasks.get(task_id, {}).get(index)
            if ti is not None and ti.state not in ("running", "success", "failed"):
                ti.start_date = self._core.now()
                self._core.set_state(ti, "skipped")

    @answer.register(comms.SetRenderedFields)
    @answer.register(comms.MaskSecret)
    @answer.register(comms.ValidateInletsAndOutlets)
    def _(self, msg: Any, process: Process) -> None:
        """Of no meaning here."""

    @answer.register
    def _(self, msg: comms.SetRenderedMapIndex, process: Process) -> None:
        self._tables.own(process).rendered_map_index = msg.rendered_map_index

    # Runs and their tasks.

    @answer.register
    def _(self, msg: comms.TriggerDagRun, process: Process) -> Any:
        run = self._core.store.runs.get((msg.dag_id, msg.run_id))
        if run is None:
            parent = self._tables.own(process).run
            try:
                self._trigger_run(
                    msg.dag_id,
                    plain(msg.conf),
                    run_id=msg.run_id,
                    run_type="operator_triggered",
                    user=parent.triggering_user_name,
                    logical_date=msg.logical_date,
                )
            except BadRequest as error:
                raise refusal(400, str(error)) from error
        elif msg.reset_dag_run:
            self._clear_run(run)
        else:
            return comms.ErrorResponse(error=ErrorType.DAGRUN_ALREADY_EXISTS)
        return OK

    # Rows.

    def _running(self, process: Process, state: str) -> TaskInstance | None:
        """The task instance that is to come to a state; None where it is there already."""
        ti = self._tables.own(process)
        if ti.state == state:
            return None
        if ti.state != "running":
            raise refusal(
                409, f"TI was not in the running state so it cannot be updated: {ti.state}"
            )
        return ti

    def _xcom_keys(self, ti: TaskInstance) -> list[str]:
        own = (*ti.run.key, ti.task_id)
        xcoms = self._core.store.xcoms
        return [key[3] for key, table in xcoms.items() if key[:3] == own and ti.map_index in table]
