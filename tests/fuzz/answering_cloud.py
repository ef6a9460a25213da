"""A cloud whose answers a test writes: all of openstacksdk runs, but nothing is sent.

What would go over the wire is answered in `requests.adapters.HTTPAdapter.send`: so is what the
project's own adapter does with an answer part of what is tested.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from openstack_maintenance.adapters.cloud_health import CloudHealth
from openstack_maintenance.adapters.nova import Nova
from openstack_maintenance.domain.drain.capacity import Need
from openstack_maintenance.domain.host import rights

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures/nova"
URL = "http://cloud.invalid"
PASSWORD = 's3cret/päss"w&rd'
TOKEN = "gAAAAABnotarealtoken-0123456789abcdef"
LAB = {8774: URL, 5000: f"{URL}/identity", 8778: f"{URL}/placement"}
HEALTH_PATHS = {
    "compute": "/v2.1",
    "network": "/network",
    "image": "/image",
    "block-storage": "/volume/v3/p1",
    "identity": "/identity/v3",
    "placement": "/placement",
}


@cache
def recorded(name: str) -> Any:
    """A recorded answer, as text: what is made of it is the caller's own."""
    folder = FIXTURES if (FIXTURES / f"{name}.json").exists() else FIXTURES / "newest"
    text = (folder / f"{name}.json").read_text()
    for port, url in LAB.items():
        text = text.replace(f"http://172.31.240.10:{port}", url)
    return text


def fresh(name: str) -> Any:
    """A recorded answer, to be changed at will."""
    return json.loads(recorded(name))


@dataclass
class Answer:
    """What comes back. ``body``: bytes as they are, or an object that is written as JSON."""

    body: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)

    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass
class AnsweringCloud:
    """Keystone, Nova, Placement, Glance, Neutron and Cinder.

    ``answers``: by method and path. ``pages``: what the first, second, ... request gets.
    ``may_go_anywhere``: where a test's own catalog names other hosts.
    """

    answers: dict[str, Answer] = field(default_factory=dict)
    pages: dict[str, list[Answer]] = field(default_factory=dict)
    may_go_anywhere: bool = False
    asked: list[str] = field(default_factory=list)

    def send(self, request: requests.PreparedRequest) -> requests.Response:
        """Answer a request. One that no test wrote an answer for gets what was recorded."""
        url = urlsplit(str(request.url))
        asked = f"{request.method} {url.path}"
        self.asked = [*self.asked[-20:], f"{request.method} {request.url}"]
        is_ours = str(request.url).startswith(URL)
        assert is_ours or self.may_go_anywhere, f"the token went to {request.url}"
        pages = self.pages.get(asked)
        answer = pages.pop(0) if pages else self.answers.get(asked) or self.usual(asked)
        response = requests.Response()
        response.status_code = answer.status
        response.headers.update(
            {
                "Content-Type": "application/json",
                "Date": format_datetime(datetime.now(UTC), usegmt=True),
                "X-Subject-Token": TOKEN,
                **answer.headers,
            }
        )
        response.encoding = requests.utils.get_encoding_from_headers(response.headers)
        response.raw = io.BytesIO(answer.content())
        response.request, response.url = request, str(request.url)
        return response

    def usual(self, asked: str) -> Answer:
        method, path = asked.split(" ", 1)
        path = path.rstrip("/")
        if path == "/identity/v3/auth/tokens":
            return Answer(_token(), 201)
        if path == "/image":
            link = {"rel": "self", "href": f"{URL}/image/v2/"}
            return Answer({"versions": [{"id": "v2.9", "status": "CURRENT", "links": [link]}]})
        if path in ("", "/v2.1"):
            return Answer(fresh("version" if path else "versions"))
        known = {
            "/identity/v3": "keystone_v3",
            "/placement": "placement",
            "/v2.1/os-services": "services",
            "/v2.1/os-hypervisors/detail": "hypervisors",
            "/v2.1/os-aggregates": "aggregates",
            "/v2.1/servers/detail": "servers",
            "/v2.1/os-migrations": "migrations",
        }
        if method == "GET" and path in known:
            return Answer(fresh(known[path]))
        return Answer({}, 202 if method == "POST" else 200)


def _token() -> Any:
    found = fresh("token")
    found["token"]["expires_at"] = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    found["token"]["catalog"] = [
        {
            "type": kind,
            "name": kind,
            "endpoints": [
                {"interface": "public", "region_id": "RegionOne", "url": f"{URL}{path}"},
            ],
        }
        for kind, path in HEALTH_PATHS.items()
    ]
    return found


def options(**given: Any) -> dict[str, Any]:
    """Arguments of ``openstack.connect``."""
    auth = {
        "auth_url": f"{URL}/identity/v3",
        "username": "admin",
        "password": PASSWORD,
        "project_name": "admin",
        "user_domain_name": "Default",
        "project_domain_name": "Default",
    }
    return {"auth": auth, "load_yaml_config": False, "load_envvars": False, **given}


def new_nova() -> Nova:
    return Nova("openstack_default", options())


def new_health() -> CloudHealth:
    return CloudHealth("openstack_default", options())


def answering(
    monkeypatch: pytest.MonkeyPatch, cloud: AnsweringCloud | None = None
) -> AnsweringCloud:
    """Let a cloud answer, as long as the test runs."""
    cloud = cloud or AnsweringCloud()

    def send(adapter: Any, request: requests.PreparedRequest, *_: Any, **__: Any) -> Any:
        return cloud.send(request)

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", send)
    return cloud


INSTANCE = "62c07774-1ded-49a1-bedb-2514590200b1"
PROVIDER = "4c8d95dd-fefa-5f8a-a953-f86694cabc46"
ACTIONS = f"GET /v2.1/servers/{INSTANCE}/os-instance-actions"
REQUEST = fresh("instance_action")["instanceAction"]["request_id"]
SINCE = datetime(2026, 11, 22, tzinfo=UTC)
PROBE = "openstack-maintenance-probe-1"
NO_HOST = {"message": "No valid host was found.", "code": 500}


@dataclass(frozen=True)
class Read:
    """One read of a cloud: the request that counts, where its rows are, what was answered once."""

    asked: str
    key: str
    body: Callable[[], Any]
    call: Callable[[Nova], Any]
    also: Callable[[], dict[str, Answer]] = dict


def _rows(name: str, least: int = 2) -> Callable[[], Any]:
    return lambda: {key: rows[:least] for key, rows in fresh(name).items()}


def _server() -> Any:
    return {"server": next(e for e in fresh("servers")["servers"] if e["id"] == INSTANCE)}


def _on_one_host() -> Any:
    rows = fresh("servers")["servers"][:2]
    return {"servers": [row | {"OS-EXT-SRV-ATTR:host": "c01"} for row in rows]}


def _probed() -> dict[str, Answer]:
    server = {"server": {"id": "s1", "status": "ERROR", "fault": NO_HOST}}
    return {
        "GET /image/v2/images": Answer({"images": [{"id": "i1", "min_ram": 512}]}),
        "GET /v2.1/flavors": Answer({"flavors": [{"id": "f0", "name": PROBE}]}),
        "GET /v2.1/servers": Answer({"servers": [{"id": "s0", "name": PROBE}]}),
        "POST /v2.1/flavors": Answer({"flavor": {"id": "f1"}}),
        "POST /v2.1/servers": Answer({"server": {"id": "s1"}}, 202),
        "GET /v2.1/servers/s1": Answer(server),
    }


def _probe(asked: str, key: str) -> Read:
    return Read(
        asked, key, lambda: _probed()[asked].body, lambda nova: nova.ask_scheduler(PROBE), _probed
    )


def _right(right: rights.Right, asked: str, key: str, body: Callable[[], Any]) -> Read:
    needed = [rights.Needed(right, INSTANCE)]
    return Read(asked, key, body, lambda nova: nova.missing_rights(needed))


PLACEMENT = "GET /placement/resource_providers"
READS = {
    "services": Read(
        "GET /v2.1/os-services", "services", _rows("services", 4), lambda nova: nova.services()
    ),
    "service": Read(
        "GET /v2.1/os-services", "services", _rows("services", 4), lambda n: n.get_service("c02")
    ),
    "hypervisors": Read(
        "GET /v2.1/os-hypervisors/detail",
        "hypervisors",
        _rows("hypervisors"),
        lambda nova: nova.hypervisors(),
    ),
    "hypervisor": Read(
        "GET /v2.1/os-hypervisors/detail",
        "hypervisors",
        _rows("hypervisors"),
        lambda nova: nova.find_hypervisor("c01"),
    ),
    "aggregates": Read(
        "GET /v2.1/os-aggregates", "aggregates", _rows("aggregates"), lambda nova: nova.aggregates()
    ),
    "properties": Read(
        "GET /v2.1/os-aggregates", "aggregates", _rows("aggregates"), lambda nova: nova.properties()
    ),
    "server groups": Read(
        "GET /v2.1/os-server-groups",
        "server_groups",
        lambda: {"server_groups": []},
        lambda nova: nova.anti_affinity_groups(),
    ),
    "instances": Read(
        "GET /v2.1/servers/detail", "servers", _rows("servers"), lambda nova: nova.instances()
    ),
    "instances of a host": Read(
        "GET /v2.1/servers/detail", "servers", _on_one_host, lambda nova: nova.instances_on("c01")
    ),
    "instance": Read(
        f"GET /v2.1/servers/{INSTANCE}", "server", _server, lambda nova: nova.get_instance(INSTANCE)
    ),
    "migrations": Read(
        "GET /v2.1/os-migrations",
        "migrations",
        _rows("migrations"),
        lambda nova: nova.migrations(SINCE),
    ),
    "actions": Read(
        ACTIONS,
        "instanceActions",
        _rows("instance_actions", 99),
        lambda nova: nova.why_it_failed(INSTANCE),
        lambda: {f"{ACTIONS}/{REQUEST}": Answer(fresh("instance_action"))},
    ),
    "action": Read(
        f"{ACTIONS}/{REQUEST}",
        "instanceAction",
        lambda: fresh("instance_action"),
        lambda nova: nova.why_it_failed(INSTANCE),
        lambda: {ACTIONS: Answer(fresh("instance_actions"))},
    ),
    "inventories": Read(
        f"{PLACEMENT}/{PROVIDER}/inventories",
        "inventories",
        lambda: fresh("inventories"),
        lambda nova: nova.capacities([PROVIDER]),
    ),
    "traits": Read(
        f"{PLACEMENT}/{PROVIDER}/traits",
        "traits",
        lambda: fresh("traits"),
        lambda nova: nova.traits([PROVIDER]),
    ),
    "room": Read(
        "GET /placement/allocation_candidates",
        "provider_summaries",
        lambda: {"allocation_requests": [], "provider_summaries": {PROVIDER: {}}},
        lambda nova: nova.hosts_with_room(Need(vcpus=1, ram_mib=512, disk_gib=1)),
    ),
    "right to list migrations": _right(
        rights.LIST_MIGRATIONS, "GET /v2.1/os-migrations", "migrations", _rows("migrations")
    ),
    "right to see an instance": _right(
        rights.SHOW, f"GET /v2.1/servers/{INSTANCE}", "server", _server
    ),
    "image of the probe": _probe("GET /image/v2/images", "images"),
    "flavors of the probe": _probe("GET /v2.1/flavors", "flavors"),
    "instances of the probe": _probe("GET /v2.1/servers", "servers"),
    "flavor of the probe": _probe("POST /v2.1/flavors", "flavor"),
    "instance of the probe": _probe("POST /v2.1/servers", "server"),
    "answer to the probe": _probe("GET /v2.1/servers/s1", "server"),
}
HEALTH_READS: dict[str, tuple[str, str, Any, Callable[[CloudHealth], Any]]] = {
    "compute services": (
        "GET /v2.1/os-services",
        "services",
        [{"binary": "nova-compute", "host": "c01", "status": "enabled", "state": "up"}],
        lambda health: health.compute_services(),
    ),
    "volume services": (
        "GET /volume/v3/p1/os-services",
        "services",
        [{"binary": "cinder-volume", "host": "v1", "status": "enabled", "state": "up"}],
        lambda health: health.volume_services(),
    ),
    "network agents": (
        "GET /network/v2.0/agents",
        "agents",
        [{"binary": "neutron-l3-agent", "host": "n1", "admin_state_up": True, "alive": True}],
        lambda health: health.network_agents(),
    ),
    "images": (
        "GET /image/v2/images",
        "images",
        [{"id": "i1"}],
        lambda health: health.count_images(),
    ),
}
