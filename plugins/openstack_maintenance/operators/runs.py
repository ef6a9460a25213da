"""Other runs of this Airflow: which of those that hold hosts are still going on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from openstack_maintenance.domain.mark import Mark

if TYPE_CHECKING:
    from airflow.sdk import Context


def run_of(dag_id: str, run_id: str) -> Any:
    """A run as Airflow has it: state, conf."""
    # Airflow's own, of a task that runs: nothing else tells a task what another run was asked.
    from airflow.sdk.execution_time.comms import GetDagRun
    from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS

    return SUPERVISOR_COMMS.send(GetDagRun(dag_id=dag_id, run_id=run_id))


def conf_of(dag_id: str, run_id: str) -> dict[str, Any]:
    """What a run was asked."""
    return dict(getattr(run_of(dag_id, run_id), "conf", None) or {})


def running_among(context: Context, marks: Iterable[Mark | None], own: Mark) -> frozenset[str]:
    """The run ids among ``marks``, other than our own, whose runs are not finished."""
    others = {mark for mark in marks if mark is not None and not mark.same_run(own)}
    return frozenset(mark.run_id for mark in others if _is_going_on(context, mark))


def _is_going_on(context: Context, mark: Mark) -> bool:
    count = context["ti"].get_dr_count(
        dag_id=mark.dag_id, run_ids=[mark.run_id], states=["queued", "running"]
    )
    return int(count) > 0
