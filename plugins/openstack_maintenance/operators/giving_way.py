"""A run that waits for its window gives way to one that need not wait.

Of controller_maintenance, and of nights, Airflow starts one run at a time (``max_active_runs=1``):
two would each take something out. A run that waits for hours counts. One that somebody triggers
meanwhile with ``ignore_window`` would be queued for as long, and nothing would say why.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from openstack_maintenance.domain.errors import CheckFailed
from openstack_maintenance.operators.runs import run_of

if TYPE_CHECKING:
    from airflow.sdk import Context

_LAST = "report"  # of every DAG: while it has no state, its run has not ended


def check_nobody_is_urgent(context: Context) -> None:
    """Raises: CheckFailed, where a run of the same DAG is queued that ignores the window."""
    for run_id in _begun_or_queued(context):
        if _is_urgent(run_of(str(context["ti"].dag_id), run_id)):
            raise CheckFailed(
                f"run {context['run_id']}",
                f"it waited for its window, and gave way to the run {run_id}, which ignores the "
                "window. Nothing more was changed",
                "Clear the failed task: this run waits for its window again when that one is over.",
            )


def _begun_or_queued(context: Context) -> Iterator[str]:
    ti: Any = context["ti"]  # the protocol of the SDK leaves this method out
    for run_id, states in ti.get_task_states(dag_id=ti.dag_id, task_ids=[_LAST]).items():
        if run_id != context["run_id"] and states.get(_LAST) is None:
            yield run_id


def _is_urgent(run: Any) -> bool:
    asked = run.conf or {}
    return run.state == "queued" and asked.get("ignore_window") is True and not asked.get("dry_run")
