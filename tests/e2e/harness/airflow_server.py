"""A whole Airflow for the tests: real scheduler, triggerer and workers, and runs to watch."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from airflow_local import AirflowApi, AirflowLocalError, LocalAirflow, TaskInstance

DAG = "compute_host_maintenance"
# How long anything is waited for. What takes ten seconds on a quiet machine has taken minutes on
# one whose disk was busy, and waiting longer costs a test that passes nothing.
PATIENCE = 1200
_READING = 4


@dataclass
class Run:
    """One DAG run: what it does, what it handed on, and how to make it go on."""

    server: AirflowServer
    dag_id: str
    run_id: str
    _told: dict[tuple[str, int], str | None] = field(default_factory=dict)

    def wait(self, timeout: float = PATIENCE) -> str:
        """Wait until the run has ended, telling every step on the terminal; returns its state."""
        return self.server.api.wait(self.dag_id, self.run_id, timeout, self._tell)

    def wait_for(
        self, task_id: str, *states: str, count: int = 1, timeout: float = PATIENCE
    ) -> list[TaskInstance]:
        """Wait until a task, or `count` elements of a mapped one, are in one of these states.

        Returns them. A run that ends before that is an error: there is nothing to wait for.
        """
        wanted = set(states)

        def in_state(tasks: list[TaskInstance]) -> str:
            found = [t for t in tasks if t.task_id == task_id and t.state in wanted]
            return "reached" if len(found) >= count else self._over()

        api = self.server.api
        if api.wait_until(self.dag_id, self.run_id, in_state, timeout, self._tell) == "over":
            raise AirflowLocalError(
                f"{self.run_id} is over and {task_id} never was {' or '.join(states)}: "
                f"{self.states()}"
            )
        return [t for t in self.tasks(task_id) if t.state in wanted]

    def state(self) -> str:
        return str(self.server.api.run(self.dag_id, self.run_id)["state"])

    def states(self) -> dict[str, str | None]:
        """Each task's state, by the name that the UI shows."""
        return self.server.api.states(self.dag_id, self.run_id)

    def tasks(self, task_id: str | None = None) -> list[TaskInstance]:
        """The run's task instances; of one task (every element) or of all."""
        found = self.server.api.task_instances(self.dag_id, self.run_id)
        return [task for task in found if task_id in (None, task.task_id)]

    def task(self, task_id: str, map_index: int = -1) -> TaskInstance:
        return next(t for t in self.tasks(task_id) if t.map_index == map_index)

    def xcom(self, task_id: str, key: str = "return_value", map_index: int = -1) -> Any:
        return self.server.api.xcom(self.dag_id, self.run_id, task_id, key, map_index)

    def log(self, task_id: str, attempt: int | None = None, map_index: int = -1) -> str:
        """The log of a task's last attempt, or of the one asked for."""
        number = attempt or self.task(task_id, map_index).try_number
        return self.server.api.log(self.dag_id, self.run_id, task_id, number, map_index)

    def clear(
        self, *task_ids: str | tuple[str, int], downstream: bool = True, only_failed: bool = False
    ) -> None:
        """Clear tasks as a person does in the UI; without names, every task (that failed)."""
        cleared = self.server.api.clear(
            self.dag_id,
            self.run_id,
            list(task_ids) or None,
            downstream=downstream,
            only_failed=only_failed,
        )
        self.server.say(f"cleared: {', '.join(sorted(task.name for task in cleared))}")

    def clear_failed(self) -> None:
        """Clear what failed, and what could not run because of it."""
        failed = {task.task_id for task in self.tasks() if task.state == "failed"}
        self.clear(*sorted(failed))

    def mark_failed(self, task_id: str, map_index: int = -1) -> None:
        """Kill a task as a person does in the UI."""
        self.server.api.set_task_state(self.dag_id, self.run_id, task_id, "failed", map_index)

    def answer(self, task_id: str, option: str) -> None:
        """Answer a task that waits for a person, as one does in the UI, who reads it first.

        What is answered within moments, Airflow may take for a lost task: its executor says that
        the task is done when it is queued again already.
        """
        self.wait_for(task_id, "awaiting_input")
        time.sleep(_READING)
        self.server.api.answer(self.dag_id, self.run_id, task_id, option)

    def kill_worker(self, task_id: str, map_index: int = -1) -> None:
        """Kill the worker that runs this task, and the task with it, as a crash would."""
        self.server.airflow.kill_task(self.task(task_id, map_index).pid)
        self.server.say(f"killed the worker of {task_id}")

    def _over(self) -> str:
        return "over" if self.state() in ("success", "failed") else ""

    def _tell(self, task: TaskInstance) -> None:
        if task.state is not None and task.state != self._told.get(task.key):
            self._told[task.key] = task.state
            self.server.say(f"{task.name}: {task.state}")


class AirflowServer:
    """The tests' own Airflow, and the hands that break it."""

    def __init__(self, airflow: LocalAirflow, say: Callable[[str], None]) -> None:
        self.airflow = airflow
        self.say = say
        self.api: AirflowApi = airflow.api()

    def trigger(self, dag_id: str = DAG, run_id: str | None = None, **conf: Any) -> Run:
        """Trigger a run with these params."""
        started = self.api.trigger(dag_id, conf, run_id)
        self.say(f"triggered {dag_id} {conf}: {started}")
        return Run(self, dag_id, started)

    def maintain(self, host: str, **conf: Any) -> Run:
        """Trigger the maintenance of one host, outside of the window too."""
        return self.trigger(DAG, host=host, **{"ignore_window": True, "reason": "test", **conf})

    def kill(self, component: str) -> None:
        """Kill a component as a crash would: `triggerer`, `scheduler`, ..."""
        self.airflow.kill_component(component)
        self.say(f"killed the {component}")

    def restart(self, component: str) -> None:
        """Start a component again; returns when it has given a sign of life."""
        self.airflow.restart_component(component)
        self.say(f"restarted the {component}")

    def repair(self) -> None:
        """Start again what a test killed."""
        self.airflow.start(self.say)

    def end_all_runs(self, timeout: float = PATIENCE) -> None:
        """Fail every run that a test left under way, so that the next one starts from rest."""
        for found in self._under_way():
            self.api.set_run_state(found["dag_id"], found["dag_run_id"], "failed")
        deadline = time.monotonic() + timeout
        while left := self._under_way():
            if time.monotonic() > deadline:
                names = ", ".join(run["dag_run_id"] for run in left)
                raise AirflowLocalError(f"Still under way after {timeout:.0f} s: {names}.")
            time.sleep(0.5)

    def _under_way(self) -> list[dict[str, Any]]:
        return [run for run in self.api.runs("~") if run["state"] in ("queued", "running")]
