"""The Nova adapter against recorded answers, served over HTTP: the SDK negotiates for real."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from openstack_maintenance.adapters.cloud_errors import Conflict, NotThere, Refused
from openstack_maintenance.adapters.nova import Nova
from openstack_maintenance.domain.cloud import PAUSED, RUNNING, SHUTDOWN, Migration
from openstack_maintenance.domain.drain.capacity import Need
from openstack_maintenance.domain.errors import CloudError
from openstack_maintenance.domain.host import rights
from openstack_maintenance.domain.host.rights import Right
from openstack_maintenance.domain.nights.fleet import Size
from openstack_maintenance.domain.nights.fleet_facts import compose_fleet
from openstack_maintenance.hooks.fleet_now import read_cloud

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures/nova"
LAB_NOVA, LAB_KEYSTONE = "http://172.31.240.10:8774", "http://172.31.240.10:5000"
LAB_PLACEMENT = "http://172.31.240.10:8778"
# Answers that are the same whatever the release.
ALWAYS = {
    "token",
    "keystone_v3",
    "placement",
    "inventories",
    "traits",
    "provider_not_found",
}
NO_MICROVERSION = "2.1"
SINCE = datetime(2026, 11, 22, 1, 2, 3, tzinfo=UTC)


@dataclass
class Asked:
    """One request that the adapter sent."""

    method: str
    path: str
    query: dict[str, list[str]]
    microversion: str
    body: Any

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@dataclass
class Cloud:
    """Keystone and Nova in one server. ``answers``: what replaces the recorded ones, by path."""

    release: str
    page: int = 1000
    newest: str = ""
    clock_ahead: timedelta = timedelta()
    answers: dict[str, tuple[int, Any]] = field(default_factory=dict)
    by_query: dict[str, Any] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    hang: threading.Event = field(default_factory=threading.Event)
    url: str = ""

    def __post_init__(self) -> None:
        self.newest = self.newest or self.read("version")["version"]["version"]

    def read(self, name: str) -> Any:
        folder = FIXTURES if name in ALWAYS else FIXTURES / self.release
        text = (folder / f"{name}.json").read_text()
        text = text.replace(LAB_NOVA, self.url).replace(LAB_KEYSTONE, f"{self.url}/identity")
        text = text.replace(LAB_PLACEMENT, f"{self.url}/placement")
        found = json.loads(text)
        if name == "token":  # whenever it was recorded, it is valid now
            found["token"]["expires_at"] = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
        return found

    def work(self) -> list[Asked]:
        """The requests besides those that log in and find out what the cloud can do."""
        found = ("/v2.1", "/v2.1/", "/", "/placement", "/placement/")
        return [
            each
            for each in self.asked
            if not each.path.startswith("/identity") and each.path not in found
        ]

    def answer(self, asked: Asked) -> tuple[int, Any]:
        path = asked.path
        for prefix, answer in self.answers.items():
            if f"{asked} {next(iter(asked.body or {}), '')}".startswith(prefix):
                return answer
        if path.startswith("/identity"):
            is_login = asked.method == "POST"
            return (201, self.read("token")) if is_login else (200, self.read("keystone_v3"))
        if path.startswith("/placement"):
            return self.answer_placement(path.removeprefix("/placement").strip("/"))
        if path in ("/v2.1/", "/v2.1", "/"):
            version = self.read("versions" if path == "/" else "version")
            for each in version.get("versions", [version.get("version")]):
                if each["id"] == "v2.1":
                    each["version"] = "" if self.newest == NO_MICROVERSION else self.newest
            return 200, version
        if as_numbers(asked.microversion) > as_numbers(self.newest):
            return 406, {"computeFault": {"code": 406, "message": "Version is not supported"}}
        if asked.method != "GET":
            return (202, {}) if path.endswith(("/action", "force_complete")) else (200, {})
        return self.answer_read(asked)

    def answer_read(self, asked: Asked) -> tuple[int, Any]:
        path, query = asked.path.removeprefix("/v2.1/"), asked.query
        if path == "os-services":
            rows = self.read("services")["services"]
            wanted = query.get("binary", [""])[0]
            return 200, {"services": [each for each in rows if wanted in ("", each["binary"])]}
        if path == "os-hypervisors/detail" and self.by_query:
            marker = query.get("marker")
            return 200, self.by_query[f"marker={marker[0]}" if marker else ""]
        if path == "os-hypervisors/detail":
            rows = self.read("hypervisors")["hypervisors"]
            pattern = query.get("hypervisor_hostname_pattern", [""])[0]
            rows = [each for each in rows if pattern in each["hypervisor_hostname"]]
            found = {"hypervisors": rows}
            return (200, found) if rows else (404, self.read("hypervisors_no_match"))
        if path == "os-aggregates":
            return 200, self.read("aggregates")
        if path == "os-server-groups":
            assert query["all_projects"] == ["True"]
            start = int(query.get("offset", ["0"])[0])
            rows = self.read("server_groups")["server_groups"][start:]
            return 200, {"server_groups": rows[: self.page]}  # and no link to the rest
        if path == "servers/detail":
            rows = self.read("servers")["servers"]
            host = query.get("host", query.get("compute_host", [""]))[0]
            rows = [each for each in rows if host in ("", each["OS-EXT-SRV-ATTR:host"])]
            return 200, self.paged("servers", rows, "id", asked)
        if path == "os-migrations":
            return 200, self.paged(
                "migrations", self.read("migrations")["migrations"], "uuid", asked
            )
        if "/os-instance-actions/" in path:
            return 200, self.read("instance_action")
        if path.endswith("/os-instance-actions"):
            return 200, self.read("instance_actions")
        if path.startswith("servers/"):
            rows = self.read("servers")["servers"]
            row = next((each for each in rows if each["id"] == path.split("/")[1]), None)
            return (200, {"server": row}) if row else (404, self.read("server_not_found"))
        raise AssertionError(f"nobody should ask for {asked}")

    def answer_placement(self, path: str) -> tuple[int, Any]:
        if not path:
            return 200, self.read("placement")
        _, provider, what = path.split("/")
        known = {each["id"] for each in self.read("hypervisors")["hypervisors"]}
        if provider in known:
            return 200, self.read(what)
        missing = json.dumps(self.read("provider_not_found"))
        return 404, json.loads(missing.replace("00000000-0000-4000-8000-000000000000", provider))

    def paged(self, name: str, rows: list[Any], key: str, asked: Asked) -> dict[str, Any]:
        """Nova's own pages: at most ``page`` rows, then a link to what follows the marker."""
        marker = asked.query.get("marker", [None])[0]
        start = [each[key] for each in rows].index(marker) + 1 if marker else 0
        found: dict[str, Any] = {name: rows[start : start + self.page]}
        if start + self.page < len(rows):
            last = rows[start + self.page - 1][key]
            others = "&".join(f"{k}={v[0]}" for k, v in asked.query.items() if k != "marker")
            href = f"{self.url}{asked.path}?{others}&marker={last}"
            found[f"{name}_links"] = [{"rel": "next", "href": href}]
        return found


def as_numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


pytestmark = [
    # What the SDK says to its own developers.
    pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedInSDK50Warning"),
    pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedInSDK60Warning"),
    pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedFieldWarning"),
]


def handler_of(cloud: Cloud) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = (
            True  # else each body waits 40 ms for its header's acknowledgement
        )

        def handle_any(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            header = self.headers.get("OpenStack-API-Version", f"compute {NO_MICROVERSION}")
            asked = Asked(
                self.command,
                parts.path,
                parse_qs(parts.query),
                header.rpartition(" ")[2],
                json.loads(body) if body else None,
            )
            cloud.asked.append(asked)
            status, answer = cloud.answer(asked)
            if status == 0:  # the server never answers
                cloud.hang.wait(10)
                return
            content = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
            self.send_response_only(status)
            now = datetime.now(UTC) + cloud.clock_ahead
            self.send_header("Date", format_datetime(now, usegmt=True))
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.send_header("X-Subject-Token", "a-token")
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_DELETE = handle_any

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet: pytest shows what a test needs."""

    return Handler


Clouds = Callable[..., Cloud]


@pytest.fixture
def start() -> Iterator[Clouds]:
    """Starts clouds on the loopback interface, and ends them after the test."""
    running: list[tuple[Cloud, ThreadingHTTPServer]] = []

    def start(release: str = "newest", **given: Any) -> Cloud:
        cloud = Cloud(release, **given)
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler_of(cloud))
        server.daemon_threads = True
        cloud.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, args=(0.005,), daemon=True).start()
        running.append((cloud, server))
        return cloud

    yield start
    for cloud, server in running:
        cloud.hang.set()
        server.shutdown()
        server.server_close()


def nova_of(cloud: Cloud, **options: Any) -> Nova:
    auth = {
        "auth_url": f"{cloud.url}/identity/v3",
        "username": "admin",
        "password": "right",
        "project_name": "admin",
        "user_domain_name": "Default",
        "project_domain_name": "Default",
    }
    given = {"auth": auth, "load_yaml_config": False, "load_envvars": False, **options}
    return Nova("openstack_default", given)


@pytest.fixture(params=["newest", "queens"])
def cloud(request: pytest.FixtureRequest, start: Clouds) -> Cloud:
    return start(request.param)


def first(cloud: Cloud, status: str) -> dict[str, Any]:
    rows = cloud.read("servers")["servers"]
    return dict(next(each for each in rows if each["status"] == status))


def live(cloud: Cloud) -> Migration:
    rows = cloud.read("migrations")["migrations"]
    row = next(each for each in rows if each["migration_type"] == "live-migration")
    at = datetime(2026, 11, 22, tzinfo=UTC)
    return Migration(
        row["id"],
        row["uuid"],
        row["instance_uuid"],
        "live-migration",
        "running",
        "c01",
        "c02",
        at,
        at,
    )


# What each release answers is understood alike.


def test_the_newest_common_microversion_is_known(start: Clouds) -> None:
    assert nova_of(start("newest")).check_version() == "2.104"
    assert nova_of(start("queens")).check_version() == "2.60"


@pytest.mark.parametrize("newest", ["2.59", "2.12"])
def test_a_cloud_older_than_queens_is_refused_in_a_sentence(start: Clouds, newest: str) -> None:
    with pytest.raises(CloudError) as raised:
        nova_of(start("queens", newest=newest)).check_version()
    assert str(raised.value) == (
        f"cloud openstack_default: its Nova offers {newest}, older than 2.60 (Queens). "
        "Maintain it by hand, or upgrade it first."
    )


def test_a_cloud_without_microversions_is_refused_too(start: Clouds) -> None:
    with pytest.raises(CloudError, match="offers no microversions, older than"):
        nova_of(start("queens", newest=NO_MICROVERSION)).check_version()


def test_services_are_read_with_their_heartbeats(cloud: Cloud) -> None:
    services = nova_of(cloud).services()
    assert {each.binary for each in services} == {
        "nova-compute",
        "nova-conductor",
        "nova-scheduler",
    }
    c01 = next(each for each in services if each.host == "c01")
    assert (c01.is_enabled, c01.is_up, c01.is_forced_down) == (True, True, False)
    assert (c01.zone, c01.disabled_reason, c01.mark) == ("nova", None, None)
    assert c01.updated_at is not None
    assert c01.updated_at.utcoffset() == timedelta(0)
    assert len(c01.id) == 36


def test_a_disabled_service_says_why_and_a_silent_one_has_no_heartbeat(cloud: Cloud) -> None:
    rows = cloud.read("services")
    for row in rows["services"]:
        row |= {"status": "disabled", "state": "down", "forced_down": True, "updated_at": None}
        row["disabled_reason"] = "[airflow compute_host_maintenance r1] kernel"
    cloud.answers["GET /v2.1/os-services"] = (200, rows)
    service = nova_of(cloud).get_service("c01")
    assert (service.is_enabled, service.is_up, service.is_forced_down) == (False, False, True)
    assert service.updated_at is None
    assert service.mark is not None
    assert service.mark.run_id == "r1"


def test_the_services_of_one_host_are_one_request(cloud: Cloud) -> None:
    nova = nova_of(cloud)
    assert nova.find_service("c01") is not None
    assert nova.find_service("c09") is None
    with pytest.raises(NotThere, match="Nova lists no nova-compute service on it"):
        nova.get_service("c09")
    assert [str(each) for each in cloud.work()] == ["GET /v2.1/os-services"] * 3
    assert cloud.work()[0].query == {"binary": ["nova-compute"]}


def test_the_hypervisor_of_a_host_is_found_by_its_name(cloud: Cloud) -> None:
    hypervisor = nova_of(cloud).find_hypervisor("c01")
    assert hypervisor is not None
    assert (hypervisor.host, hypervisor.host_ip) == ("c01", "172.31.240.11")
    assert hypervisor.hostname == ("c01" if cloud.release == "newest" else "c01.example.com")
    assert hypervisor.hypervisor_type in {"fake", "QEMU"}
    assert len(cloud.work()) == 1
    assert cloud.work()[0].query["hypervisor_hostname_pattern"] == ["c01"]


def test_a_hypervisor_whose_name_has_nothing_of_the_hosts_is_found_all_the_same(
    cloud: Cloud,
) -> None:
    rows = cloud.read("hypervisors")
    for row in rows["hypervisors"]:
        if row["service"]["host"] == "c01":
            row["hypervisor_hostname"] = "node-77.example.com"
    read = cloud.read
    cloud.read = lambda name: rows if name == "hypervisors" else read(name)  # type: ignore[method-assign]
    hypervisor = nova_of(cloud).find_hypervisor("c01")
    assert hypervisor is not None
    assert hypervisor.hostname == "node-77.example.com"
    assert len(cloud.work()) == 2


def test_a_host_without_a_hypervisor_has_none(cloud: Cloud) -> None:
    assert nova_of(cloud).find_hypervisor("c09") is None


@pytest.mark.parametrize(
    ("status", "vm_state", "power_state", "runs"),
    [
        ("ACTIVE", "active", RUNNING, True),
        ("PAUSED", "paused", PAUSED, True),
        ("SHUTOFF", "stopped", SHUTDOWN, False),
    ],
)
def test_an_instance_is_read_as_it_is(
    cloud: Cloud, status: str, vm_state: str, power_state: int, runs: bool
) -> None:
    row = first(cloud, status)
    instance = nova_of(cloud).get_instance(row["id"])
    assert (instance.status, instance.vm_state) == (status, vm_state)
    assert (instance.power_state, instance.may_be_running) == (power_state, runs)
    assert (instance.name, instance.host) == (row["name"], row["OS-EXT-SRV-ATTR:host"])
    assert (instance.ram_mib, instance.disk_gib) == (row["flavor"]["ram"], row["flavor"]["disk"])
    assert (instance.task_state, instance.is_launched, instance.fault) == (None, True, None)
    assert [str(each) for each in cloud.work()] == [f"GET /v2.1/servers/{row['id']}"]


def test_what_forbids_a_move_is_read_where_nova_shows_it(start: Clouds) -> None:
    cloud = start("newest")
    row = first(cloud, "ACTIVE")
    row["flavor"]["extra_specs"] = {"hw:mem_encryption": "true"}
    row["image"]["properties"] = {"hw_mem_encryption": True}
    row["fault"] = {"code": 500, "message": "No valid host", "created": "2026-01-01T00:00:00Z"}
    row["OS-EXT-STS:task_state"] = "migrating"
    cloud.answers[f"GET /v2.1/servers/{row['id']}"] = (200, {"server": row})
    instance = nova_of(cloud).get_instance(row["id"])
    assert instance.extra_specs == {"hw:mem_encryption": "true"}
    assert instance.image_properties["hw_mem_encryption"] == "True"
    assert (instance.fault, instance.task_state) == ("No valid host", "migrating")


def test_an_instance_booted_from_volume_that_never_ran_is_read_too(cloud: Cloud) -> None:
    row = first(cloud, "ACTIVE")
    row |= {"image": "", "status": "ERROR", "OS-EXT-STS:vm_state": "error"}
    row |= {"OS-SRV-USG:launched_at": None, "OS-EXT-STS:power_state": 0}
    row |= {"OS-EXT-SRV-ATTR:host": None}
    cloud.answers[f"GET /v2.1/servers/{row['id']}"] = (200, {"server": row})
    instance = nova_of(cloud).get_instance(row["id"])
    assert (instance.host, instance.is_launched, instance.may_be_running) == (None, False, False)
    assert instance.image_properties == {}


def test_an_instance_that_is_gone_is_none_or_said_to_be_gone(cloud: Cloud) -> None:
    nova = nova_of(cloud)
    gone = "00000000-0000-4000-8000-000000000000"
    assert nova.find_instance(gone) is None
    with pytest.raises(NotThere, match="could not be found"):
        nova.get_instance(gone)


@pytest.mark.parametrize(("page", "requests"), [(1000, 1), (2, 3), (1, 5)])
def test_every_page_of_the_instances_is_read(cloud: Cloud, page: int, requests: int) -> None:
    cloud.page = page
    read = cloud.read

    def on_one_host(name: str) -> Any:
        found = read(name)
        for row in found["servers"] if name == "servers" else []:
            row["OS-EXT-SRV-ATTR:host"] = "c01"
        return found

    cloud.read = on_one_host  # type: ignore[method-assign]
    instances = nova_of(cloud).instances_on("c01")
    assert len(instances) == len({each.id for each in instances})
    assert len(instances) == len(read("servers")["servers"]) == 5
    assert len(cloud.work()) == requests
    for asked in cloud.work():
        assert asked.query["all_tenants"] == ["True"]
        assert "c01" in asked.query.get("host", asked.query.get("compute_host", []))


def test_the_instances_of_an_empty_host_are_none(cloud: Cloud) -> None:
    assert nova_of(cloud).instances_on("c09") == []


@pytest.mark.parametrize("page", [1000, 2])
def test_migrations_are_read_with_one_request_a_page_oldest_first(cloud: Cloud, page: int) -> None:
    cloud.page = page
    rows = nova_of(cloud).migrations(SINCE.astimezone())
    recorded = cloud.read("migrations")["migrations"]
    assert [each.id for each in rows] == sorted(each["id"] for each in recorded)
    assert len(cloud.work()) == -(-len(recorded) // page)
    assert all(each.query["changes-since"] == ["2026-11-22T01:02:03Z"] for each in cloud.work())
    assert all(each.path == "/v2.1/os-migrations" for each in cloud.work())
    kinds = {(each.kind, each.status, each.is_moving, each.is_live) for each in rows}
    assert kinds == {
        ("live-migration", "completed", False, True),
        ("live-migration", "error", False, True),
        ("migration", "confirmed", False, False),
    }
    assert all(each.created_at.utcoffset() == timedelta(0) for each in rows)
    assert all(each.updated_at >= each.created_at and each.uuid for each in rows)


def test_a_migration_that_has_no_destination_and_was_never_updated_is_read(cloud: Cloud) -> None:
    row = cloud.read("migrations")["migrations"][0]
    row |= {"dest_compute": None, "updated_at": None, "status": "accepted"}
    cloud.answers["GET /v2.1/os-migrations"] = (200, {"migrations": [row]})
    (found,) = nova_of(cloud).migrations(SINCE)
    assert found.destination is None
    assert found.updated_at == found.created_at
    assert found.is_moving


def test_why_a_move_failed_is_told_in_novas_words(cloud: Cloud) -> None:
    instance = cloud.read("instance_action")["instanceAction"]["instance_uuid"]
    said = nova_of(cloud).why_it_failed(instance)
    assert said is not None
    assert said.endswith("No valid host was found. There are not enough hosts available.")
    assert len(cloud.work()) == 2


def test_the_reason_of_the_compute_stands_before_that_of_the_conductor(cloud: Cloud) -> None:
    action = cloud.read("instance_action")["instanceAction"]
    code = "  File manager.py\n    raise exception.MigrationPreCheckError("
    deepest = {"event": "compute_check_can_live_migrate_source", "traceback": code}
    action["events"].insert(0, deepest | {"details": "Migration pre-check error: no shared disk"})
    action["events"].insert(1, deepest | {"details": None})
    path = f"/v2.1/servers/{action['instance_uuid']}/os-instance-actions/{action['request_id']}"
    cloud.answers[f"GET {path}"] = (200, {"instanceAction": action})
    said = nova_of(cloud).why_it_failed(action["instance_uuid"])
    assert said is not None
    assert said.startswith("Migration pre-check error: no shared disk; ")
    assert said.endswith("No valid host was found. There are not enough hosts available.")


def test_where_nothing_failed_there_is_no_reason(cloud: Cloud) -> None:
    cloud.answers["GET /v2.1/servers/i1/os-instance-actions"] = (200, {"instanceActions": []})
    assert nova_of(cloud).why_it_failed("i1") is None
    assert len(cloud.work()) == 1


# The whole fleet, as a night reads it.


def test_all_hypervisors_are_read_with_the_hosts_they_belong_to(cloud: Cloud) -> None:
    found = nova_of(cloud).hypervisors()
    recorded = cloud.read("hypervisors")["hypervisors"]
    assert {each.host: each.id for each in found} == {
        row["service"]["host"]: row["id"] for row in recorded
    }
    assert sorted(each.host for each in found) == ["c01", "c02", "c03", "c04"]
    assert len(cloud.work()) == 1


def test_hypervisors_come_page_by_page_too(cloud: Cloud) -> None:
    rows = cloud.read("hypervisors")["hypervisors"]
    for at, row in enumerate(rows):
        marker = f"marker={rows[at - 1]['id']}" if at else ""
        more = {"rel": "next", "href": f"{cloud.url}/v2.1/os-hypervisors/detail?marker={row['id']}"}
        links = [more] if at + 1 < len(rows) else []
        cloud.by_query[marker] = {"hypervisors": [row], "hypervisors_links": links}
    assert len({each.host for each in nova_of(cloud).hypervisors()}) == len(rows) == 4


def test_each_host_has_the_names_of_its_aggregates(cloud: Cloud) -> None:
    assert nova_of(cloud).aggregates() == {
        "c01": frozenset({"helper-ssd"}),
        "c02": frozenset({"helper-ssd"}),
    }


def test_each_host_has_the_metadata_of_its_aggregates_value_by_value(cloud: Cloud) -> None:
    found = frozenset({"ssd=true", "rack=r1", "rack=r2"})
    assert nova_of(cloud).properties() == {"c01": found, "c02": found}


def test_where_there_are_no_aggregates_and_no_groups_there_are_none(cloud: Cloud) -> None:
    cloud.answers["GET /v2.1/os-aggregates"] = (200, {"aggregates": []})
    cloud.answers["GET /v2.1/os-server-groups"] = (200, {"server_groups": []})
    assert nova_of(cloud).aggregates() == nova_of(cloud).properties() == {}
    assert nova_of(cloud).anti_affinity_groups() == {}


def members(cloud: Cloud, name: str) -> list[str]:
    rows = cloud.read("server_groups")["server_groups"]
    return list(next(each["members"] for each in rows if each["name"] == name))


@pytest.mark.parametrize("page", [1000, 3, 1])
def test_only_hard_anti_affinity_counts_in_either_format_and_on_every_page(
    cloud: Cloud, page: int
) -> None:
    cloud.page = page
    groups = nova_of(cloud).anti_affinity_groups()
    apart, two = members(cloud, "helper-apart"), members(cloud, "helper-two-a-host")
    assert sorted(groups) == sorted([*apart, *two])
    assert len({groups[each] for each in apart}) == len({groups[each] for each in two}) == 1
    assert groups[apart[0]] != groups[two[0]]
    assert members(cloud, "helper-rather-apart")
    assert members(cloud, "helper-together")
    wanted = "2.64" if cloud.release == "newest" else "2.60"
    assert {each.microversion for each in cloud.work()} == {wanted}


def test_more_instances_than_nova_lists_at_once_are_all_read(start: Clouds) -> None:
    """Nova answers with osapi_max_limit rows (1000 by default) and a link to the rest."""
    cloud = start("newest")
    row = first(cloud, "ACTIVE")
    many = [row | {"id": f"00000000-0000-4000-8000-{number:012}"} for number in range(2500)]
    read = cloud.read
    cloud.read = lambda name: {"servers": many} if name == "servers" else read(name)  # type: ignore[method-assign]
    found = nova_of(cloud).instances()
    assert [each.id for each in found] == [each["id"] for each in many]
    assert len(cloud.work()) == 3
    assert all(each.query["all_tenants"] == ["True"] for each in cloud.work())
    # Extra specs are in the embedded flavor from 2.47 on.
    assert all(as_numbers(each.microversion) >= (2, 47) for each in cloud.work())


def test_what_the_plan_needs_of_an_instance_is_in_the_list(cloud: Cloud) -> None:
    found = {each.id: each for each in nova_of(cloud).instances()}
    for row in cloud.read("servers")["servers"]:
        each = found[row["id"]]
        flavor = row["flavor"]
        assert (each.vcpus, each.ram_mib, each.disk_gib) == (
            flavor["vcpus"],
            flavor["ram"],
            flavor["disk"],
        )
        assert each.host == row["OS-EXT-SRV-ATTR:host"]
        assert not each.is_volume_backed


def test_an_instance_is_the_same_in_the_list_and_by_itself(cloud: Cloud) -> None:
    rows = cloud.read("servers")["servers"]
    rows[0] |= {"image": "", "fault": {"code": 500, "message": "No valid host"}}
    rows[1] |= {"OS-EXT-SRV-ATTR:host": None, "OS-SRV-USG:launched_at": None}
    rows[2]["flavor"]["extra_specs"] = {"trait:CUSTOM_GPU": "required"}
    rows[2]["OS-EXT-STS:task_state"] = "migrating"
    if cloud.release == "newest":
        rows[2]["image"]["properties"] = {"hw_mem_encryption": True}
    read = cloud.read
    cloud.read = lambda name: {"servers": rows} if name == "servers" else read(name)  # type: ignore[method-assign]
    nova = nova_of(cloud)
    listed = nova.instances()
    alone = [nova.get_instance(row["id"]) for row in rows]
    # The SDK's image takes the links to it for a property.
    for each in alone:
        each.image_properties.pop("links", None)  # type: ignore[attr-defined]
    assert listed == alone
    assert [each.id for each in listed] == [row["id"] for row in rows]


def test_extra_specs_are_read_from_the_flavor_in_the_list(cloud: Cloud) -> None:
    row = first(cloud, "ACTIVE")
    row["flavor"]["extra_specs"] = {"trait:CUSTOM_GPU": "required"}
    row["image"] = ""
    cloud.answers["GET /v2.1/servers/detail"] = (200, {"servers": [row]})
    (instance,) = nova_of(cloud).instances()
    assert instance.extra_specs == {"trait:CUSTOM_GPU": "required"}
    assert instance.is_volume_backed


PROVIDERS = "GET /placement/resource_providers"


def test_capacity_is_what_may_be_allocated_without_what_is_reserved(cloud: Cloud) -> None:
    nova = nova_of(cloud)
    ids = [each.id for each in nova.hypervisors()]
    # Recorded: 64 VCPU x 4.0, 65536 MB less 512 reserved, 2000 GB.
    assert nova.capacities(ids) == dict.fromkeys(ids, Size(256, 65024, 2000))
    assert sum(each.path.endswith("/inventories") for each in cloud.work()) == len(ids)


def test_disks_on_shared_storage_are_no_capacity_of_the_host(cloud: Cloud) -> None:
    found = cloud.read("inventories")
    del found["inventories"]["DISK_GB"]
    cloud.answers[PROVIDERS] = (200, found)
    assert nova_of(cloud).capacities(["p1"]) == {"p1": Size(256, 65024, 0)}


def test_a_provider_that_placement_does_not_have_is_left_out(cloud: Cloud) -> None:
    nova = nova_of(cloud)
    known = nova.hypervisors()[0].id
    gone = "5f0e9fd2-0000-4000-8000-000000000000"
    assert list(nova.capacities([gone, known])) == [known]


@pytest.mark.parametrize(
    ("status", "body"),
    [(404, "<html>Not Found</html>"), (500, {}), (503, ""), (200, "<html>Welcome</html>")],
)
def test_a_placement_that_gives_no_answer_is_an_error_and_no_empty_fleet(
    cloud: Cloud, status: int, body: Any
) -> None:
    cloud.answers[PROVIDERS] = (status, body)
    with pytest.raises(CloudError):
        nova_of(cloud).capacities(["p1"])


def test_a_cloud_without_placement_says_so(cloud: Cloud) -> None:
    token = cloud.read("token")
    catalog = token["token"]["catalog"]
    token["token"]["catalog"] = [each for each in catalog if each["type"] != "placement"]
    cloud.answers["POST /identity"] = (201, token)
    with pytest.raises(CloudError, match="placement"):
        nova_of(cloud).capacities(["p1"])


def test_the_fleet_of_a_night_is_read_whole_and_leaves_out_unknown_capacities(cloud: Cloud) -> None:
    c04 = next(h["id"] for h in cloud.read("hypervisors")["hypervisors"] if "c04" in str(h))
    missing = {"errors": [{"status": 404, "detail": f"No resource provider with uuid {c04} found"}]}
    cloud.answers[f"{PROVIDERS}/{c04}"] = (404, missing)
    facts = read_cloud(nova_of(cloud))
    assert sorted(each.host for each in facts.services) == ["c01", "c02", "c03", "c04"]
    assert sorted(facts.capacities) == ["c01", "c02", "c03"]
    assert len(facts.instances) == 5
    assert len(facts.groups) == 4
    assert sorted(facts.properties) == ["c01", "c02"]
    # Nobody asks for a trait, so nobody reads them.
    assert facts.traits == {}
    assert not any(each.path.endswith("/traits") for each in cloud.work())


def test_traits_are_read_once_a_host_where_an_instance_asks_for_one(cloud: Cloud) -> None:
    row = first(cloud, "ACTIVE")
    row["flavor"]["extra_specs"] = {"trait:COMPUTE_TRUSTED_CERTS": "required"}
    cloud.answers["GET /v2.1/servers/detail"] = (200, {"servers": [row]})
    facts = read_cloud(nova_of(cloud))
    asked = [each for each in cloud.work() if each.path.endswith("/traits")]
    assert len(asked) == len({each.path for each in asked}) == 4
    assert all(as_numbers(each.microversion) >= (1, 6) for each in asked)
    assert set(facts.traits) == {"c01", "c02", "c03", "c04"}
    assert facts.traits["c01"] == frozenset(cloud.read("traits")["traits"])
    fleet = compose_fleet(facts, [])
    assert fleet.instances[0].requires == {"trait:COMPUTE_TRUSTED_CERTS=required"}
    assert all(each.provides == fleet.instances[0].requires for each in fleet.hosts)


def test_the_traits_of_a_provider_that_is_gone_are_left_out(cloud: Cloud) -> None:
    assert nova_of(cloud).traits(["5f0e9fd2-0000-4000-8000-000000000000"]) == {}


# Each action is one request, and says what the release understands.


def sent(cloud: Cloud) -> Asked:
    (asked,) = cloud.work()
    return asked


def test_disabling_carries_the_reason_and_enabling_none(cloud: Cloud) -> None:
    nova = nova_of(cloud)
    service = nova.get_service("c01")
    cloud.asked.clear()
    cloud.answers["PUT /v2.1/os-services/"] = (
        200,
        {"service": cloud.read("services")["services"][0]},
    )
    nova.disable(service, "x" * 300)
    assert str(sent(cloud)) == f"PUT /v2.1/os-services/{service.id}"
    assert sent(cloud).body == {"status": "disabled", "disabled_reason": "x" * 255}
    cloud.asked.clear()
    nova.enable(service)
    assert sent(cloud).body == {"status": "enabled"}


@pytest.mark.parametrize(
    ("destination", "block", "flag"),
    [(None, "auto", "auto"), ("c02", "true", True), ("c02", "false", False)],
)
def test_a_live_migration_leaves_the_choice_to_the_scheduler_and_is_never_forced(
    cloud: Cloud, destination: str | None, block: str, flag: object
) -> None:
    nova_of(cloud).live_migrate("i1", destination, block)
    assert str(sent(cloud)) == "POST /v2.1/servers/i1/action"
    body = sent(cloud).body["os-migrateLive"]
    assert (body["host"], body["block_migration"]) == (destination, flag)
    assert not body.get("force", False)
    # From 2.34 on the pre-check does not hold up the answer; 2.30 checks the destination.
    assert as_numbers(sent(cloud).microversion) >= (2, 34)


def test_a_cold_migration_goes_where_it_is_sent(cloud: Cloud) -> None:
    nova_of(cloud).cold_migrate("i1", "c02")
    assert sent(cloud).body == {"migrate": {"host": "c02"}}
    assert as_numbers(sent(cloud).microversion) >= (2, 56)


def test_a_cold_migration_goes_where_the_scheduler_likes(cloud: Cloud) -> None:
    nova_of(cloud).cold_migrate("i1", None)
    assert (sent(cloud).body["migrate"] or {}).get("host") is None


@pytest.mark.parametrize(
    ("action", "body"),
    [("confirm", "confirmResize"), ("stop_guest", "os-stop"), ("start_guest", "os-start")],
)
def test_each_action_is_one_request(cloud: Cloud, action: str, body: str) -> None:
    getattr(nova_of(cloud), action)("i1")
    assert str(sent(cloud)) == "POST /v2.1/servers/i1/action"
    assert list(sent(cloud).body) == [body]


def test_a_migration_is_aborted_or_forced_by_its_own_number(cloud: Cloud) -> None:
    migration = live(cloud)
    path = f"/v2.1/servers/{migration.instance_id}/migrations/{migration.id}"
    nova_of(cloud).abort(migration)
    assert str(sent(cloud)) == f"DELETE {path}"
    # 2.24 aborts what runs; queued and preparing ones need 2.65, where the cloud has it.
    wanted = (2, 65) if cloud.release == "newest" else (2, 24)
    assert as_numbers(sent(cloud).microversion) >= wanted
    cloud.asked.clear()
    nova_of(cloud).force_complete(migration)
    assert str(sent(cloud)) == f"POST {path}/action"
    assert as_numbers(sent(cloud).microversion) >= (2, 22)


def test_logging_in_and_finding_out_costs_three_requests_once(cloud: Cloud) -> None:
    nova = nova_of(cloud)
    nova.check_version()
    once = len(cloud.asked)
    assert once <= 3, [str(each) for each in cloud.asked]
    nova.services()
    nova.migrations(SINCE)
    assert len(cloud.asked) <= once + 2 + 1, [str(each) for each in cloud.asked]
    nova.services()
    nova.migrations(SINCE)
    assert len(cloud.work()) == 4
    assert sum(each.path.startswith("/identity") for each in cloud.asked) <= 2


def test_nothing_is_sent_before_the_first_use(cloud: Cloud) -> None:
    nova_of(cloud)
    assert cloud.asked == []


@pytest.mark.parametrize("seconds", [-3600, 0, 5400])
def test_novas_clock_is_read_from_one_answer(start: Clouds, seconds: int) -> None:
    cloud = start(clock_ahead=timedelta(seconds=seconds))
    nova = nova_of(cloud)
    nova.read_clock()
    expected = datetime.now(UTC) + timedelta(seconds=seconds)
    assert abs((nova.now() - expected).total_seconds()) < 3


# Every failure is one sentence that says what to do.

FAULT = {"conflictingRequest": {"code": 409, "message": "Cannot 'os-migrateLive' while x"}}
DENIED = {
    "forbidden": {
        "code": 403,
        "message": "Policy doesn't allow os_compute_api:os-migrate-server:migrate_live to be "
        "performed.",
    }
}
QUOTA = {"forbidden": {"code": 403, "message": "Quota exceeded for instances: Requested 1"}}
SAYS = {"forbidden": {"code": 403, "message": "Policy doesn't allow it"}}


@pytest.mark.parametrize(
    ("status", "body", "kind", "said"),
    [
        (400, {"badRequest": {"message": "no such destination"}}, Refused, "Nova refused: no such"),
        (403, SAYS, Refused, "forbids it: Policy doesn't allow it. Give the user of connection"),
        (
            403,
            DENIED,
            Refused,
            "Allow os_compute_api:os-migrate-server:migrate_live to the user of",
        ),
        (403, QUOTA, Refused, "Quota exceeded for instances: Requested 1. Raise that quota"),
        (404, {"itemNotFound": {"message": "not found"}}, NotThere, "not found. Check the name"),
        (409, FAULT, Conflict, "Cannot 'os-migrateLive' while x. Look at its state"),
        (413, {"overLimit": {"message": "too large"}}, Refused, "Nova refused: too large"),
        (429, {"overLimit": {"message": "slow down"}}, CloudError, "answered 429: slow down. Wait"),
        (500, {"computeFault": {"message": "Unexpected API Error"}}, CloudError, "answered 500"),
        (502, "<html>Bad gateway</html>", CloudError, "answered 502"),
        (503, {}, CloudError, "answered 503"),
        (504, "", CloudError, "answered 504"),
    ],
)
def test_a_failed_request_says_what_nova_said(
    start: Clouds, status: int, body: Any, kind: type[CloudError], said: str
) -> None:
    cloud = start(answers={"POST /v2.1/servers/i1/action": (status, body)})
    with pytest.raises(CloudError) as raised:
        nova_of(cloud).live_migrate("i1", None, "auto")
    assert type(raised.value) is kind
    assert raised.value.subject == "instance i1"
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)
    assert len(cloud.work()) == 1  # what changes something is not repeated by itself


def test_wrong_credentials_are_named_as_such(start: Clouds) -> None:
    answer = {"error": {"code": 401, "message": "The request you have made requires auth"}}
    cloud = start(answers={"POST /identity": (401, answer)})
    with pytest.raises(Refused) as raised:
        nova_of(cloud).services()
    assert str(raised.value) == (
        "cloud openstack_default: Keystone rejected the credentials (401). "
        "Fix login, password and project, or the application credential, of connection "
        "openstack_default. Check that its auth URL is Keystone's."
    )


def test_what_to_do_names_the_connection_that_was_used(start: Clouds) -> None:
    forbidden = (403, {"forbidden": {"message": "Policy doesn't allow a:b to be performed."}})
    cloud = start(answers={"POST /identity": (401, {}), "GET /v2.1/servers": forbidden})
    options = nova_of(cloud)._session._options
    with pytest.raises(Refused, match=r"of connection second_cloud\. Check"):
        Nova("second_cloud", options).services()
    del cloud.answers["POST /identity"]
    with pytest.raises(Refused, match="Allow a:b to the user of connection second_cloud: see"):
        Nova("second_cloud", options).instances()


def test_an_application_credential_that_there_is_not_reads_the_same(start: Clouds) -> None:
    answer = {"error": {"code": 404, "message": "Could not find Application Credential: x."}}
    cloud = start(answers={"POST /identity": (404, answer)})
    with pytest.raises(Refused) as raised:
        nova_of(cloud).services()
    assert "rejected the credentials: Could not find Application Credential" in raised.value.found
    assert "or the application credential, of connection" in raised.value.remedy


def test_a_token_that_nova_rejects_reads_like_wrong_credentials(start: Clouds) -> None:
    cloud = start(answers={"GET /v2.1/os-services": (401, {"error": {"message": "no"}})})
    with pytest.raises(Refused, match="rejected the credentials"):
        nova_of(cloud).services()


def test_an_api_that_does_not_answer_in_time_is_given_up(start: Clouds) -> None:
    cloud = start(answers={"GET /v2.1/os-services": (0, None)})
    with pytest.raises(CloudError, match="no usable answer") as raised:
        nova_of(cloud, api_timeout=0.3).services()
    assert not isinstance(raised.value, Refused)


def test_a_cloud_where_nobody_listens_is_named_with_its_auth_url() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
    with pytest.raises(CloudError) as raised:
        nova_of(Cloud("newest", url=url)).services()
    assert raised.value.found.startswith(f"no usable answer: {url}/identity/v3 cannot be reached: ")
    assert raised.value.found.endswith("Connection refused")
    assert "auth URL of connection openstack_default" in raised.value.remedy
    assert not isinstance(raised.value, Refused)


def test_an_answer_that_is_no_json_is_no_answer(start: Clouds) -> None:
    cloud = start(answers={"GET /v2.1/os-services": (200, "<html>Sorry, we are closed</html>")})
    with pytest.raises(CloudError):
        nova_of(cloud).services()


def test_a_cloud_without_a_compute_endpoint_says_so(start: Clouds) -> None:
    cloud = start()
    token = cloud.read("token")
    token["token"]["catalog"] = []
    cloud.answers["POST /identity"] = (201, token)
    with pytest.raises(CloudError, match="The service is not present in the service catalog"):
        nova_of(cloud).services()
    with pytest.raises(CloudError):
        nova_of(cloud).check_version()


# What the credentials may not do is found out without doing anything.

ON = "/v2.1/servers/i1"
SHOWN = {"OS-EXT-SRV-ATTR:host": "c01", "flavor": {"extra_specs": {}}}
# What a Nova answers that allows everything, and does nothing.
HARMLESS = {
    "PUT /v2.1/os-services/": (404, {"itemNotFound": {"message": "Service could not be found."}}),
    f"POST {ON}/action confirmResize": (409, FAULT),
    f"POST {ON}/action os-start": (409, FAULT),
    f"POST {ON}/action": (400, {"badRequest": {"message": "Compute host could not be found."}}),
    f"POST {ON}/migrations/0/action": (409, FAULT),
    f"DELETE {ON}/migrations/0": (409, FAULT),
    f"GET {ON}": (200, {"server": SHOWN}),
    "DELETE /v2.1/flavors/": (404, {"itemNotFound": {"message": "Flavor could not be found."}}),
    "POST /v2.1/servers": (400, {"badRequest": {"message": "Flavor could not be found."}}),
}
ASKED_BY = {
    rights.UPDATE_SERVICE: "PUT /v2.1/os-services/",
    rights.LIST_MIGRATIONS: "GET /v2.1/os-migrations",
    rights.SHOW: f"GET {ON}",
    rights.LIST_GROUPS: "GET /v2.1/os-server-groups",
    rights.LIVE: f"POST {ON}/action os-migrateLive",
    rights.LIVE_TO_HOST: f"POST {ON}/action os-migrateLive",
    rights.COLD_TO_HOST: f"POST {ON}/action migrate",
    rights.START: f"POST {ON}/action os-start",
    rights.CONFIRM: f"POST {ON}/action confirmResize",
    rights.ABORT: f"DELETE {ON}/migrations/0",
    rights.FORCE_COMPLETE: f"POST {ON}/migrations/0/action force_complete",
    rights.DELETE_FLAVOR: "DELETE /v2.1/flavors/",
    rights.CREATE_INSTANCE: "POST /v2.1/servers",
}
NEEDED = [rights.Needed(right, "i1") for right in ASKED_BY]


def but(answers: dict[str, tuple[int, Any]]) -> dict[str, tuple[int, Any]]:
    """These answers; where they say nothing, those of a Nova that allows everything."""
    return answers | {key: answer for key, answer in HARMLESS.items() if key not in answers}


def denied(rule: str) -> tuple[int, Any]:
    said = f"Policy doesn't allow {rule} to be performed."
    return 403, {"forbidden": {"code": 403, "message": said}}


def test_credentials_that_may_everything_miss_no_right_and_change_nothing(cloud: Cloud) -> None:
    cloud.answers = but({})
    assert nova_of(cloud).missing_rights(NEEDED) == []
    assert len(cloud.work()) == len(NEEDED)
    changing = [each for each in cloud.work() if each.method != "GET"]
    sent = {json.dumps([each.method, each.path, each.body]) for each in changing}
    for text in sent:
        # Each is about a host, a service, a flavor, a migration or a resize that there is not, or
        # about a guest that runs already.
        assert "no-such-host.invalid" in text or re.search(
            r"/os-services/[0-9a-f-]{36}|/migrations/0|/flavors/[0-9a-f-]{36}|confirmResize|os-start"
            r'|"host": null, .*"force": true',
            text,
        ), text
    known = {row["id"] for row in cloud.read("services")["services"]}
    assert not any(service in text for service in known for text in sent)


@pytest.mark.parametrize("right", ASKED_BY, ids=lambda right: right.rule)
def test_a_right_that_is_missing_is_named_by_its_rule(cloud: Cloud, right: Right) -> None:
    cloud.answers = but({ASKED_BY[right]: denied(right.rule)})
    (missing,) = nova_of(cloud).missing_rights([rights.Needed(right, "i1")])
    assert str(missing) == (
        f"cloud openstack_default: its user may not {right.what}: Policy doesn't allow "
        f"{right.rule} to be performed. Allow {right.rule} to the user of connection "
        "openstack_default: see include/rights/openstack-policies."
    )


def test_all_rights_that_are_missing_are_named_at_once(cloud: Cloud) -> None:
    wanted = [rights.UPDATE_SERVICE, rights.ABORT, rights.CONFIRM]
    cloud.answers = but({ASKED_BY[each]: denied(each.rule) for each in wanted})
    missing = nova_of(cloud).missing_rights(NEEDED)
    assert {each.remedy.split()[1] for each in missing} == {each.rule for each in wanted}


def test_instances_that_nova_hides_are_named_by_the_rule_that_shows_them(cloud: Cloud) -> None:
    gone = (404, {"itemNotFound": {"code": 404, "message": "Instance i1 could not be found."}})
    cloud.answers = but({f"{method} {ON}": gone for method in ("GET", "POST", "DELETE")})
    (missing,) = nova_of(cloud).missing_rights(NEEDED[:8])
    assert "Nova lists instance i1, but answers 404" in missing.reason
    assert missing.remedy.startswith("Allow context_is_admin to the user")


@pytest.mark.parametrize(
    ("prefix", "answer", "right"),
    [
        (f"GET {ON}", {"server": {"flavor": {"extra_specs": {}}}}, rights.SEE_HOST),
        (f"GET {ON}", {"server": SHOWN | {"flavor": {}}}, rights.SEE_EXTRA_SPECS),
        (
            "GET /v2.1/os-migrations",
            {"migrations": [{"source_compute": None}]},
            rights.MIGRATION_HOSTS,
        ),
    ],
)
def test_what_nova_leaves_out_without_a_word_is_a_missing_right_too(
    cloud: Cloud, prefix: str, answer: Any, right: Right
) -> None:
    cloud.answers[prefix] = (200, answer)
    asked = rights.SHOW if prefix == f"GET {ON}" else rights.LIST_MIGRATIONS
    (missing,) = nova_of(cloud).missing_rights([rights.Needed(asked, "i1")])
    assert right.rule in missing.remedy


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (500, {"computeFault": {"message": "Unexpected API Error"}}, "answered 500"),
        (503, "", "answered 503"),
        (403, {"forbidden": {"message": "Quota exceeded"}}, "forbids it: Quota exceeded"),
        (403, "<html>go away</html>", "forbids it"),
        (401, {"error": {"message": "no"}}, "rejected the credentials"),
        (202, {}, "Nova answers 202 to a test request that it should reject"),
    ],
)
@pytest.mark.parametrize("right", [rights.UPDATE_SERVICE, rights.LIVE_TO_HOST, rights.ABORT])
def test_an_answer_that_is_neither_yes_nor_no_is_an_error(
    cloud: Cloud, right: Right, status: int, body: Any, said: str
) -> None:
    cloud.answers = but({ASKED_BY[right]: (status, body)})
    with pytest.raises(CloudError) as raised:
        nova_of(cloud).missing_rights(NEEDED)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_list_of_instances_that_is_not_about_the_host_is_refused(cloud: Cloud) -> None:
    rows = cloud.read("servers")["servers"]
    cloud.answers["GET /v2.1/servers/detail"] = (200, {"servers": rows})
    for host in (rows[0]["OS-EXT-SRV-ATTR:host"], "c77"):
        with pytest.raises(Refused, match="allow_all_filters") as raised:
            nova_of(cloud).instances_on(host)
        assert f"asked for the instances on {host}, but it lists others" in str(raised.value)


def test_placements_refusal_names_its_rule(cloud: Cloud) -> None:
    detail = "Access was denied to this resource.\n\n Policy does not allow placement:a:list to be "
    errors = {"errors": [{"status": 403, "title": "Forbidden", "detail": f"{detail}performed.  "}]}
    cloud.answers["GET /placement/allocation_candidates"] = (403, errors)
    with pytest.raises(Refused, match="Allow placement:a:list to the user of connection"):
        nova_of(cloud).hosts_with_room(Need(1, 512, 1))
