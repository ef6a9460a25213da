"""A run of a DAG as its steps see it: Airflow's context, without an Airflow."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from builders import NOW


def as_stored(value: Any) -> Any:
    """What a database gives back: plain JSON that every one takes, or it is an error."""
    text = json.dumps(value, allow_nan=False, ensure_ascii=False)
    text.encode("utf-8")
    assert "\\u0000" not in text
    return json.loads(text)


@dataclass
class TaskInstance:
    """What the steps ask of their task instance, and what they push: ``xcoms``.

    ``tasks``: the run's other tasks, as Airflow lists them. ``results``: what those returned, by
    task, and what they pushed, by TASK.KEY. ``runs``: the states of other runs, by their ids.
    ``states``: of the tasks of other DAGs' runs, by DAG and run.
    """

    dag_id: str
    map_index: int = -1
    try_number: int = 1
    tasks: list[dict[str, Any]] = field(default_factory=list)
    results: dict[str, Any] = field(default_factory=dict)
    runs: dict[str, str] = field(default_factory=dict)
    xcoms: dict[str, Any] = field(default_factory=dict)
    states: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms[key] = as_stored(value)

    def xcom_pull(self, task_ids: str, key: str = "return_value", **asked: Any) -> Any:
        return self.results.get(task_ids if key == "return_value" else f"{task_ids}.{key}")

    def get_task_breadcrumbs(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        return self.tasks

    def get_dr_count(self, dag_id: str, run_ids: list[str], states: list[str] | None = None) -> int:
        found = [self.runs[each] for each in run_ids if each in self.runs]
        return len([each for each in found if states is None or each in states])

    def get_task_states(self, dag_id: str, **asked: Any) -> dict[str, dict[str, Any]]:
        return self.states.get(dag_id, {})

    def get_dagrun_state(self, dag_id: str, run_id: str) -> str | None:
        return self.runs.get(run_id)


class StateStore(dict[str, Any]):
    """Airflow's task_state_store: outlives retries and clears of a task."""

    def set(self, key: str, value: Any, **kept: Any) -> None:
        self[key] = as_stored(value)


def tasks_in(states: dict[str, str]) -> list[dict[str, Any]]:
    """The run's tasks, in these states."""
    return [{"task_id": name, "state": state} for name, state in states.items()]


def context_of(
    dag_id: str,
    *,
    run_id: str = "r1",
    params: dict[str, Any] | None = None,
    states: dict[str, str] | None = None,
    store: StateStore | None = None,
    dag_run: dict[str, Any] | None = None,
    **task_instance: Any,
) -> Any:
    """A step's context. ``states``: of the run's other tasks; the rest is a `TaskInstance`'s."""
    given = {"tasks": tasks_in(states or {}), **task_instance}
    run = {
        "run_after": NOW,
        "start_date": NOW,
        "logical_date": None,
        "run_type": "manual",
        "triggering_user_name": "anna",
        **(dag_run or {}),
    }
    return {
        "ti": TaskInstance(dag_id, **given),
        "params": params or {},
        "run_id": run_id,
        "dag_run": SimpleNamespace(**run),
        "task_state_store": StateStore() if store is None else store,
    }


def write_policy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: str = "", deployment: str = "lab"
) -> Path:
    """The policy of the runs of this test: of the lab, with records of its own."""
    file = tmp_path / "policy.yaml"
    file.write_text(f"deployment: {deployment}\n{more}records: file://{tmp_path}/records\n")
    monkeypatch.setenv("OPENSTACK_MAINTENANCE_POLICY", str(file))
    return file
