"""The API server as workers and triggerers meet it: it answers what the task SDK asks.

Source: airflow/api_fastapi/execution_api/routes, sdk/execution_time/supervisor.py, 3.3.2.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Any

from airflow.sdk.api.datamodels import _generated as wire
from airflow.sdk.exceptions import ErrorType
from airflow.sdk.execution_time import comms

from simulator.airflow.core import Core, refusal, stored
from simulator.airflow.errors import BadRequest
from simulator.airflow.processes import Process
from simulator.airflow.records import FINISHED, Run, TaskInstance

OK = comms.OKResponse(ok=True)


class ExecutionApi:
    """Answers one message of the task SDK at a time."""

    def __init__(self, core: Core, trigger_run: Callable[..., Run], clear_run: Any) -> None:
        self._core, self._trigger_run, self._clear_run = core, trigger_run, clear_run
        self.defer: Callable[[TaskInstance, Any], None] = lambda ti, msg: None

    @functools.singledispatchmethod
    def answer(self, msg: Any, process: Process) -> Any:
        """What the API says. Raises: AirflowRuntimeError: it refuses."""
        raise self._core.report_gap(NotImplementedError(f"the API does not know {type(msg)}"))

    # A task's own state.

    def start(self, process: Process) -> wire.TIRunContext:
        """A worker begins with a task instance. Raises: AirflowRuntimeError: it must not."""
        ti = self._own(process)
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
            self._core.store.task_states.pop(self._state_key(ti), None)
        self._core.set_state(ti, "success")

    @answer.register
    def _(self, msg: comms.RetryTask, process: Process) -> None:
        ti = self._running(process, "up_for_retry")
        if ti is not None:
            self._core.next_try(ti)
            self._core.retry_later(ti, msg.retry_delay_seconds)

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
        ti.timeout_at = None if msg.timeout is None else self._core.now() + msg.timeout
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
        run = self._own(process).run
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
        self._own(process).rendered_map_index = msg.rendered_map_index

    # XComs.

    @answer.register
    def _(self, msg: comms.SetXCom, process: Process) -> None:
        length = msg.mapped_length
        if length is not None:
            if length > 1024:
                raise refusal(400, f"the length of a mapped task, {length}, is above 1024")
            self._core.store.lengths[msg.dag_id, msg.run_id, msg.task_id] = length
        index = -1 if msg.map_index is None else msg.map_index
        self._table(msg)[index] = stored(msg.value)

    @answer.register
    def _(self, msg: comms.DeleteXCom, process: Process) -> None:
        self._table(msg).pop(-1 if msg.map_index is None else msg.map_index, None)

    @answer.register
    def _(self, msg: comms.GetXCom, process: Process) -> Any:
        text = self._table(msg).get(-1 if msg.map_index is None else msg.map_index)
        value = None if text is None else json.loads(text)
        return comms.XComResult.model_construct(key=msg.key, value=value)

    @answer.register
    def _(self, msg: comms.GetXComSequenceSlice, process: Process) -> Any:
        values = self._values(msg)[slice(msg.start, msg.stop, msg.step)]
        return comms.XComSequenceSliceResult(root=values)

    @answer.register
    def _(self, msg: comms.GetXComSequenceItem, process: Process) -> Any:
        try:
            return comms.XComSequenceIndexResult(root=self._values(msg)[msg.offset])
        except IndexError:
            return comms.ErrorResponse(error=ErrorType.XCOM_NOT_FOUND)

    @answer.register
    def _(self, msg: comms.GetXComCount, process: Process) -> Any:
        return comms.XComCountResponse(len=len(self._values(msg)))

    # Runs and their tasks.

    @answer.register
    def _(self, msg: comms.TriggerDagRun, process: Process) -> Any:
        run = self._core.store.runs.get((msg.dag_id, msg.run_id))
        if run is None:
            parent = self._own(process).run
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

    @answer.register
    def _(self, msg: comms.GetDagRunState, process: Process) -> Any:
        state = wire.DagRunState(self._run(msg.dag_id, msg.run_id).state)
        return comms.DagRunStateResult(state=state)

    @answer.register
    def _(self, msg: comms.GetDagRun, process: Process) -> Any:
        run = run_of(self._run(msg.dag_id, msg.run_id))
        return comms.DagRunResult.model_construct(**dict(run))

    @answer.register
    def _(self, msg: comms.GetDRCount, process: Process) -> Any:
        runs = self._core.store.runs_of(msg.dag_id)
        if msg.run_ids:
            runs = [run for run in runs if run.run_id in msg.run_ids]
        if msg.states:
            states = {getattr(each, "value", each) for each in msg.states}
            runs = [run for run in runs if run.state in states]
        if msg.logical_dates:
            runs = [run for run in runs if run.logical_date in msg.logical_dates]
        return comms.DRCount(count=len(runs))

    @answer.register
    def _(self, msg: comms.GetTICount, process: Process) -> Any:
        found = self._instances(msg)
        if msg.states:
            found = [ti for ti in found if (ti.state or "null") in msg.states]
        return comms.TICount(count=len(found))

    @answer.register
    def _(self, msg: comms.GetTaskStates, process: Process) -> Any:
        states: dict[str, dict[str, str | None]] = {}
        for ti in self._instances(msg):
            name = ti.task_id if ti.map_index < 0 else f"{ti.task_id}_{ti.map_index}"
            states.setdefault(ti.run.run_id, {})[name] = ti.state
        return comms.TaskStatesResult(task_states=states)

    @answer.register
    def _(self, msg: comms.GetTaskBreadcrumbs, process: Process) -> Any:
        run = self._run(msg.dag_id, msg.run_id)
        found = [ti for name in sorted(run.tasks) for ti in run.instances(name)]
        rows = [
            {
                "task_id": ti.task_id,
                "map_index": ti.map_index,
                "state": ti.state,
                "operator": ti.operator,
                "duration": ti.duration,
            }
            for ti in found
            if ti.state in FINISHED
        ]
        return comms.TaskBreadcrumbsResult.model_construct(breadcrumbs=rows)

    # What a task keeps over its tries.

    @answer.register
    def _(self, msg: comms.GetTaskStateStore, process: Process) -> Any:
        text, expires = self._states(process).get(msg.key, (None, None))
        if text is None or (expires is not None and expires <= self._core.now()):
            return comms.ErrorResponse(error=ErrorType.TASK_STORE_NOT_FOUND)
        return comms.TaskStateStoreResult(value=json.loads(text))

    @answer.register
    def _(self, msg: comms.SetTaskStateStore, process: Process) -> Any:
        self._states(process)[msg.key] = (stored(msg.value), msg.expires_at)
        return OK

    @answer.register
    def _(self, msg: comms.DeleteTaskStateStore, process: Process) -> Any:
        self._states(process).pop(msg.key, None)
        return OK

    @answer.register
    def _(self, msg: comms.ClearTaskStateStore, process: Process) -> Any:
        self._states(process).clear()
        return OK

    # Connections and variables.

    @answer.register
    def _(self, msg: comms.GetConnection, process: Process) -> Any:
        from airflow.sdk import Connection

        text = self._core.settings.connections.get(msg.conn_id)
        if text is None:
            return comms.ErrorResponse(error=ErrorType.CONNECTION_NOT_FOUND)
        if text.startswith("{"):
            made = Connection.from_json(text, conn_id=msg.conn_id)
        else:
            made = Connection.from_uri(text, conn_id=msg.conn_id)
        names = ("conn_id", "conn_type", "host", "login", "password", "schema", "port", "extra")
        return comms.ConnectionResult.model_validate({n: getattr(made, n) for n in names})

    @answer.register
    def _(self, msg: comms.GetVariable, process: Process) -> Any:
        return comms.ErrorResponse(error=ErrorType.VARIABLE_NOT_FOUND)

    # Rows.

    def _own(self, process: Process) -> TaskInstance:
        ti = process.ti
        if ti is None or ti.run.key not in self._core.store.runs or ti.id != process.ti_id:
            raise refusal(404, "Task Instance not found")
        return ti

    def _running(self, process: Process, state: str) -> TaskInstance | None:
        """The task instance that is to come to a state; None where it is there already."""
        ti = self._own(process)
        if ti.state == state:
            return None
        if ti.state != "running":
            raise refusal(
                409, f"TI was not in the running state so it cannot be updated: {ti.state}"
            )
        return ti

    def _run(self, dag_id: str, run_id: str) -> Run:
        run = self._core.store.runs.get((dag_id, run_id))
        if run is None:
            raise refusal(404, f"Dag run {run_id} of {dag_id} was not found")
        return run

    def _instances(self, msg: Any) -> list[TaskInstance]:
        return [
            ti
            for run in self._core.store.runs_of(msg.dag_id)
            if not msg.run_ids or run.run_id in msg.run_ids
            for ti in run.instances()
            if (not msg.task_ids or ti.task_id in msg.task_ids)
            and (msg.map_index is None or ti.map_index == msg.map_index)
        ]

    def _table(self, msg: Any) -> dict[int, str]:
        key = (msg.dag_id, msg.run_id, msg.task_id, msg.key)
        return self._core.store.xcoms.setdefault(key, {})

    def _values(self, msg: Any) -> list[Any]:
        table = self._table(msg)
        return [json.loads(table[index]) for index in sorted(table)]

    def _xcom_keys(self, ti: TaskInstance) -> list[str]:
        own = (*ti.run.key, ti.task_id)
        xcoms = self._core.store.xcoms
        return [key[3] for key, table in xcoms.items() if key[:3] == own and ti.map_index in table]

    def _states(self, process: Process) -> dict[str, Any]:
        return self._core.store.task_states.setdefault(self._state_key(self._own(process)), {})

    def _state_key(self, ti: TaskInstance) -> tuple[str, str, str, int]:
        return (*ti.run.key, ti.task_id, ti.map_index)


def plain(value: Any) -> Any:
    """A value after its way through JSON."""
    return json.loads(stored(value))


def run_of(run: Run) -> wire.DagRun:
    """A run as a task's context has it."""
    return wire.DagRun.model_construct(
        dag_id=run.dag_id,
        run_id=run.run_id,
        logical_date=run.logical_date,
        data_interval_start=run.data_interval[0],
        data_interval_end=run.data_interval[1],
        run_after=run.run_after,
        start_date=run.start_date,
        end_date=run.end_date,
        clear_number=run.clear_number,
        run_type=wire.DagRunType(run.run_type),
        state=wire.DagRunState(run.state),
        conf=plain(run.conf),
        triggering_user_name=run.triggering_user_name,
        consumed_asset_events=[],
        partition_key=None,
        partition_date=None,
        note=None,
        team_name=None,
    )
