"""The network agents of a host: without them an instance that starts there gets no port.

Source: https://docs.openstack.org/api-ref/network/v2/#agents. Where OVN runs, its ovn-controller
and its metadata agent are in the same list.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from openstack_maintenance.domain.blocker import Blocker
from openstack_maintenance.domain.host.rights import POLICIES

NETWORK_AGENT = "its network agent"


@dataclass(frozen=True)
class NetworkAgent:
    """One row of Neutron's agents. ``heartbeat``: in UTC, by Neutron's clock."""

    id: str
    binary: str
    host: str
    is_enabled: bool
    is_alive: bool
    heartbeat: datetime | None

    @property
    def name(self) -> str:
        """Which it is: a host may have two of one binary."""
        return f"{self.binary} ({self.id})"


@dataclass(frozen=True)
class HostNetwork:
    """What the pre-check found of a host's network: the agents that must be back after the boot.

    ``not_proven``: why it cannot be proven, where the policy lets a host go without.
    """

    agents: tuple[str, ...] = ()
    not_proven: str = ""


def judge_before(host: str, agents: Sequence[NetworkAgent]) -> tuple[HostNetwork, list[Blocker]]:
    """What of the host's network can be proven later, and what keeps it from being taken out.

    ``agents``: the host's.
    """
    wanted = [each for each in agents if each.is_enabled]
    if not wanted:
        return HostNetwork(not_proven=f"Neutron lists no network agent on {host}"), []
    blockers = [
        Blocker(
            f"host {host}",
            f"its network agent {each.binary} is not alive (last heartbeat {each.heartbeat})",
            f"Start it on the host. If it is left over, delete it (`openstack network agent delete "
            f"{each.id}`) or switch it off (`openstack network agent set --disable {each.id}`).",
        )
        for each in wanted
        if not each.is_alive
    ]
    return HostNetwork(tuple(sorted(each.id for each in wanted))), blockers


def nothing_listed(is_required: bool, cloud: str) -> tuple[HostNetwork, list[Blocker]]:
    """Neutron lists no agent at all to the user of connection ``cloud``: why is not known."""
    found = "Neutron lists no network agent of any host to its user"
    if not is_required:
        return HostNetwork(not_proven=found), []
    return HostNetwork(), [
        Blocker(
            f"cloud {cloud}",
            f"{found}: without the right get_agent it lists none, and does not say why",
            f"Allow get_agent to the user of connection {cloud}: see {POLICIES}. If this cloud's "
            "network has no agents, write network_agents: not_proven into the policy.",
        )
    ]


def not_back(
    wanted: Iterable[str],
    agents: Sequence[NetworkAgent],
    before: Mapping[str, datetime | None],
) -> str | None:
    """What of a host's network is not back yet; None where all of it is.

    ``wanted``: ids of the agents that it had; those that are switched off now are not waited for.
    ``agents``: those of the host, now. ``before``: the heartbeat that each showed at first.
    """
    known = {each.id: each for each in agents}
    missing = [each for each in wanted if each not in known]
    if missing:
        return f"Neutron does not list {NETWORK_AGENT} {', '.join(missing)} any more"
    enabled = [each for each in agents if each.is_enabled]
    if dead := [each.name for each in enabled if not each.is_alive]:
        return f"{NETWORK_AGENT} {', '.join(dead)} is not alive"
    # The first one may be from before the boot.
    if still := [each.name for each in enabled if each.heartbeat == before.get(each.id)]:
        return f"waiting for the heartbeat of {NETWORK_AGENT} {', '.join(still)} to advance"
    return None
