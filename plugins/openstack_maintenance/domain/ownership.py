"""Whose a host is: the run whose mark its disabled nova-compute service carries."""

from __future__ import annotations

from openstack_maintenance.domain.cloud import ComputeService
from openstack_maintenance.domain.errors import CloudError, OwnershipLost
from openstack_maintenance.domain.foreign_text import quoted
from openstack_maintenance.domain.mark import LONGEST_REASON, Mark


def silent_cell(service: ComputeService) -> CloudError:
    """Nothing is known of a service whose cell does not answer: neither lost, nor a person's."""
    return CloudError(
        f"host {service.host}",
        "its cell does not answer (Nova shows its nova-compute as UNKNOWN)",
        "Wait until `openstack compute service list` shows its state again (its cell's database "
        "must answer), then clear the failed task.",
    )


def ownership_lost(service: ComputeService, owner: Mark) -> OwnershipLost | None:
    """Why a run must leave a host alone: somebody enabled it, disabled it again, or took it over.

    None while the run owns it. Raises: CloudError, where its cell does not answer.
    """
    if service.is_unknown:
        raise silent_cell(service)
    if owner.same_run(service.mark):
        return None
    said = quoted(service.disabled_reason, LONGEST_REASON)
    state = "enabled" if service.is_enabled else f"disabled with {said}"
    return OwnershipLost(
        f"host {service.host}",
        f"it is {state}, not disabled by this run",
        "Somebody else decides about it now: talk to them, then trigger a new run.",
    )
