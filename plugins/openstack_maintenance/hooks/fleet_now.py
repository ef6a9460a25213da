"""The whole fleet at one moment: Nova, Placement, and a look at each host that may be due."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from openstack_maintenance.domain.drain.movability import parse_microversion
from openstack_maintenance.domain.errors import MaintenanceError
from openstack_maintenance.domain.nights.fleet_facts import FleetInCloud
from openstack_maintenance.domain.nights.requirements import asks_for_traits
from openstack_maintenance.hooks.ssh import open_host

if TYPE_CHECKING:
    from openstack_maintenance.adapters.nova import Nova
    from openstack_maintenance.domain.deployment import Deployment
    from openstack_maintenance.domain.host.facts import HostFacts

Fact = TypeVar("Fact")

# SSH connections at a time: each is quick, and a bastion in front of them takes only so many.
_AT_A_TIME = 32
# Before a host that does not answer is asked again, in seconds.
_PAUSES = (3.0, 6.0)


def read_cloud(nova: Nova) -> FleetInCloud:
    """Everything that a plan needs of Nova and Placement. Raises: CloudError."""
    hypervisors = {each.host: each.id for each in nova.hypervisors()}
    instances = tuple(nova.instances())
    wants_traits = any(asks_for_traits(each.extra_specs) for each in instances)
    groups = nova.hard_groups()
    return FleetInCloud(
        services=tuple(nova.services("nova-compute")),
        capacities=_by_host(hypervisors, nova.capacities(hypervisors.values())),
        properties=nova.properties(),
        instances=instances,
        groups=groups.apart,
        together=groups.together,
        newest=parse_microversion(nova.check_version()),
        # One request a host: only where somebody asks.
        traits=_by_host(hypervisors, nova.traits(hypervisors.values())) if wants_traits else {},
    )


def _by_host(hypervisors: Mapping[str, str], found: Mapping[str, Fact]) -> dict[str, Fact]:
    return {host: found[each] for host, each in hypervisors.items() if each in found}


@dataclass(frozen=True)
class HostLooks:
    """One look at each host. ``facts``: of those that answered. ``unread``: why others did not.

    ``silent``: those of ``unread`` that may answer if they are asked again.
    """

    facts: Mapping[str, HostFacts]
    unread: Mapping[str, str]
    silent: frozenset[str] = frozenset()


async def read_hosts(
    addresses: Mapping[str, str], deployment: Deployment, ssh_conn_id: str
) -> HostLooks:
    """One look at each host, one SSH round trip each; who is silent is asked a few times."""
    looks = await _read_once(addresses, deployment, ssh_conn_id)
    for pause in _PAUSES:
        if not looks.silent:
            break
        await asyncio.sleep(pause)
        again = {host: addresses[host] for host in looks.silent}
        later = await _read_once(again, deployment, ssh_conn_id)
        unread = {host: why for host, why in looks.unread.items() if host not in again}
        looks = HostLooks({**looks.facts, **later.facts}, {**unread, **later.unread}, later.silent)
    return looks


async def _read_once(
    addresses: Mapping[str, str], deployment: Deployment, ssh_conn_id: str
) -> HostLooks:
    from openstack_maintenance.adapters.shell import HostUnreachable

    silent: set[str] = set()
    facts: dict[str, HostFacts] = {}
    unread: dict[str, str] = {}
    compute, slots = deployment.nova_compute, asyncio.Semaphore(_AT_A_TIME)

    async def look(host: str, address: str) -> None:
        async with slots:
            try:
                async with open_host(ssh_conn_id, host, address, compute) as opened:
                    facts[host] = await opened.read_facts()
            except MaintenanceError as error:
                unread[host] = f"{error.found}. {error.remedy}"
                if isinstance(error, HostUnreachable):
                    silent.add(host)

    await asyncio.gather(*(look(*each) for each in addresses.items()))
    return HostLooks(facts, unread, frozenset(silent))
