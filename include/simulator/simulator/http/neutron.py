"""Neutron: its agents."""

from __future__ import annotations

from typing import Any

from simulator.cloud import Cloud
from simulator.cloud.model import Agent
from simulator.http.messages import Answer, Request


class Neutron:
    """As much as the checks, and a look at a host's agents, ask for."""

    def __init__(self, cloud: Cloud, url: str) -> None:
        self._cloud = cloud
        self._url = url

    def answer(self, request: Request) -> Answer:
        """One request."""
        if request.method != "GET":
            return _fault(501, "HTTPNotImplemented", request.path)
        if request.path == "/":
            links = [{"rel": "self", "href": f"{self._url}/v2.0/"}]
            return Answer({"versions": [{"id": "v2.0", "status": "CURRENT", "links": links}]})
        if request.path == "/v2.0":
            return Answer({"resources": []})
        if request.path == "/v2.0/extensions":
            return Answer({"extensions": [{"alias": "agent", "name": "agent"}]})
        if request.path == "/v2.0/agents" and self._cloud.state.agents:
            return Answer({"agents": self._agents(request.query)})
        if request.path == "/v2.0/ports":
            return Answer({"ports": []})
        return _fault(404, "HTTPNotFound", "The resource could not be found.")

    def _agents(self, query: dict[str, str]) -> list[dict[str, Any]]:
        found = self._cloud.state.agents.values()
        rows = (self._row(each) for each in found)
        wanted = {name: query[name] for name in ("host", "binary", "agent_type") if name in query}
        return [row for row in rows if all(row[name] == text for name, text in wanted.items())]

    def _row(self, agent: Agent) -> dict[str, Any]:
        host = self._cloud.state.hosts.get(agent.host)
        is_alive = agent.is_alive
        if is_alive is None:
            is_alive = host is None or (host.is_on and not host.is_cut)
        seen = f"{self._cloud.state.now():%Y-%m-%d %H:%M:%S}"
        return {
            "id": agent.id,
            "agent_type": agent.kind,
            "binary": agent.binary,
            "topic": "N/A",
            "host": agent.host,
            "admin_state_up": agent.is_enabled,
            "created_at": seen,
            "started_at": seen,
            "heartbeat_timestamp": seen,
            "description": None,
            "resources_synced": None,
            "availability_zone": None,
            "alive": is_alive,
            "configurations": {},
        }


def _fault(status: int, kind: str, message: str) -> Answer:
    error = {"type": kind, "message": message, "detail": ""}
    return Answer({"NeutronError": error}, status)
