"""Placement: providers, inventories, traits, allocations, candidates.

Source: https://docs.openstack.org/api-ref/placement/
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from typing import Any

from simulator.cloud import Cloud
from simulator.cloud.model import ComputeHost
from simulator.cloud.services import DISABLED_TRAIT
from simulator.http.messages import Answer, Request

_KINDS = ("VCPU", "MEMORY_MB", "DISK_GB")
# The newest 1.x by the newest 2.x of the same release of Nova: Queens, Xena, 2026.
_NEWEST = ((60, 17), (90, 38), (10_000, 39))


class Placement:
    """The resource providers are the compute hosts; none is nested."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._refusals = 0

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
            return self._unacceptable(request)
        try:
            found = self._route(request, asked)
        except _Refused as refused:
            found = refused.answer(asked, self._request_id())
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

    def _unacceptable(self, request: Request) -> Answer:
        wanted = _wanted(request)
        detail = (
            "The resource could not be generated that was acceptable to your browser (content of "
            "type application/json. \n\n Invalid microversion: Unacceptable version header: "
            f"{wanted}"
        )
        error = {"status": 406, "title": "Not Acceptable", "detail": detail}
        versions = {"max_version": f"1.{self.newest}", "min_version": "1.0"}
        return Answer({"errors": [{**error, "request_id": self._request_id(), **versions}]}, 406)

    def _request_id(self) -> str:
        self._refusals += 1
        return f"req-{uuid.UUID(int=self._refusals)}"

    def _route(self, request: Request, asked: int) -> Answer:
        parts = request.path.strip("/").split("/")
        if request.method != "GET":
            raise _Refused("The method is not allowed.", 405)
        if parts == ["allocation_candidates"]:
            return self._candidates(request.query, asked)
        if parts == ["resource_providers"]:
            return self._providers(request.query, asked)
        if parts[0] == "resource_providers" and len(parts) in (2, 3):
            return self._of_provider(parts[1], parts[2] if len(parts) == 3 else "", asked)
        if parts[0] == "allocations" and len(parts) == 2:
            return self._of_consumer(parts[1], asked)
        raise _Refused("", 404)

    def _providers(self, query: dict[str, str], asked: int) -> Answer:
        hosts = self._cloud.state.hosts.values()
        found = [
            _provider(each, asked)
            for each in hosts
            if query.get("name", each.hostname) == each.hostname
            and query.get("uuid", each.id) == each.id
        ]
        return Answer({"resource_providers": found})

    def _of_provider(self, provider_id: str, what: str, asked: int) -> Answer:
        host = self._cloud.state.hosts_by_id.get(provider_id)
        if host is None:
            said = f"No resource provider with uuid {provider_id} found"
            before = {
                "": "",
                "allocations": f"Resource provider '{provider_id}' not found: ",
                "inventories": f"{said} : ",
            }
            raise _Refused(f"{before.get(what, f'{said}: ')}{said}", 404)
        generation = {"resource_provider_generation": host.generation}
        match what:
            case "":
                return Answer(_provider(host, asked))
            case "inventories":
                return Answer({**generation, "inventories": _inventories(host)})
            case "traits":
                return Answer({"traits": sorted(host.traits), **generation})
            case "usages":
                return Answer({**generation, "usages": dict(host.used)})
            case "aggregates":
                return Answer({"aggregates": [], **generation})
            case "allocations":
                more = {"consumer_generation": 1} if asked >= 28 else {}
                rows = {
                    consumer: {"resources": amounts, **more}
                    for consumer, amounts in host.consumers.items()
                }
                return Answer({**generation, "allocations": rows})
        raise _Refused("", 404)

    def _of_consumer(self, consumer: str, asked: int) -> Answer:
        state = self._cloud.state
        found = {
            state.hosts[name].id: {
                "generation": state.hosts[name].generation,
                "resources": amounts,
            }
            for name, amounts in state.allocations.get(consumer, {}).items()
        }
        body: dict[str, Any] = {"allocations": found}
        whose = self._owner(consumer) if found else None
        if whose is not None and asked >= 12:
            body["project_id"], body["user_id"] = whose
            if asked >= 28:
                body["consumer_generation"] = 1
        return Answer(body)

    def _owner(self, consumer: str) -> tuple[str, str] | None:
        """Project and user of an instance, or of a migration that holds its half of a move."""
        state = self._cloud.state
        if instance := state.instances.get(consumer):
            return instance.project_id, instance.user_id
        for cell in state.cells.values():
            if migration := cell.migrations.get(consumer):
                return migration.project_id, migration.user_id
        return None

    def _candidates(self, query: dict[str, str], asked: int) -> Answer:
        wanted = _wanted_resources(query)
        traits = [each for each in query.get("required", "").split(",") if each]
        if asked < 22 and any(each.startswith("!") for each in traits):
            raise _Refused("Invalid query string parameters: !")
        known = {trait for each in self._cloud.state.hosts.values() for trait in each.traits}
        known.add(DISABLED_TRAIT)
        if unknown := [each for each in traits if each.lstrip("!") not in known]:
            raise _Refused(f"No such trait(s): {', '.join(unknown)}.")
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
        kinds = _KINDS if asked >= 27 else tuple(wanted)
        summaries = ", ".join(f'"{each.id}": {_summary(each, kinds)}' for each in hosts)
        return Answer(
            f'{{"allocation_requests": [{requests}], "provider_summaries": {{{summaries}}}}}'
        )


_TITLES = {
    400: (
        "Bad Request",
        "The server could not comply with the request since it is either malformed or otherwise "
        "incorrect.",
    ),
    404: ("Not Found", "The resource could not be found."),
    405: ("Method Not Allowed", "The method is not allowed."),
}


class _Refused(Exception):
    """Placement says no. ``code``: its word for that, from 1.23 on."""

    def __init__(self, said: str, status: int = 400, code: str = "undefined_code") -> None:
        super().__init__(said)
        self._said, self._status, self._code = said, status, code

    def answer(self, asked: int, request_id: str) -> Answer:
        """As it is sent at a microversion."""
        title, usual = _TITLES[self._status]
        detail = f"{usual}\n\n {self._said}  "
        error = {"status": self._status, "title": title, "detail": detail}
        if asked >= 23:
            error["code"] = f"placement.{self._code}"
        return Answer({"errors": [{**error, "request_id": request_id}]}, self._status)


def _wanted_resources(query: dict[str, str]) -> dict[str, int]:
    """Raises: _Refused. Source: placement.util.normalize_resources_qs_param."""
    if "resources" not in query:
        said = "There must be at least one resources or resources[$S] parameter."
        raise _Refused(said, code="query.missing_value")
    wanted: dict[str, int] = {}
    for part in query["resources"].split(","):
        name, colon, amount = part.partition(":")
        if not colon:
            raise _Refused(
                "Badly formed resources parameter. Expected resources query string parameter in "
                f"form: ?resources=VCPU:2,MEMORY_MB:1024. Got: {part or 'empty string'}."
            )
        if not amount.lstrip("-").isdigit():
            raise _Refused(
                f"Requested resource {name} expected positive integer amount. Got: {amount}."
            )
        if int(amount) < 1:
            raise _Refused(f"Requested resource {name} requires amount >= 1. Got: {amount}.")
        if name not in _KINDS:
            raise _Refused(
                f"Invalid resource class in resources parameter: No such resource class {name}."
            )
        wanted[name] = int(amount)
    return wanted


def _wanted(request: Request) -> str:
    return request.headers.get("openstack-api-version", "placement 1.0").rpartition(" ")[2]


def _microversion(request: Request, newest: int) -> int | None:
    text = _wanted(request)
    if text == "latest":
        return newest
    major, _, minor = text.partition(".")
    return int(minor) if major == "1" and minor.isdigit() else None


def _has(host: ComputeHost, traits: list[str]) -> bool:
    return all(
        (each[1:] not in host.traits) if each.startswith("!") else each in host.traits
        for each in traits
    )


# Of what a provider has, from which microversion on.
_PARTS = (("inventories", 0), ("usages", 0), ("aggregates", 1), ("traits", 6), ("allocations", 11))


def _provider(host: ComputeHost, asked: int) -> dict[str, Any]:
    parts = [(name, f"/{name}") for name, since in _PARTS if asked >= since]
    return {
        "uuid": host.id,
        "name": host.hostname,
        "generation": host.generation,
        "parent_provider_uuid": None,
        "root_provider_uuid": host.id,
        "links": [
            {"rel": name, "href": f"/resource_providers/{host.id}{path}"}
            for name, path in [("self", ""), *parts]
        ],
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


def _summary(host: ComputeHost, kinds: Sequence[str]) -> str:
    resources = ", ".join(
        f'"{kind}": {{"capacity": {host.capacity[kind]}, "used": {host.used[kind]}}}'
        for kind in kinds
        if host.capacity[kind]
    )
    traits = json.dumps(sorted(host.traits))
    return (
        f'{{"resources": {{{resources}}}, "traits": {traits}, '
        f'"parent_provider_uuid": null, "root_provider_uuid": "{host.id}"}}'
    )
