"""Deployment flavours, and YAML files whose faults are named with their line."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from openstack_maintenance.adapters.deployment_files import load_deployment
from openstack_maintenance.adapters.yaml_files import load_yaml
from openstack_maintenance.domain.deployment import Deployment
from openstack_maintenance.domain.errors import PolicyError

FOLDER = Path(__file__).parents[2] / "include" / "deployments"
FLAVOURS = sorted(path.stem for path in FOLDER.glob("*.yaml"))
RUNBOOK = """
== Nova services ==
openstack-nova-api:                     active
openstack-nova-cert:                    active
openstack-nova-compute:                 active
openstack-nova-scheduler:               active
openstack-nova-conductor:               active
== Glance services ==
openstack-glance-api:                   active
openstack-glance-registry:              active
== Keystone service ==
openstack-keystone:                     active
== neutron services ==
neutron-server:                         active
neutron-dhcp-agent:                     active
neutron-l3-agent:                       active
neutron-metadata-agent:                 active
neutron-lbaas-agent:                    active
neutron-openvswitch-agent:              active
== Cinder services ==
openstack-cinder-api:                   active
openstack-cinder-scheduler:             active
openstack-cinder-volume:                active
== Ceilometer services ==
openstack-ceilometer-api:               active
openstack-ceilometer-central:           active
openstack-ceilometer-collector:         active
openstack-ceilometer-alarm-notifier:    active
openstack-ceilometer-alarm-evaluator:   active
== Support services ==
openvswitch:                            active
messagebus:                             active
rabbitmq-server:                        active
memcached:                              active
"""


def test_the_flavours_are_those_that_the_contract_names() -> None:
    assert FLAVOURS == ["debian", "kolla", "lab", "rdo", "rdo-liberty"]


def test_rdo_liberty_is_the_runbook_to_the_letter() -> None:
    deployment = load_deployment("rdo-liberty", FOLDER)
    printed = [""]
    for group in deployment.groups:
        printed.append(f"== {group.title} ==")
        printed += [f"{service.name + ':':<40}active" for service in group.services]
    assert "\n".join([*printed, ""]) == RUNBOOK
    assert all(service.required for service in deployment)
    assert deployment.nova_compute.log_paths[0] == "/var/log/nova/compute.log"


@pytest.mark.parametrize("name", FLAVOURS)
def test_every_flavour_loads_and_tells_how_to_reach_nova_compute(name: str) -> None:
    deployment = load_deployment(name, FOLDER)
    assert deployment.nova_compute.unit
    assert all(path.startswith("/var/log/") for path in deployment.nova_compute.log_paths)
    assert any(service.required for service in deployment)


@pytest.mark.parametrize("name", ["rdo", "debian", "kolla"])
def test_what_is_retired_says_what_became_of_it(name: str) -> None:
    retired = {
        service.name.removeprefix("openstack-")
        for service in load_deployment(name, FOLDER)
        if service.is_retired
    }
    assert retired == {
        "nova-cert",
        "glance-registry",
        "neutron-lbaas-agent",
        "ceilometer-api",
        "ceilometer-collector",
        "ceilometer-alarm-notifier",
        "ceilometer-alarm-evaluator",
    }


def test_kolla_knows_both_engines_and_the_unit_of_recent_releases() -> None:
    compute = load_deployment("kolla", FOLDER).nova_compute
    assert compute.unit == "kolla-nova_compute-container"
    assert (compute.container, compute.engines) == ("nova_compute", ("docker", "podman"))


@pytest.mark.parametrize("name", ["debain", "../policies/default", ""])
def test_an_unknown_flavour_lists_what_there_is(name: str) -> None:
    with pytest.raises(PolicyError, match="debian, kolla, lab, rdo, rdo-liberty"):
        load_deployment(name, FOLDER)


@dataclass(frozen=True)
class Night:
    start: str = "01:00"
    hours: int = 1


@dataclass(frozen=True)
class Shape:
    title: str
    count: int = 1
    night: Night = field(default_factory=Night)
    hosts: tuple[Night, ...] = ()
    addresses: dict[str, str] = field(default_factory=dict)
    other: Night | None = None

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError(f"count: {self.count} is below 1")
        if self.night.hours > 5:
            raise ValueError("night.hours: too long")


def load(tmp_path: Path, text: str) -> Shape:
    file = tmp_path / "shape.yaml"
    file.write_text(text)
    return load_yaml(file, Shape, "policy")


def test_a_valid_file_becomes_the_dataclass(tmp_path: Path) -> None:
    shape = load(tmp_path, "title: a\nhosts:\n  - {start: x}\naddresses: {c01: 10.0.0.1}\n")
    assert shape == Shape("a", hosts=(Night("x"),), addresses={"c01": "10.0.0.1"})


@pytest.mark.parametrize(
    ("text", "line", "found"),
    [
        ("title: a\n\ncuont: 2\n", 3, "cuont: is not a known field (did you mean count?)"),
        ("title: a\nnight:\n  begin: x\n", 3, "night.begin: is not a known field"),
        ("title: a\nhosts:\n- start: x\n  ours: 1\n", 4, "hosts[0].ours: is not a known"),
        ("title: a\nother:\n  ours: 1\n", 3, "other.ours: is not a known field"),
        ("title: a\ncount: many\n", 2, "count: write a whole number (found"),
        ("title: a\nnight:\n  start: 13:00\n", 3, "night.start: write it in quotes"),
        ("title: a\ncount: 0\n", 2, "count: 0 is below 1"),
        ("title: a\nnight:\n  hours: 6\n", 3, "night.hours: too long"),
        ("title: a\ncount: 2\ntitle: b\n", 3, "title: is given twice"),
        ("# nothing\n", 1, "title: is required and missing"),
        ("- title\n", 1, "shape"),
        ("title: a\nnight: [\n", 3, "is not YAML"),
        ("title: a\n\tcount: 2\n", 2, "is not YAML"),
        ("title: a\naddresses:\n  c01: [1]\n", 3, "addresses.c01: write a valid string"),
    ],
)
def test_a_fault_is_named_with_file_line_and_field(
    tmp_path: Path, text: str, line: int, found: str
) -> None:
    with pytest.raises(PolicyError) as caught:
        load(tmp_path, text)
    assert caught.value.subject.startswith(f"policy {tmp_path}/shape.yaml:{line}")
    assert found.lower() in str(caught.value).lower()
    assert caught.value.remedy


def test_all_faults_are_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=r"count: .*; line 4: night.hours: "):
        load(tmp_path, "title: a\ncount: x\nnight:\n  hours: y\n")


def test_a_file_that_cannot_be_read_is_a_policy_error(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="cannot be read"):
        load_yaml(tmp_path / "none.yaml", Shape, "policy")
    (tmp_path / "latin.yaml").write_bytes(b"title: \xff\n")
    with pytest.raises(PolicyError, match="cannot be read"):
        load_yaml(tmp_path / "latin.yaml", Shape, "policy")
    (tmp_path / "date.yaml").write_text("title: 2026-02-31\n")
    with pytest.raises(PolicyError, match="is not YAML"):
        load_yaml(tmp_path / "date.yaml", Shape, "policy")


# What reaches hosts, and the sudo rules of their login, is refused here already.
WHOLE: dict[str, Any] = {
    "title": "x",
    "nova_compute": {"unit": "nova-compute", "log_paths": ["/var/log/nova/nova-compute.log"]},
    "groups": [{"title": "Nova services", "services": [{"name": "nova-api"}]}],
}


def deployment(tmp_path: Path, **changed: Any) -> Deployment:
    made = copy.deepcopy(WHOLE)
    compute, service = made["nova_compute"], made["groups"][0]["services"][0]
    parts = {"compute": compute, "service": service, "group": made["groups"][0], "all": made}
    for key, value in changed.items():
        part, _, name = key.partition("_")
        parts[part][name] = value
    file = tmp_path / "deployment.yaml"
    file.write_text(json.dumps(made))
    return load_yaml(file, Deployment, "deployment")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"compute_unit": unit}, "nova_compute.unit: ")
        for unit in ("", "-H-oProxyCommand=x", "a b", "a/b", "a\nb", "a;b", "$(x)", "ä", "x" * 256)
    ]
    + [
        ({"service_unit": unit}, "services[0].unit: ")
        for unit in ("-H-oProxyCommand=x", "a b", "a|b", "a\nb")
    ]
    + [
        ({"compute_container": name, "compute_engines": ["docker"]}, "nova_compute.container: ")
        for name in ("-x", "a b", "a\n", ".a", "a/b", "a|b")
    ]
    + [({"service_container": name}, "services[0].container: ") for name in ("-x", "a b", "a|b")]
    + [
        ({"compute_log_paths": [path]}, "nova_compute.log_paths: ")
        for path in ("", "a.log", "/a:/etc/shadow", "/a\n/b", "/a\u2028", "/a\0", "-x")
    ]
    + [
        ({"compute_guest_processes": [pattern]}, "nova_compute.guest_processes: ")
        for pattern in ("", "-x", "a b", "a\tb", "a\n")
    ]
    + [
        ({"service_name": name}, "services[0].")
        for name in ("", " ", "x\nroot ALL=(ALL) NOPASSWD: ALL", "a\0", "a\x85b", "a\u2029")
    ]
    + [({"service_name": "two words"}, "services[0].unit: 'two words' is not a unit's name")]
    + [
        ({"group_title": "a\nb"}, "groups[0].title: "),
        ({"all_title": ""}, "title: is empty"),
        ({"service_retired": "a\nb", "service_required": False}, "services[0].retired: "),
        ({"compute_container": "a", "compute_engines": ["lxc"]}, "engines: only docker and podm"),
    ],
)
def test_what_a_host_could_take_for_something_else_is_refused(
    tmp_path: Path, changed: dict[str, Any], said: str
) -> None:
    with pytest.raises(PolicyError) as caught:
        deployment(tmp_path, **changed)
    assert said in caught.value.found


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"compute_unit": "nova-compute@1.service"},
        {"compute_unit": r"dev-disk-by\\x2dlabel"},
        {"service_name": "two words", "service_unit": "two-words"},
        {"compute_log_paths": ["/var/log/nova compute.log"]},
        {"compute_container": "nova_compute-1.2", "compute_engines": ["podman"]},
    ],
)
def test_names_that_systemd_and_the_engines_allow_are_allowed(
    tmp_path: Path, changed: dict[str, Any]
) -> None:
    assert deployment(tmp_path, **changed).title == "x"
