"""Other runs of this Airflow: which of those that hold hosts are still going on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from openstack_maintenance.domain.mark import Mark

if TYPE_CHECKING:
    from airflow.sdk import Context


def running_among(context: Context, marks: Iterable[Mark | None], own: Mark) -> frozenset[str]:
    """The run ids among ``marks``, other than our own, whose runs are not finished."""
    others = {mark for mark in marks if mark is not None and not mark.same_run(own)}
    return frozenset(mark.run_id for mark in others if _is_going_on(context, mark))


def _is_going_on(context: Context, mark: Mark) -> bool:
    count = context["ti"].get_dr_count(
        dag_id=mark.dag_id, run_ids=[mark.run_id], states=["queued", "running"]
    )
    return int(count) > 0
