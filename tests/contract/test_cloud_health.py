"""The checks by API against a server that is Keystone, Nova, Neutron, Cinder and Glance in one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from answering_cloud import QUIET, TOKEN, Answer, AnsweringCloud, options, served
from openstack_maintenance.adapters import cloud_health
from openstack_maintenance.adapters.cloud_errors import Refused
from openstack_maintenance.adapters.cloud_health import CloudHealth, request_url, versioned
from openstack_maintenance.domain.checks.cloud_rules import Endpoint, ServiceRow, judge_endpoints
from openstack_maintenance.domain.errors import CloudError

TYPES = {
    "compute": "/v2.1",
    "network": "/network",
    "image": "/image",
    "block-storage": "/volume/v3/p1",
    "identity": "/identity/v3",
    "unheard-of": "/strange",
}
pytestmark = QUIET


@pytest.fixture
def cloud() -> Iterator[AnsweringCloud]:
    with served(AnsweringCloud(catalog=dict(TYPES), interfaces=("public", "internal"))) as cloud:
        yield cloud


def health_of(cloud: AnsweringCloud) -> CloudHealth:
    return CloudHealth("lab", options(cloud.url, region_name="RegionOne", api_timeout=2))


def test_a_token_tells_for_whom_and_until_when(cloud: AnsweringCloud) -> None:
    token = health_of(cloud).new_token()
    assert (token.user, token.project) == ("admin", "admin")
    assert token.expires == cloud.expires


def test_every_endpoint_gets_an_authenticated_request_once(cloud: AnsweringCloud) -> None:
    health = health_of(cloud)
    answers = health.try_endpoints(health.endpoints())
    assert len(answers) == 2 * len(TYPES)
    assert {each.status for each in answers} == {200}
    asked = [each.target for each in cloud.asked if each.token == TOKEN]
    assert sorted(asked) == [
        "/identity/v3/auth/catalog",
        "/image/v2/images?limit=1",
        "/network/v2.0/extensions",
        "/strange",
        "/v2.1/flavors?limit=1",
        "/volume/v3/p1/limits",
    ]
    assert [each.endpoint.service_type for each in answers if not each.known] == ["unheard-of"] * 2


def test_an_endpoint_that_fails_or_is_not_there_does_not_hide_the_others(
    cloud: AnsweringCloud,
) -> None:
    cloud.answers["GET /v2.1/flavors?limit=1"] = Answer(b"oops", 500)
    health = health_of(cloud)
    gone = Endpoint(
        service_type="dns", interface="public", region="RegionOne", url="http://127.0.0.1:1"
    )
    judged = judge_endpoints(health.try_endpoints([*health.endpoints(), gone]))
    bad = [each for each in judged if each.verdict == "bad"]
    assert [each.name for each in bad] == [
        "compute public RegionOne",
        "compute internal RegionOne",
        "dns public RegionOne",
    ]
    assert "answers 500" in bad[0].text
    assert "no answer at http://127.0.0.1:1: nobody answers" in bad[2].text


def test_services_and_agents_are_read(cloud: AnsweringCloud) -> None:
    row = {"binary": "nova-compute", "host": "c01", "status": "disabled", "state": "down"}
    volumes = {**row, "binary": "cinder-volume", "status": "enabled", "state": "up"}
    lost = {"binary": "nova-compute", "host": "c02", "status": "UNKNOWN"}
    agent = {"binary": "neutron-l3-agent", "host": "n1", "admin_state_up": True, "alive": False}
    cloud.answers = {
        "GET /v2.1/os-services": Answer({"services": [{**row, "disabled_reason": "disk"}, lost]}),
        "GET /volume/v3/p1/os-services": Answer({"services": [volumes]}),
        "GET /network/v2.0/agents": Answer({"agents": [agent]}),
        "GET /image/v2/images?limit=5": Answer({"images": [{}, {}]}),
    }
    health = health_of(cloud)
    assert health.compute_services() == [
        ServiceRow(binary="nova-compute", host="c01", is_enabled=False, is_up=False, reason="disk"),
        ServiceRow(binary="nova-compute", host="c02", is_enabled=True, is_up=False),
    ]
    assert health.volume_services() == [
        ServiceRow(binary="cinder-volume", host="c01", is_enabled=True, is_up=True)
    ]
    assert health.network_agents() == [
        ServiceRow(binary="neutron-l3-agent", host="n1", is_enabled=True, is_up=False)
    ]
    assert health.count_images() == 2


def test_what_the_catalog_does_not_have_is_none(cloud: AnsweringCloud) -> None:
    cloud.catalog = {"identity": TYPES["identity"]}
    health = health_of(cloud)
    assert health.compute_services() is None
    assert health.volume_services() is None
    assert health.network_agents() is None
    assert health.count_images() is None


def test_a_neutron_without_agents_has_no_list_of_them(cloud: AnsweringCloud) -> None:
    cloud.answers["GET /network/v2.0/agents"] = Answer({}, 404)
    assert health_of(cloud).network_agents() is None


DENIED = {
    "forbidden": {
        "code": 403,
        "message": "Policy doesn't allow os_compute_api:os-services:list to be performed.",
    }
}


@pytest.mark.parametrize(
    ("status", "body", "found"),
    [
        (500, b"oops", "its compute API answers 500 to GET /os-services"),
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
        (200, b"<html>welcome</html>", "no usable answer"),
        (200, {"other": []}, "no usable answer"),
    ],
)
def test_an_api_that_does_not_serve_is_one_sentence(
    cloud: AnsweringCloud, status: int, body: Any, found: str
) -> None:
    cloud.answers["GET /v2.1/os-services"] = Answer(body, status)
    with pytest.raises(CloudError, match=found):
        health_of(cloud).compute_services()


@pytest.mark.parametrize(
    ("status", "found", "kind"),
    [
        (401, r"Keystone rejected the credentials \(401\)\. .* of connection lab", Refused),
        (500, "Keystone answers 500 to the request for a token", CloudError),
        (503, "Keystone answers 503", CloudError),
    ],
)
def test_a_keystone_that_gives_no_token_says_so(
    cloud: AnsweringCloud, status: int, found: str, kind: type[CloudError]
) -> None:
    cloud.answers["POST /identity/v3/auth/tokens"] = Answer(cloud.token(), status)
    with pytest.raises(CloudError, match=found) as raised:
        health_of(cloud).new_token()
    assert type(raised.value) is kind


def test_nobody_at_the_auth_url_is_said(cloud: AnsweringCloud) -> None:
    cloud.url = "http://127.0.0.1:1"
    with pytest.raises(CloudError, match=r"127\.0\.0\.1:1/identity/v3 cannot be reached"):
        health_of(cloud).new_token()


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
    assert (
        request_url(
            Endpoint(service_type="strange", interface="public", region="", url="http://h/x/")
        )
        == "http://h/x"
    )
    assert cloud_health.REQUEST_SECONDS <= 20


# What a host's maintenance asks Neutron.

AGENTS = "GET /network/v2.0/agents?host=c01"
AGENT = {
    "id": "a1",
    "binary": "ovn-controller",
    "host": "c01",
    "admin_state_up": True,
    "alive": True,
    "heartbeat_timestamp": "2026-11-22 01:00:00.5",
}


def test_a_hosts_agents_are_read_with_their_heartbeats(cloud: AnsweringCloud) -> None:
    cloud.answers[AGENTS] = Answer({"agents": [AGENT]})
    (agent,) = health_of(cloud).agents("c01") or ()
    assert (agent.id, agent.binary, agent.is_enabled, agent.is_alive) == (
        "a1",
        "ovn-controller",
        True,
        True,
    )
    assert agent.heartbeat == datetime(2026, 11, 22, 1, 0, 0, 500000, UTC)


@pytest.mark.parametrize("body", [{}, {"agents": None}, {"agents": [{**AGENT, "alive": "yes"}]}])
def test_agents_that_cannot_be_read_are_not_none(cloud: AnsweringCloud, body: Any) -> None:
    cloud.answers[AGENTS] = Answer(body)
    with pytest.raises(CloudError):
        health_of(cloud).agents("c01")


def test_agents_that_may_not_be_read_are_a_missing_right(cloud: AnsweringCloud) -> None:
    cloud.answers[AGENTS] = Answer({}, 403)
    with pytest.raises(Refused, match="forbids GET"):
        health_of(cloud).agents("c01")


def test_a_hosts_ports_are_read_as_far_as_they_may_be(cloud: AnsweringCloud) -> None:
    asked = "/network/v2.0/ports?binding:host_id=c01&fields=device_id&fields=binding:vnic_type"
    rows = [
        {"device_id": "i1", "binding:vnic_type": "direct", "resource_request": {"a": 1}},
        {"device_id": "i2"},
        {"device_id": ""},
    ]
    cloud.answers[f"GET {asked}&fields=resource_request"] = Answer({"ports": rows})
    found = health_of(cloud).ports("c01") or []
    assert [(each.instance_id, each.vnic_type, each.has_request) for each in found] == [
        ("i1", "direct", True),
        ("i2", "normal", False),
    ]
