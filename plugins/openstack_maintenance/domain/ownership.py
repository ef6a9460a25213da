"""Whose a host is: the run whose mark its disabled nova-compute service carries."""

from __future__ import annotations

from openstack_maintenance.domain.cloud import ComputeService
from openstack_maintenance.domain.errors import OwnershipLost
from openstack_maintenance.domain.foreign_text import quoted
from openstack_maintenance.domain.mark import LONGEST_REASON, Mark


def ownership_lost(service: ComputeService, owner: Mark) -> OwnershipLost | None:
    """Why a run must leave a host alone: somebody enabled it, disabled it again, or took it over.

    None while the run owns it.
    """
    if owner.same_run(service.mark):
        return None
    said = quoted(service.disabled_reason, LONGEST_REASON)
    state = "enabled" if service.is_enabled else f"disabled with {said}"
    return OwnershipLost(
        f"host {service.host}",
        f"it is {state}, not disabled by this run",
        "Somebody else decides about it now: talk to them, then trigger a new run.",
    )
