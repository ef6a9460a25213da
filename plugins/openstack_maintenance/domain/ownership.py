"""Whose a host is: the run whose mark its disabled nova-compute service carries."""

from __future__ import annotations

from openstack_maintenance.domain.cloud import ComputeService
from openstack_maintenance.domain.errors import CloudError, OwnershipLost
from openstack_maintenance.domain.foreign_text import quoted
from openstack_maintenance.domain.mark import LONGEST_REASON, Mark

# What nova-compute writes when it loses libvirt, and takes back when libvirt is there again.
# Source: DISABLE_PREFIX in nova/virt/libvirt/driver.py.
_BY_NOVA = "AUTO: "


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


def is_disabled_by_nova(service: ComputeService) -> bool:
    """Whether nova-compute itself disabled it, which it does only because libvirt is not there."""
    said = service.disabled_reason
    return not service.is_enabled and isinstance(said, str) and said.startswith(_BY_NOVA)


def disabled_in_words(service: ComputeService) -> str:
    """Why a service is disabled that none of our runs disabled: whoever it was, in its words."""
    said = service.disabled_reason
    if not said:
        return "it is disabled without a reason"
    told = quoted(said, LONGEST_REASON)
    if is_disabled_by_nova(service):
        return f"nova-compute itself disabled it, because it lost libvirt: {told}"
    return f"it is disabled with the reason {told}"
