"""The look at a host's network agents after its boot, beside that at its nova-compute."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from openstack_maintenance.domain.host.network import not_back
from openstack_maintenance.hooks.cloud_hook import CloudHook

if TYPE_CHECKING:
    from openstack_maintenance.adapters.cloud_health import CloudHealth
    from openstack_maintenance.domain.host.network import NetworkAgent


class NetworkWatch:
    """Whether the agents that a host had are back: alive, with a heartbeat of the new boot."""

    def __init__(self, cloud_conn_id: str, host: str, network: Mapping[str, Any]) -> None:
        """``network``: a HostNetwork, as plain data."""
        self._conn_id = cloud_conn_id
        self._host = host
        self._wanted = [str(each) for each in network.get("agents") or ()]
        self._not_proven = str(network.get("not_proven") or "")
        self._first: dict[str, datetime | None] = {}
        self._health: CloudHealth | None = None

    async def look(self) -> tuple[str | None, dict[str, Any]]:
        """What is missing (None: nothing), and what was seen, as plain data. Raises: CloudError."""
        if not self._wanted:
            return None, {"not_proven": self._not_proven or "nothing was asked for"}
        agents = await self._agents()
        for each in agents:
            self._first.setdefault(each.id, each.heartbeat)
        missing = not_back(self._wanted, agents, self._first)
        return missing, {"agents": [_plain(each) for each in agents]}

    async def _agents(self) -> list[NetworkAgent]:
        if self._health is None:
            self._health = await CloudHook(self._conn_id).aget_health()
        found = await asyncio.to_thread(self._health.agents, self._host)
        return [each for each in found or () if each.host == self._host]


def _plain(agent: NetworkAgent) -> dict[str, Any]:
    return {
        "binary": agent.binary,
        "alive": agent.is_alive,
        "heartbeat": agent.heartbeat.isoformat() if agent.heartbeat else None,
    }
