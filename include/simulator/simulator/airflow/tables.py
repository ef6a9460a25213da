"""What the API server reads and writes for tasks and triggers: XComs, runs, kept states.

Source: airflow/api_fastapi/execution_api/routes, sdk/execution_time/request_handlers.py, 3.3.2.
"""

from __future__ import annotations

import functools
import json
from typing import Any

from airflow.sdk.api.datamodels import _generated as wire
from airflow.sdk.exceptions import ErrorType
from airflow.sdk.execution_time import comms

from simulator.airflow.core import Core, refusal, stored
from simulator.airflow.mapping import MAX_MAP_LENGTH
from simulator.airflow.processes import Process
from simulator.airflow.records import FINISHED, Run, TaskInstance

OK = comms.OKResponse(ok=True)


class Tables:
    """Answers messages that are about the tables alone."""

    def __init__(self, core: Core) -> None:
        self._core = core

    @functools.singledispatchmethod
    def answer(self, msg: Any, process: Process) -> Any:
        """What the API says. Raises: AirflowRuntimeError: it refuses."""
        raise self._core.report_gap(NotImplementedError(f"the API does not know {type(msg)}"))

    # XComs.

    @answer.register
    def _(self, msg: comms.SetXCom, process: Process) -> None:
        length = msg.mapped_length
        if length is not None:
            if length > MAX_MAP_LENGTH:
                raise refusal(
                    400, f"the length of a mapped task, {length}, is above {MAX_MAP_LENGTH}"
                )
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

    def own(self, process: Process) -> TaskInstance:
        ti = process.ti
        if ti is None or ti.run.key not in self._core.store.runs or ti.id != process.ti_id:
            raise refusal(404, "Task Instance not found")
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

    def _states(self, process: Process) -> dict[str, Any]:
        return self._core.store.task_states.setdefault(self.state_key(self.own(process)), {})

    def state_key(self, ti: TaskInstance) -> tuple[str, str, str, int]:
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
