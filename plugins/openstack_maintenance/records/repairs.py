"""Whose state a run has set right in Nova: once an instance and run, whatever is cleared."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from openstack_maintenance.records.deeds import Deed, find_deed, write_deed

if TYPE_CHECKING:
    from openstack_maintenance.domain.mark import Mark
    from openstack_maintenance.domain.policy import Policy


class Repairs:
    """The repairs of one run. Every call reads or writes the storage. Raises: PolicyError."""

    def __init__(self, policy: Policy, run: Mark) -> None:
        self._policy = policy
        self._run = (run.dag_id, run.run_id)

    def is_noted(self, instance_id: str) -> bool:
        """Whether the run has done it. Raises: RecordUnreadable, also PolicyError."""
        return find_deed(self._policy, *self._run, _deed(instance_id)) is not None

    def note(self, instance_id: str, at: datetime) -> None:
        """Note it, before it is done."""
        facts = {"instance_id": instance_id, "at": at.isoformat()}
        write_deed(self._policy, *self._run, _deed(instance_id), facts)


def _deed(instance_id: str) -> Deed:
    return Deed(
        name=f"state_of_{instance_id}",
        facts=("at",),
        unknown=f"whether this run has set the state of instance {instance_id} right before",
        find_out=f"See `openstack server event list {instance_id}`.",
    )
