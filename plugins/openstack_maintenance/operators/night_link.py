"""The way back from a host's run to the night that started it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import BaseOperatorLink
from airflow.utils.helpers import build_airflow_dagrun_url

from openstack_maintenance.domain.mark import HOST_DAG, NIGHT_DAG

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey


CHILD_DAG = HOST_DAG
# The run id of a host's run begins with this; the host and the night follow.
CHILD = "nightly"


class NightLink(BaseOperatorLink):
    """A button on a task of a host's run: the night. None where a person triggered the run."""

    name = "Night"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """The address of the night's run, or nothing."""
        night = night_of(ti_key.run_id)
        return build_airflow_dagrun_url(dag_id=NIGHT_DAG, run_id=night) if night else ""


def night_of(run_id: str) -> str | None:
    """The night that started this run of compute_host_maintenance; None where a person did."""
    kind, _, of_host = run_id.partition("__")
    _, _, night = of_host.partition("__")
    return night if kind == CHILD and night else None
