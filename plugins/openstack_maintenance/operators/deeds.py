"""What a step has done that must never be done twice: noted before it is done, read before it is
done again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.sdk.execution_time.context import NEVER_EXPIRE

from openstack_maintenance.domain.foreign_text import storable
from openstack_maintenance.records import deeds

if TYPE_CHECKING:
    from openstack_maintenance.operators.base import MaintenanceOperator
    from openstack_maintenance.records.deeds import Deed


def find_deed(step: MaintenanceOperator, deed: Deed, key: str) -> dict[str, Any] | None:
    """What was noted of it by this run; None where it was not done.

    ``key``: what it is called in Airflow's store, which is asked where there is no note: the run
    may have begun with an older release. Raises: RecordUnreadable, where it is not known.
    """
    noted = deeds.find_deed(step.policy, step.dag_id_of_run, step.run_id, deed)
    if noted is not None:
        return noted
    found = store_of(step).get(key)
    if isinstance(found, Mapping):
        return dict(found)
    return {} if found else None


def note_deed(step: MaintenanceOperator, deed: Deed, key: str, facts: Mapping[str, Any]) -> None:
    """Note it in both places. Raises: PolicyError, where the records cannot be used."""
    store_of(step).set(key, storable(dict(facts)), retention=NEVER_EXPIRE)
    deeds.write_deed(step.policy, step.dag_id_of_run, step.run_id, deed, facts)


def store_of(step: MaintenanceOperator) -> Any:
    """What Airflow keeps of a step, over retries and clears."""
    return step._context["task_state_store"]
