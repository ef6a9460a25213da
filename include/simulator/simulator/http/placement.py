"""Placement: providers, inventories, traits, allocations, candidates.

Source: https://docs.openstack.org/api-ref/placement/
"""

from __future__ import annotations

import json
from typing import Any

from simulator.cloud import Cloud
from simulator.cloud.model import ComputeHost
from simulator.http.messages import Answer, Request

_KINDS = ("VCPU", "MEMORY_MB", "DISK_GB")
# The newest 1.x by the newest 2.x of the same release of Nova: Queens, Xena, 2026.
_NEWEST = ((60, 17), (90, 38), (10_000, 39))


class Placement:
    """The resource providers are the compute hosts; none is nested."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    @property
    def newest(self) -> int:
        """The newest microversion, 1.x."""
        return next(minor for nova, minor in _NEWEST if self._cloud.settings.newest <= nova)

    def answer(self, request: Request) -> Answer:
        """One request."""
        if request.path == "/":
            return Answer({"versions": [self._version()]})
        asked = _microversion(request, self.newest)
        if asked is None or asked > self.newest:
            return self._fault(406, "Not Acceptable", "Unacceptable version header")
        found = self._route(request, asked)
        found.headers["OpenStack-API-Version"] = f"placement 1.{asked}"
        return found

    def _version(self) -> dict[str, Any]:
        return {
            "id": "v1.0",
            "max_version": f"1.{self.newest}",
            "min_version": "1.0",
            "status": "CURRENT",
            "links": [{"rel": "self", "href": ""}],
        }

    def _route(self, request: Request, asked: int) -> Answer:
        parts = request.path.strip("/").split("/")
        if request.method != "GET":
            return self._fault(405, "Method Not Allowed", "The method is not allowed.")
        if parts == ["allocation_candidates"]:
            return self._candidates(request.query, asked)
        if parts == ["resource_providers"]:
            return self._providers(request.query)
        if parts[0] == "resource_providers" and len(parts) in (2, 3):
            return self._of_provider(parts[1], parts[2] if len(parts) == 3 else "")
        if parts[0] == "allocations" and len(parts) == 2:
            return self._of_consumer(parts[1])
        return self._fault(404, "Not Found", "The resource could not be found.")

    def _providers(self, query: dict[str, str]) -> Answer:
        hosts = self._cloud.state.hosts.values()
        found = [
            _provider(each)
            for each in hosts
            if query.get("name", each.hostname) == each.hostname
            and query.get("uuid", each.id) == each.id
        ]
        return Answer({"resource_providers": found})

    def _of_provider(self, provider_id: str, what: str) -> Answer:
        host = self._cloud.state.hosts_by_id.get(provider_id)
        if host is None:
            said = f"No resource provider with uuid {provider_id} found"
            detail = f"The resource could not be found.\n\n {said} : {said}  "
            return self._fault(404, "Not Found", detail)
        generation = {"resource_provider_generation": host.generation}
        match what:
            case "":
                return Answer(_provider(host))
            case "inventories":
                return Answer({**generation, "inventories": _inventories(host)})
            case "traits":
                return Answer({"traits": sorted(host.traits), **generation})
            case "usages":
                return Answer({**generation, "usages": dict(host.used)})
            case "aggregates":
                return Answer({"aggregates": [], **generation})
            case "allocations":
                rows = {
                    consumer: {"resources": amounts} for consumer, amounts in host.consumers.items()
                }
                return Answer({**generation, "allocations": rows})
        return self._fault(404, "Not Found", "The resource could not be found.")

    def _of_consumer(self, consumer: str) -> Answer:
        state = self._cloud.state
        found = {
            state.hosts[name].id: {
                "generation": state.hosts[name].generation,
                "resources": amounts,
            }
            for name, amounts in state.allocations.get(consumer, {}).items()
        }
        return Answer({"allocations": found})

    def _candidates(self, query: dict[str, str], asked: int) -> Answer:
        wanted: dict[str, int] = {}
        for part in query.get("resources", "").split(","):
            name, _, amount = part.partition(":")
            if name not in _KINDS or not amount.isdigit() or int(amount) < 1:
                said = f"Badly formed resources parameter: {query.get('resources')}"
                return self._fault(400, "Bad Request", said)
            wanted[name] = int(amount)
        traits = [each for each in query.get("required", "").split(",") if each]
        if asked < 22 and any(each.startswith("!") for each in traits):
            return self._fault(400, "Bad Request", "Invalid query string parameters: !")
        hosts = [
            each
            for each in self._cloud.state.hosts.values()
            if self._cloud.scheduler.has_room(each, wanted) and _has(each, traits)
        ]
        if "limit" in query:
            hosts = hosts[: int(query["limit"])]
        resources = json.dumps({"resources": wanted})
        requests = ", ".join(
            f'{{"allocations": {{"{each.id}": {resources}}}, "mappings": {{"": ["{each.id}"]}}}}'
            for each in hosts
        )
        summaries = ", ".join(f'"{each.id}": {_summary(each)}' for each in hosts)
        return Answer(
            f'{{"allocation_requests": [{requests}], "provider_summaries": {{{summaries}}}}}'
        )

    def _fault(self, status: int, title: str, detail: str) -> Answer:
        error = {"status": status, "title": title, "detail": detail, "request_id": "req-unknown"}
        return Answer({"errors": [error]}, status)


def _microversion(request: Request, newest: int) -> int | None:
    text = request.headers.get("openstack-api-version", "placement 1.0").rpartition(" ")[2]
    if text == "latest":
        return newest
    major, _, minor = text.partition(".")
    return int(minor) if major == "1" and minor.isdigit() else None


def _has(host: ComputeHost, traits: list[str]) -> bool:
    return all(
        (each[1:] not in host.traits) if each.startswith("!") else each in host.traits
        for each in traits
    )


def _provider(host: ComputeHost) -> dict[str, Any]:
    return {
        "uuid": host.id,
        "name": host.hostname,
        "generation": host.generation,
        "parent_provider_uuid": None,
        "root_provider_uuid": host.id,
        "links": [{"rel": "self", "href": f"/resource_providers/{host.id}"}],
    }


def _inventories(host: ComputeHost) -> dict[str, Any]:
    totals = {
        "VCPU": (host.vcpus, 0, host.cpu_ratio),
        "MEMORY_MB": (host.ram_mib, host.reserved_ram_mib, host.ram_ratio),
        "DISK_GB": (host.disk_gib, 0, host.disk_ratio),
    }
    return {
        kind: {
            "total": total,
            "reserved": reserved,
            "min_unit": 1,
            "max_unit": total,
            "step_size": 1,
            "allocation_ratio": ratio,
        }
        for kind, (total, reserved, ratio) in totals.items()
        if total
    }


def _summary(host: ComputeHost) -> str:
    resources = ", ".join(
        f'"{kind}": {{"capacity": {host.capacity[kind]}, "used": {host.used[kind]}}}'
        for kind in _KINDS
    )
    traits = json.dumps(sorted(host.traits))
    return (
        f'{{"resources": {{{resources}}}, "traits": {traits}, '
        f'"parent_provider_uuid": null, "root_provider_uuid": "{host.id}"}}'
    )
