"""What a host shows, against what Nova says of it: named before anything changes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from builders import NOW, instance, service
from openstack_maintenance.domain.cloud import Hypervisor, Instance
from openstack_maintenance.domain.deployment import NovaCompute
from openstack_maintenance.domain.errors import CloudError
from openstack_maintenance.domain.host.amqp_log import LogFile
from openstack_maintenance.domain.host.answers import parse_sockets, parse_unit
from openstack_maintenance.domain.host.facts import (
    AmqpEvidence,
    BrokerSocket,
    GuestProcess,
    HostFacts,
    UnitState,
)
from openstack_maintenance.domain.host.facts_rules import (
    check_bus,
    check_guests,
    check_nova_compute,
)
from openstack_maintenance.domain.host.request import Request
from openstack_maintenance.domain.host.rules import HostInCloud, check_host_rules, hosts_out_blocker
from openstack_maintenance.domain.mark import Mark
from openstack_maintenance.domain.policy import Policy
from openstack_maintenance.triggers import stored

UP = UnitState("nova-compute.service", "systemd", "active", "running", 812, (812,))
IDLE = UnitState("nova-compute.service", "systemd", "inactive", "dead")
STRAY = "99 /system.slice/docker-ab.scope"


def told(unit: UnitState, **given: object) -> str:
    return " | ".join(map(str, check_nova_compute(service("c01", **given), unit)))  # type: ignore[arg-type]


@pytest.mark.parametrize("state", ["inactive", "failed"])
def test_an_idle_unit_of_a_host_that_nova_shows_up_is_the_wrong_unit(state: str) -> None:
    idle = replace(IDLE, active_state=state, look_alikes=("docker container nova_compute",))
    said = told(idle)
    assert f"Nova shows nova-compute up, but nova-compute.service on the host is {state}" in said
    assert "docker container nova_compute" in said


def test_where_the_running_one_is_seen_it_is_named() -> None:
    said = told(replace(IDLE, strays=(STRAY,)))
    assert "wrong unit (process 99 in /system.slice/docker-ab.scope)" in said


def test_a_left_over_beside_the_right_unit_is_named_too() -> None:
    said = told(replace(UP, strays=(STRAY,)))
    assert "another nova-compute runs there beside nova-compute.service: process 99 in" in said


def test_the_right_unit_is_no_blocker_nor_is_a_host_that_nova_shows_down() -> None:
    assert told(UP) == ""
    assert told(IDLE, is_up=False) == ""


def test_a_host_that_a_run_of_ours_stopped_a_moment_ago_still_shows_up() -> None:
    ours = str(Mark("compute_host_maintenance", "r1", "kernel"))
    assert told(IDLE, reason=ours) == ""


def test_a_nova_compute_elsewhere_is_not_gone() -> None:
    answers = {
        "unit.LoadState": ("loaded",),
        "unit.Id": ("nova-compute.service",),
        "unit.ActiveState": ("inactive",),
        "unit.MainPID": ("0",),
        "stray": ("99 0::/system.slice/docker-ab.scope",),
        "look_alike": ("nova-compute-2.service",),
    }
    unit = parse_unit(answers, "nova-compute.service")
    assert unit.is_idle
    assert not unit.is_gone
    assert unit.strays == ("99 /system.slice/docker-ab.scope",)
    assert unit.look_alikes == ("nova-compute-2.service",)


# Guests that Nova does not list there.


def guests_told(*guests: GuestProcess, near: tuple[Instance, ...] = ()) -> str:
    return " | ".join(map(str, check_guests("c01", guests, near)))


def guest(name: str = "instance-0000002a") -> GuestProcess:
    return GuestProcess(2211, "qemu-system-x86_64", name)


LISTED = instance("i1", guest_name="instance-0000002a")
LISTED_OFF = instance("i1", "SHUTOFF", guest_name="instance-0000002a")


def test_a_guest_of_an_instance_that_nova_deleted_is_named_with_how_it_is_ended() -> None:
    said = guests_told(guest(), guest("instance-0000002b"), near=(LISTED,))
    assert (
        "guests run on it that Nova does not list there: instance-0000002b (process 2211)" in said
    )
    assert "`virsh destroy instance-0000002b`" in said


def test_guests_on_a_host_that_nova_calls_empty_are_named_whatever_they_are_called() -> None:
    assert "instance-0000002a" in guests_told(guest())
    assert "qemu-system-x86_64 (process 2211)" in guests_told(guest(""))
    assert guests_told(guest(""), near=(LISTED_OFF,)) != ""


def test_the_guests_of_listed_instances_are_no_blocker() -> None:
    assert guests_told(guest(), near=(LISTED,)) == ""
    assert guests_told(guest(""), near=(LISTED,)) == ""
    assert guests_told() == ""


def test_where_nova_does_not_tell_the_guests_names_only_an_empty_host_is_sure() -> None:
    nameless = instance("i1")
    assert guests_told(guest(), near=(nameless,)) == ""
    assert guests_told(guest(), near=(instance("i1", "SHUTOFF"),)) != ""


# Nova holds it forced down (field/07), or disabled it itself (field/08).


def rules(**given: object) -> str:
    facts = HostInCloud([service("c01", **given), service("c02")], HYPERVISOR, [])  # type: ignore[arg-type]
    found = check_host_rules(Request(host="c01"), Policy(), facts, MARK, frozenset())
    return " | ".join(map(str, found))


HYPERVISOR = Hypervisor("h", "c01", "c01", "192.0.2.11", "QEMU")
MARK = Mark("compute_host_maintenance", "r1")


@pytest.mark.parametrize("is_up", [True, False])
def test_a_host_that_is_forced_down_is_refused_also_when_it_is_empty(is_up: bool) -> None:
    said = rules(is_forced_down=True, is_up=is_up)
    assert "Nova holds its nova-compute forced down" in said
    assert "`openstack compute service set --up c01 nova-compute`" in said
    assert "Start nova-compute" not in said


def test_what_nova_compute_disabled_itself_is_told_with_libvirt_as_the_cause() -> None:
    said = rules(reason="AUTO: Connection to libvirt lost: 1")
    assert "nova-compute itself disabled it, because it lost libvirt: 'AUTO: Connection" in said
    assert "virsh list" in said
    assert "set --enable" not in said


@pytest.mark.parametrize("reason", ["watcher_maintaining", "Masakari detected host failed."])
def test_no_person_is_claimed_where_only_a_reason_is_known(reason: str) -> None:
    said = rules(reason=reason)
    assert f"host c01: it is disabled with the reason '{reason}'. Find out" in said
    assert "a person" not in said


def test_a_cell_that_does_not_answer_is_no_blocker_but_silence() -> None:
    with pytest.raises(CloudError, match="its cell does not answer"):
        rules(is_unknown=True, is_enabled=False)


# What will prove after the reboot that it is on the bus (field/12).

SOCKET = BrokerSocket(812, "192.0.2.21:41000", "192.0.2.10:5673")
CONNECTED = (
    "2026-03-10 00:59:00.000 812 INFO oslo.messaging._drivers.impl_rabbit [-] Connected to AMQP "
    "server on ctl:5673"
)


def bus_told(evidence: str = "any", log: str = "", up: bool = True, **given: Any) -> str:
    bus = AmqpEvidence(
        boot_id="b1",
        clock=NOW,
        zone_name="UTC",
        nova_compute=given.pop("unit", UP),
        log_path="/var/log/nova/nova-compute.log",
        log_error=given.pop("log_error", ""),
        log=LogFile((log,) if log else ()),
        **{"sockets": (), "sockets_error": "", **given},
    )
    rest = ("UTC", UP, "/var/log/nova/nova-compute.log", "", (), ())
    facts = HostFacts("c01", "c01", "b1", NOW, NOW, *rest, bus=bus)
    policy = Policy(amqp_evidence=evidence)  # type: ignore[arg-type]
    return " | ".join(map(str, check_bus(service("c01", is_up=up), policy, facts)))


def test_a_broker_on_another_port_is_told_with_the_field_that_names_it() -> None:
    said = bus_told(other_sockets=(SOCKET,))
    assert "no connection to the broker's ports (it is connected to 192.0.2.10:5673)" in said
    assert "nova_compute.broker_ports" in said


@pytest.mark.parametrize(
    "given",
    [
        {"sockets": (SOCKET,)},
        {"log": CONNECTED},
        {"sockets_error": "sudo: a password is required"},  # named as a missing right
        {"unit": IDLE},
        {"up": False},
    ],
    ids=["socket", "log line", "unread", "it does not run", "down"],
)
def test_what_can_be_proven_or_is_no_evidence_now_is_no_blocker(given: dict[str, Any]) -> None:
    assert bus_told(**given) == ""


def test_where_the_log_line_is_demanded_the_log_must_be_readable() -> None:
    said = bus_told("log_line", log_error="No such file or directory", sockets=(SOCKET,))
    assert "amqp_evidence: log_line" in said
    assert "cannot be read: No such file or directory" in said
    assert bus_told("log_line") == ""


STARTED = "2026-03-10 {} 812 INFO nova.service [-] Starting compute node (version 34.0.0)"


@pytest.mark.parametrize(
    ("evidence", "started", "given", "is_told"),
    [
        ("log_line", "00:30:00.000", {"sockets": (SOCKET,)}, True),
        ("log_line", "00:30:00.000", {}, True),
        ("log_line", "00:59:00.000", {"sockets": (SOCKET,)}, True),
        ("log_line", "00:59:00.000", {}, False),
        ("any", "00:30:00.000", {"sockets": (SOCKET,)}, False),
    ],
    ids=["connected", "by its age", "young and connected", "still connecting", "not demanded"],
)
def test_a_nova_compute_that_logs_no_connection_cannot_give_the_line_that_is_demanded(
    evidence: str, started: str, given: dict[str, Any], is_told: bool
) -> None:
    said = bus_told(evidence, log=STARTED.format(started), **given)
    assert ("logs no connection" in said) is is_told
    if is_told:
        assert "oslo.messaging._drivers.impl_rabbit=DEBUG" in said
        assert "amqp_evidence: any" in said


def test_the_ports_of_the_deployment_are_the_brokers() -> None:
    row = 'ESTAB 0 0 192.0.2.21:41000 192.0.2.10:5673 users:(("nova-compute",pid=61,fd=8))'
    assert parse_sockets([row], [61]) == ()
    (found,) = parse_sockets([row], [61], (5673,))
    assert found.peer == "192.0.2.10:5673"


def test_a_trigger_takes_the_ports_along_only_where_an_older_release_could_not_do_without() -> None:
    usual = NovaCompute("nova-compute", ("/var/log/nova/nova-compute.log",))
    assert "broker_ports" not in usual.plain()
    other = replace(usual, broker_ports=(5673,))
    assert stored.nova_compute(usual.plain()) == usual
    assert stored.nova_compute(other.plain()) == other
    with pytest.raises(ValueError, match="not a port's number"):
        stored.nova_compute({**other.plain(), "broker_ports": ["5673"]})


@pytest.mark.parametrize("ports", [(), (0,), (65536,)])
def test_what_is_no_port_is_refused(ports: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="broker_ports"):
        NovaCompute("nova-compute", ("/var/log/nova/nova-compute.log",), broker_ports=ports)


def test_hosts_of_a_silent_cell_may_be_out_so_nobody_knows_how_many_are() -> None:
    services = [service("c01"), service("c02", None, is_enabled=False, is_unknown=True)]
    with pytest.raises(CloudError, match="how many hosts are out is not known: the cell of c02"):
        hosts_out_blocker("c01", Policy(), services)
    assert hosts_out_blocker("c01", Policy(max_hosts_out=2), services) is None
    out = service("c03", str(Mark("compute_host_maintenance", "r0")))
    assert "1 of at most 1" in str(hosts_out_blocker("c01", Policy(), [*services, out]))
