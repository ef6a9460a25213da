"""The checks by API against a server that is Keystone, Nova, Neutron, Cinder and Glance in one."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from openstack_maintenance.adapters import cloud_health
from openstack_maintenance.adapters.cloud_errors import Refused
from openstack_maintenance.adapters.cloud_health import CloudHealth, request_url, versioned
from openstack_maintenance.domain.checks.cloud_rules import Endpoint, ServiceRow, judge_endpoints
from openstack_maintenance.domain.errors import CloudError

TOKEN = Path(__file__).resolve().parents[1] / "fixtures/nova/token.json"
TYPES = {
    "compute": "/compute/v2.1",
    "network": "/network",
    "image": "/image",
    "block-storage": "/volume/v3/p1",
    "identity": "/identity/v3",
    "unheard-of": "/strange",
}
pytestmark = [
    # What the SDK says to its own developers.
    pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedInSDK60Warning"),
]


@dataclass
class FakeCloud:
    """``answers``: status and body by path; everything else is answered 200 with nothing."""

    url: str = ""
    types: dict[str, str] = field(default_factory=lambda: dict(TYPES))
    answers: dict[str, tuple[int, Any]] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    login: int = 201
    # Whenever the token was recorded, it is valid now.
    expires: datetime = field(default_factory=lambda: datetime.now(UTC) + timedelta(hours=1))

    def token(self) -> dict[str, Any]:
        token = dict(json.loads(TOKEN.read_text()))
        token["token"]["expires_at"] = self.expires.isoformat()
        token["token"]["catalog"] = [
            {
                "type": kind,
                "name": kind,
                "endpoints": [
                    {"interface": each, "region_id": "RegionOne", "url": f"{self.url}{path}"}
                    for each in ("public", "internal")
                ],
            }
            for kind, path in self.types.items()
        ]
        return token

    def health(self) -> CloudHealth:
        auth = {
            "auth_url": f"{self.url}/identity/v3",
            "username": "admin",
            "password": "secret",
            "project_name": "admin",
            "user_domain_name": "Default",
            "project_domain_name": "Default",
        }
        options = {"auth": auth, "load_yaml_config": False, "load_envvars": False}
        return CloudHealth("lab", {**options, "region_name": "RegionOne", "api_timeout": 2})


def handler_of(cloud: FakeCloud) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = (
            True  # else each body waits 40 ms for its header's acknowledgement
        )

        def handle_any(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            cloud.asked.append((self.path, self.headers.get("X-Auth-Token", "")))
            if self.path == "/identity/v3/auth/tokens":
                status, answer = cloud.login, cloud.token()
            elif self.path in ("/identity/v3", "/identity/v3/"):
                link = {"rel": "self", "href": f"{cloud.url}/identity/v3/"}
                version = {"id": "v3.14", "status": "stable", "links": [link]}
                status, answer = 200, {"version": version}
            else:
                status, answer = cloud.answers.get(self.path, (200, {}))
            content = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
            self.send_response_only(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.send_header("X-Subject-Token", "a-token")
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = handle_any

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet: pytest shows what a test needs."""

    return Handler


@pytest.fixture
def cloud() -> Iterator[FakeCloud]:
    cloud = FakeCloud()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler_of(cloud))
    cloud.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield cloud
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_token_tells_for_whom_and_until_when(cloud: FakeCloud) -> None:
    token = cloud.health().new_token()
    assert (token.user, token.project) == ("admin", "admin")
    assert token.expires == cloud.expires


def test_every_endpoint_gets_an_authenticated_request_once(cloud: FakeCloud) -> None:
    health = cloud.health()
    answers = health.try_endpoints(health.endpoints())
    assert len(answers) == 2 * len(TYPES)
    assert {each.status for each in answers} == {200}
    asked = [path for path, token in cloud.asked if token == "a-token"]
    assert sorted(asked) == [
        "/compute/v2.1/flavors?limit=1",
        "/identity/v3/auth/catalog",
        "/image/v2/images?limit=1",
        "/network/v2.0/extensions",
        "/strange",
        "/volume/v3/p1/limits",
    ]
    assert [each.endpoint.service_type for each in answers if not each.known] == ["unheard-of"] * 2


def test_an_endpoint_that_fails_or_is_not_there_does_not_hide_the_others(cloud: FakeCloud) -> None:
    cloud.answers["/compute/v2.1/flavors?limit=1"] = (500, "oops")
    health = cloud.health()
    gone = Endpoint("dns", "public", "RegionOne", "http://127.0.0.1:1")
    judged = judge_endpoints(health.try_endpoints([*health.endpoints(), gone]))
    bad = [each for each in judged if each.verdict == "bad"]
    assert [each.name for each in bad] == [
        "compute public RegionOne",
        "compute internal RegionOne",
        "dns public RegionOne",
    ]
    assert "answers 500" in bad[0].text
    assert "no answer at http://127.0.0.1:1: nobody answers" in bad[2].text


def test_services_and_agents_are_read(cloud: FakeCloud) -> None:
    row = {"binary": "nova-compute", "host": "c01", "status": "disabled", "state": "down"}
    lost = {"binary": "nova-compute", "host": "c02", "status": "UNKNOWN"}
    agent = {"binary": "neutron-l3-agent", "host": "n1", "admin_state_up": True, "alive": False}
    cloud.answers["/compute/v2.1/os-services"] = (
        200,
        {"services": [{**row, "disabled_reason": "disk"}, lost]},
    )
    cloud.answers["/volume/v3/p1/os-services"] = (
        200,
        {"services": [{**row, "binary": "cinder-volume", "status": "enabled", "state": "up"}]},
    )
    cloud.answers["/network/v2.0/agents"] = (200, {"agents": [agent]})
    cloud.answers["/image/v2/images?limit=5"] = (200, {"images": [{}, {}]})
    health = cloud.health()
    assert health.compute_services() == [
        ServiceRow("nova-compute", "c01", False, False, "disk"),
        ServiceRow("nova-compute", "c02", True, False),
    ]
    assert health.volume_services() == [ServiceRow("cinder-volume", "c01", True, True)]
    assert health.network_agents() == [ServiceRow("neutron-l3-agent", "n1", True, False)]
    assert health.count_images() == 2


def test_what_the_catalog_does_not_have_is_none(cloud: FakeCloud) -> None:
    cloud.types = {"identity": TYPES["identity"]}
    health = cloud.health()
    assert health.compute_services() is None
    assert health.volume_services() is None
    assert health.network_agents() is None
    assert health.count_images() is None


def test_a_neutron_without_agents_has_no_list_of_them(cloud: FakeCloud) -> None:
    cloud.answers["/network/v2.0/agents"] = (404, {})
    assert cloud.health().network_agents() is None


DENIED = {
    "forbidden": {
        "code": 403,
        "message": "Policy doesn't allow os_compute_api:os-services:list to be performed.",
    }
}


@pytest.mark.parametrize(
    ("status", "body", "found"),
    [
        (500, "oops", "its compute API answers 500 to GET /os-services"),
        (
            403,
            {},
            "its compute API forbids GET /os-services .403.* the role for it: see include/ri",
        ),
        (
            403,
            DENIED,
            "Allow os_compute_api:os-services:list to the user of connection lab: see inc",
        ),
        (200, "<html>welcome</html>", "no usable answer"),
        (200, {"other": []}, "no usable answer"),
    ],
)
def test_an_api_that_does_not_serve_is_one_sentence(
    cloud: FakeCloud, status: int, body: Any, found: str
) -> None:
    cloud.answers["/compute/v2.1/os-services"] = (status, body)
    with pytest.raises(CloudError, match=found):
        cloud.health().compute_services()


@pytest.mark.parametrize(
    ("status", "found", "kind"),
    [
        (401, r"Keystone rejected the credentials \(401\)\. .* of connection lab", Refused),
        (500, "Keystone answers 500 to the request for a token", CloudError),
        (503, "Keystone answers 503", CloudError),
    ],
)
def test_a_keystone_that_gives_no_token_says_so(
    cloud: FakeCloud, status: int, found: str, kind: type[CloudError]
) -> None:
    cloud.login = status
    with pytest.raises(CloudError, match=found) as raised:
        cloud.health().new_token()
    assert type(raised.value) is kind


def test_nobody_at_the_auth_url_is_said(cloud: FakeCloud) -> None:
    cloud.url = "http://127.0.0.1:1"
    with pytest.raises(CloudError, match=r"127\.0\.0\.1:1/identity/v3 cannot be reached"):
        cloud.health().new_token()


def test_a_connection_that_names_an_unknown_cloud_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "clouds.yaml").write_text("clouds: {}\n")
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "clouds.yaml"))
    with pytest.raises(CloudError, match="its connection cannot be used"):
        CloudHealth("lab", {"cloud": "nowhere"}).new_token()


@pytest.mark.parametrize(
    ("url", "version", "found"),
    [
        ("http://h:9696", "v2.0", "http://h:9696/v2.0"),
        ("http://h:9696/v2.0/", "v2.0", "http://h:9696/v2.0"),
        ("http://h/identity", "v3", "http://h/identity/v3"),
        ("http://h/identity/v2.0", "v3", "http://h/identity/v3"),
        ("http://h:8776/v3/p1", "", "http://h:8776/v3/p1"),
    ],
)
def test_a_catalogs_url_gets_the_version_that_is_needed(url: str, version: str, found: str) -> None:
    assert versioned(url, version) == found


def test_an_unknown_type_is_asked_at_its_root() -> None:
    assert request_url(Endpoint("strange", "public", "", "http://h/x/")) == "http://h/x"
    assert cloud_health.REQUEST_SECONDS <= 20


# What a host's maintenance asks Neutron.

AGENT = {
    "id": "a1",
    "binary": "ovn-controller",
    "host": "c01",
    "admin_state_up": True,
    "alive": True,
    "heartbeat_timestamp": "2026-11-22 01:00:00.5",
}


def test_a_hosts_agents_are_read_with_their_heartbeats(cloud: FakeCloud) -> None:
    cloud.answers["/network/v2.0/agents?host=c01"] = (200, {"agents": [AGENT]})
    (agent,) = cloud.health().agents("c01") or ()
    assert (agent.id, agent.binary, agent.is_enabled, agent.is_alive) == (
        "a1",
        "ovn-controller",
        True,
        True,
    )
    assert agent.heartbeat == datetime(2026, 11, 22, 1, 0, 0, 500000, UTC)


@pytest.mark.parametrize("body", [{}, {"agents": None}, {"agents": [{**AGENT, "alive": "yes"}]}])
def test_agents_that_cannot_be_read_are_not_none(cloud: FakeCloud, body: Any) -> None:
    cloud.answers["/network/v2.0/agents?host=c01"] = (200, body)
    with pytest.raises(CloudError):
        cloud.health().agents("c01")


def test_agents_that_may_not_be_read_are_a_missing_right(cloud: FakeCloud) -> None:
    cloud.answers["/network/v2.0/agents?host=c01"] = (403, {})
    with pytest.raises(Refused, match="forbids GET"):
        cloud.health().agents("c01")


def test_a_hosts_ports_are_read_as_far_as_they_may_be(cloud: FakeCloud) -> None:
    asked = "/network/v2.0/ports?binding:host_id=c01&fields=device_id&fields=binding:vnic_type"
    rows = [
        {"device_id": "i1", "binding:vnic_type": "direct", "resource_request": {"a": 1}},
        {"device_id": "i2"},
        {"device_id": ""},
    ]
    cloud.answers[f"{asked}&fields=resource_request"] = (200, {"ports": rows})
    found = cloud.health().ports("c01") or []
    assert [(each.instance_id, each.vnic_type, each.has_request) for each in found] == [
        ("i1", "direct", True),
        ("i2", "normal", False),
    ]
