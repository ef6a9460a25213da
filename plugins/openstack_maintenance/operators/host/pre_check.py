"""What the pre-check asks of the cloud about one host, beside Nova's own records of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from openstack_maintenance.domain.blocker import Blocker
from openstack_maintenance.domain.drain.affinity import affinity_blockers, apart_blockers
from openstack_maintenance.domain.errors import MaintenanceError
from openstack_maintenance.domain.host.network import HostNetwork, judge_before, nothing_listed
from openstack_maintenance.hooks.cloud_hook import CloudHook
from openstack_maintenance.operators.host.emptiness import PAUSES, other_holders

if TYPE_CHECKING:
    from openstack_maintenance.domain.cloud import Instance
    from openstack_maintenance.domain.drain.movability import DrainPlan
    from openstack_maintenance.domain.drain.ports import HostPort
    from openstack_maintenance.domain.host.holders import Holder
    from openstack_maintenance.domain.host.rules import HostInCloud
    from openstack_maintenance.operators.host.base import HostOperator


def affinity_in_the_way(
    step: HostOperator, plan: DrainPlan, instances: list[Instance]
) -> list[Blocker]:
    """Hard groups whose members are together on the host, or on the destination that is named."""
    if not plan.moves or not step.policy.affinity_filter:
        return []
    # Brings openstacksdk: not while a DAG file is parsed.
    from openstack_maintenance.adapters.cloud_errors import Refused

    moving, to = [each.instance for each in plan.moves], step.request.destination
    try:
        blockers = affinity_blockers(instances, moving, step.nova.affinity_groups())
        if to is not None and (apart := step.nova.one_a_host_groups()):
            blockers += apart_blockers(moving, step.nova.instances_on(to), to, apart)
    except Refused:
        return []  # the right to list them is among the missing ones
    return blockers


def ports_on(step: HostOperator) -> list[HostPort]:
    """The ports on the host; none where they cannot be read: Nova has the last word."""
    try:
        found = CloudHook(step.cloud_conn_id).get_health().ports(step.request.host)
    except MaintenanceError as error:
        step.log.warning("the ports on the host are not known: %s", error)
        return []
    return found or []


def network_of(step: HostOperator) -> tuple[HostNetwork, list[Blocker]]:
    """The network agents that the host has, and must have again before it is enabled."""
    is_required = step.requires_network
    # Brings openstacksdk: not while a DAG file is parsed.
    from openstack_maintenance.adapters.cloud_errors import Refused

    host = step.request.host
    try:
        health = CloudHook(step.cloud_conn_id).get_health()
        agents = health.agents(host)
        lists_none = agents == [] and not health.agents()
    except MaintenanceError as error:
        if not is_required:
            return HostNetwork(not_proven=str(error)), []
        if not isinstance(error, Refused):
            raise
        return HostNetwork(), [Blocker(error.subject, error.found, error.remedy)]
    if agents is None:
        return HostNetwork(not_proven="the cloud has no list of network agents"), []
    if lists_none:
        return nothing_listed(is_required, step.cloud_conn_id)
    return judge_before(host, [each for each in agents if each.host == host])


def holders_on(step: HostOperator, facts: HostInCloud) -> tuple[list[Holder], list[Blocker]]:
    """Who else holds room on the host in Placement, and what of it does not end by itself."""
    if facts.hypervisor is None:
        return [], []
    # Brings openstacksdk: not while a DAG file is parsed.
    from openstack_maintenance.adapters.cloud_errors import Refused

    host, provider = step.request.host, facts.hypervisor.id
    try:
        found = other_holders(step.nova, host, provider, facts.instances, PAUSES[:3])
    except Refused as error:  # one right more that is missing
        return [], [Blocker(error.subject, error.found, error.remedy)]
    blocking = [each for each in found if not (each.is_passing or each.is_left_over(host))]
    return found, [_blocker(each, host, provider) for each in blocking]


def _blocker(holder: Holder, host: str, provider: str) -> Blocker:
    """What has arrived a moment ago is in no list of this run yet."""
    found, instance = holder.blocker(host, provider), holder.instance
    if holder.migration is None and instance is not None and instance.host == host:
        return replace(found, remedy="Clear the task: it is looked at with the others then.")
    return found
