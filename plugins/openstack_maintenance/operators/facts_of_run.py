"""What a run's report needs to know of the run's other tasks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from openstack_maintenance.operators.base import ERROR_KEY, STEPS_KEY, error_of, plain

if TYPE_CHECKING:
    from airflow.sdk import Context

    from openstack_maintenance.operators.base import MaintenanceOperator


def run_facts(step: MaintenanceOperator, context: Context) -> dict[str, Any]:
    """Which run it is, what it was asked and by whom, and when it began."""
    dag_run = context["dag_run"]
    return {
        "dag_id": step.dag_id_of_run,
        "run_id": step.run_id,
        "params": step.params_given,
        # Not start_date: clearing a task sets that again.
        "started_at": dag_run.run_after.isoformat(),
        # None for what no person began, such as a schedule.
        "triggered_by": getattr(dag_run, "triggering_user_name", None),
    }


def other_tasks(step: MaintenanceOperator, context: Context) -> list[dict[str, Any]]:
    """The run's other tasks in the DAG's order: task_id, map_index, state, seconds."""
    ti: Any = context["ti"]  # the protocol of the SDK leaves this method out
    rows = ti.get_task_breadcrumbs(step.dag_id_of_run, step.run_id)
    dag = step.get_dag()
    order = {
        task.task_id: place for place, task in enumerate(dag.topological_sort() if dag else [])
    }
    tasks = [
        {
            "task_id": row["task_id"],
            "map_index": row.get("map_index", -1),
            "state": str(row["state"]) if row.get("state") else None,
            "seconds": row.get("duration"),
        }
        for row in rows
        if row["task_id"] != step.task_id
    ]
    return sorted(tasks, key=lambda each: (order.get(each["task_id"], 99), each["map_index"]))


def errors_of(context: Context, tasks: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What each failed task said: task_id, map_index, subject, found, remedy."""
    errors = []
    for task in tasks:
        if task["state"] != "failed":
            continue
        said = context["ti"].xcom_pull(
            task_ids=task["task_id"], map_indexes=task["map_index"], key=ERROR_KEY
        )
        if said:
            error = error_of(said)
            errors.append(
                {
                    "task_id": task["task_id"],
                    "map_index": task["map_index"],
                    "subject": error.subject,
                    "found": error.found,
                    "remedy": error.remedy,
                    **_steps(context, task),
                }
            )
    return errors


def _steps(context: Context, task: dict[str, Any]) -> dict[str, Any]:
    """What a move did before it failed; nothing of any other task."""
    if task["map_index"] < 0:
        return {}
    found = plain(
        context["ti"].xcom_pull(
            task_ids=task["task_id"], map_indexes=task["map_index"], key=STEPS_KEY
        )
    )
    return {"steps": found} if isinstance(found, list) and found else {}
