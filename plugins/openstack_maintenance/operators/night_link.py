"""The way back from a host's run to the night that started it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import BaseOperatorLink
from airflow.utils.helpers import build_airflow_dagrun_url

from openstack_maintenance.operators.nights.base import NIGHT_DAG, night_of

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey


class NightLink(BaseOperatorLink):
    """A button on a task of a host's run: the night. None where a person triggered the run."""

    name = "Night"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """The address of the night's run, or nothing."""
        night = night_of(ti_key.run_id)
        return build_airflow_dagrun_url(dag_id=NIGHT_DAG, run_id=night) if night else ""
