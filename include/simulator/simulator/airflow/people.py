"""What people do with an Airflow: trigger, clear, mark, delete, pause, answer, backfill.

Source: airflow/api_fastapi/core_api/routes/public, models/taskinstance.py (clear_task_instances),
api/common/mark_tasks.py, 3.3.2.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow.sdk.exceptions import ParamValidationError

from simulator.airflow.core import Core, stored
from simulator.airflow.errors import BadRequest
from simulator.airflow.mapping import partner_of
from simulator.airflow.records import FAILED, FINISHED, FINISHED_RUN, Backfill, Run, TaskInstance
from simulator.airflow.triggerer import resume

PARKED_OR_RUNNING = frozenset({"running", "deferred", "up_for_reschedule", "awaiting_input"})
# A task, or one element of it.
Which = str | tuple[str, int]


@dataclass
class People:
    """Everything that a person may ask of this Airflow."""

    core: Core

    def trigger(
        self,
        dag_id: str,
        conf: dict[str, Any] | None = None,
        *,
        run_id: str | None = None,
        run_type: str = "manual",
        user: str | None = "admin",
        logical_date: datetime | None = None,
        data_interval: tuple[datetime | None, datetime | None] = (None, None),
        run_after: datetime | None = None,
        backfill: Backfill | None = None,
    ) -> Run:
        """A new run. Raises: BadRequest: its params are not valid, or it is there already."""
        dag = self.core.dags[dag_id]
        params = copy.deepcopy(dag.source.params)
        try:
            params.update(conf or {})
            params.validate()
        except ParamValidationError as error:
            raise BadRequest(str(error)) from error
        after = run_after or self.core.now()
        run_id = run_id or self._new_run_id(dag_id, run_type, after)
        if (dag_id, run_id) in self.core.store.runs:
            raise BadRequest(f"run {run_id} of {dag_id} exists already")
        run = Run(dag_id, run_id, run_type, after, conf=json.loads(stored(conf or {})))
        run.logical_date, run.data_interval = logical_date, data_interval
        run.triggering_user_name, run.backfill = user, backfill
        return self.core.add_run(run)

    def clear(
        self,
        run: Run,
        tasks: Sequence[Which] | None = None,
        *,
        downstream: bool = True,
        only_failed: bool = False,
    ) -> list[TaskInstance]:
        """Let tasks run again; without names, all of the run. Returns what was cleared."""
        if tasks is None:
            found = list(run.instances())
        else:
            wanted = self._with_downstream(run, tasks) if downstream else set(tasks)
            found = [
                ti
                for ti in run.instances()
                if ti.task_id in wanted or (ti.task_id, ti.map_index) in wanted
            ]
        if only_failed:
            found = [ti for ti in found if ti.state in FAILED]
        self._clear(run, found)
        return found

    def mark(
        self, run: Run, task: Which | None, state: str, *, downstream: bool = False
    ) -> list[TaskInstance]:
        """Mark a task, or the whole run, success or failed. Running tasks are killed."""
        if task is None:
            return self._mark_run(run, state)
        task_id, index = task if isinstance(task, tuple) else (task, None)
        names = {task_id}
        if downstream:
            names |= set(self._below(run, task_id))
        altered = [
            ti
            for ti in run.instances()
            if ti.state != state
            and (
                (ti.task_id == task_id and index in (None, ti.map_index))
                or (ti.task_id != task_id and ti.task_id in names)
            )
        ]
        for ti in altered:
            self.core.set_state(ti, state)
        below = set(self._below(run, task_id)) - {task_id}
        again = [ti for ti in run.instances() if ti.task_id in below and ti.state in FAILED]
        self._clear(run, again)
        return altered

    def delete(self, run: Run) -> None:
        """Delete a run: who works on it finds nothing any more."""
        self.core.store.forget_run(run)
        for ti in run.instances():
            self.core.next_try(ti)
            for told in self.core.changed:
                told(ti, ti.state)

    def pause(self, dag_id: str, is_paused: bool = True) -> None:
        """Pause a DAG, or let it go on."""
        (self.core.store.paused.add if is_paused else self.core.store.paused.discard)(dag_id)
        self.core.wake()

    def answer(self, run: Run, task_id: str, option: str, user: str = "admin") -> None:
        """Choose an option of a task that waits for a person. Raises: BadRequest."""
        ti = run.tasks[task_id][-1]
        question = self.core.store.questions.get(ti.id)
        if question is None or ti.state != "awaiting_input":
            raise BadRequest(f"{task_id} does not wait for an answer")
        who = {"id": user, "name": user}
        self._answered(ti, [option], {}, who, timedout=False)

    def time_out_questions(self) -> None:
        """Source: check_awaiting_input_timeouts."""
        for ti in list(self.core.store.active):
            late = ti.timeout_at is not None and ti.timeout_at < self.core.now()
            if ti.state != "awaiting_input" or not late:
                continue
            question = self.core.store.questions.get(ti.id) or {}
            if question.get("defaults"):
                self._answered(ti, list(question["defaults"]), {}, None, timedout=True)
            else:
                error = "The Human-in-the-loop response timeout has passed without a response."
                resume(self.core, ti, {"error": error, "error_type": "timeout"})

    def _answered(
        self, ti: TaskInstance, options: list[str], params: Any, user: Any, *, timedout: bool
    ) -> None:
        payload = {
            "chosen_options": options,
            "params_input": params,
            "responded_at": self.core.now(),
            "responded_by_user": user,
            "timedout": timedout,
        }
        resume(self.core, ti, payload)

    # Clearing.

    def _clear(self, run: Run, found: Iterable[TaskInstance]) -> None:
        """Source: clear_task_instances."""
        found = list(found)
        for ti in found:
            self.core.next_try(ti)
            if ti.state == "running":
                self.core.set_state(ti, "restarting")
                continue
            retries = self.core.dags[run.dag_id].tasks[ti.task_id].retries
            ti.max_tries = ti.try_number + retries
            ti.forget_wait()
            self.core.set_state(ti, None)
            run.dirty |= self.core.dags[run.dag_id].tasks[ti.task_id].watchers
        if found:
            run.clear_number += 1
            run.queued_at = self.core.now()
            if run.state in FINISHED_RUN:
                self.core.set_run_state(run, "queued")

    def _below(self, run: Run, task_id: str) -> Collection[str]:
        source = self.core.dags[run.dag_id].source
        ids: Collection[str] = source.task_dict[task_id].get_flat_relative_ids(upstream=False)
        return ids

    def _with_downstream(self, run: Run, tasks: Sequence[Which]) -> set[Which]:
        """Source: find_relevant_relatives."""
        wanted: set[Which] = set(tasks)
        every = self.core.dags[run.dag_id].tasks
        for which in tasks:
            task_id, index = which if isinstance(which, tuple) else (which, -1)
            for other in self._below(run, task_id):
                partner = None
                if index >= 0:
                    partner = partner_of(every[task_id], every[other], index)
                wanted.add(other if partner is None else (other, partner))
        return wanted

    # Marking.

    def _mark_run(self, run: Run, state: str) -> list[TaskInstance]:
        """Source: _set_dag_run_terminal_state."""
        tasks = self.core.dags[run.dag_id].tasks
        open_ones = [ti for ti in run.instances() if ti.state not in FINISHED]
        normal = [ti for ti in open_ones if not tasks[ti.task_id].is_teardown]
        for ti in normal:
            self.core.set_state(ti, state if ti.state in PARKED_OR_RUNNING else "skipped")
        if len(normal) == len(open_ones):
            self.core.set_run_state(run, state)
        return normal

    def _new_run_id(self, dag_id: str, run_type: str, after: datetime) -> str:
        base = f"{run_type}__{after.isoformat()}"
        count = sum(run.run_id.startswith(base) for run in self.core.store.runs_of(dag_id))
        return base if not count else f"{base}_{count}"
