"""check_host as a whole: what is knowable is named before anything changes, all at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import DownstreamTasksSkipped, TaskDeferred

from airflow_run import context_of, write_policy
from builders import NOW, hypervisor, instance, service
from in_memory_nova import CloudState, InMemoryNova
from openstack_maintenance.adapters.cloud_errors import Refused
from openstack_maintenance.domain.drain.affinity import AffinityGroup
from openstack_maintenance.domain.drain.ports import HostPort
from openstack_maintenance.domain.host.facts import GuestProcess, HostFacts, UnitState
from openstack_maintenance.domain.host.holders import Holder
from openstack_maintenance.domain.host.network import NetworkAgent
from openstack_maintenance.operators.base import StepFailed
from openstack_maintenance.operators.host import emptiness, pre_check
from openstack_maintenance.operators.host.check_host import CheckHostOperator

WEB = instance("i1", name="web-1", guest_name="instance-01")
DB = instance("i2", name="db-1", guest_name="instance-02", extra_specs={"resources:VGPU": "1"})
UP = UnitState("nova-compute", "systemd", "active", "running", 812, (812,))
ALIVE = NetworkAgent("a1", "ovn-controller", "c01", True, True, NOW)


class World:
    """The cloud, Neutron and the host, all well: a test makes one thing otherwise."""

    def __init__(self) -> None:
        self.services = [service("c01"), service("c02")]
        self.listed = [WEB, DB]
        self.version = "2.100"
        self.held: list[Holder] = []
        self.right_to_allocations = True
        self.groups: tuple[AffinityGroup, ...] = ()
        self.agents: list[NetworkAgent] | None = [ALIVE]
        self.ports: list[HostPort] = []
        self.unit = UP
        self.guests: tuple[GuestProcess, ...] = ()

    def nova(self) -> InMemoryNova:
        held = [each.instance for each in self.held if each.instance]
        cloud = CloudState(
            services={each.host: each for each in self.services},
            hypervisors={"c01": hypervisor("c01", id="p1")},
            instances={each.id: each for each in [*self.listed, *held]},
            affinity_groups=self.groups,
            placed={"c01": frozenset(each.id for each in [*self.listed, *self.held])},
        )
        nova = InMemoryNova(cloud, version=self.version)
        if not self.right_to_allocations:
            nova.errors["consumers"] = Refused("placement API", "the cloud forbids it", "Allow it.")
        return nova

    def health(self) -> Any:
        def of(host: str | None = None) -> list[NetworkAgent] | None:
            if self.agents is None:
                return None
            return [each for each in self.agents if host in (None, each.host)]

        return SimpleNamespace(agents=of, ports=lambda host: self.ports)

    def facts(self) -> HostFacts:
        rest = ("UTC", self.unit, "/var/log/nova/nova-compute.log", "", (), self.guests)
        return HostFacts("c01", "c01", "b1", NOW, NOW, *rest)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    found = World()
    write_policy(tmp_path, monkeypatch, deployment="debian")

    async def read_facts(self: Any, address: str) -> HostFacts:
        return found.facts()

    monkeypatch.setattr(CheckHostOperator, "_read_facts", read_facts)
    monkeypatch.setattr(CheckHostOperator, "_check_room", lambda *given: [])
    hook = SimpleNamespace(get_health=found.health)
    monkeypatch.setattr(pre_check, "CloudHook", lambda conn_id: hook)
    monkeypatch.setattr(emptiness.time, "sleep", lambda seconds: None)
    yield found


def check(world: World, **params: Any) -> dict[str, Any]:
    """What a dry run would tell. Raises: StepFailed, with the blockers."""
    step = CheckHostOperator(task_id="check_host", first_change="disable_service")
    step.__dict__["nova"] = world.nova()
    given = {"host": "c01", "reason": "kernel", "ignore_window": True, "dry_run": True, **params}
    context = context_of("compute_host_maintenance", params=given)
    with pytest.raises(DownstreamTasksSkipped):
        step.execute(context)
    return dict(context["ti"].xcoms["return_value"])


def refused(world: World, **params: Any) -> str:
    with pytest.raises(StepFailed) as raised:
        check(world, **params)
    assert "nothing was changed" in str(raised.value).casefold()
    return str(raised.value)


def test_a_host_that_is_well_is_planned_with_what_will_be_proven_later(world: World) -> None:
    found = check(world)
    assert found["hypervisor_id"] == "p1"
    assert found["network"] == {"agents": ["a1"], "not_proven": ""}


def test_what_may_fail_is_said_in_the_plan(world: World) -> None:
    world.ports = [HostPort("i1", "direct")]
    plan = "\n".join(check(world)["would"])
    assert "web-1 (i1), ACTIVE, 512 MiB: live, to where Nova's scheduler chooses (may fail" in plan
    assert "(may fail: its vGPU needs libvirt 8.6" in plan


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"held": [Holder("dead")]}, "openstack resource provider allocation delete dead"),
        ({"right_to_allocations": False}, "the cloud forbids it"),
        (
            {"groups": (AffinityGroup("g", "pair", frozenset({"i1", "i2"})),)},
            "are in the hard affinity group pair: neither can leave without the other",
        ),
        ({"version": "2.90"}, "has a vGPU, which a Nova before 2024.1 cannot live-migrate"),
        ({"ports": [HostPort("i1", "accelerator-direct")]}, "has a port with an accelerator"),
        ({"agents": [replace(ALIVE, is_alive=False)]}, "is not alive"),
        ({"agents": []}, "Allow get_agent"),
        (
            {"unit": UnitState("nova-compute", "systemd", "inactive", "dead")},
            "the deployment names the wrong unit",
        ),
        (
            {"guests": (GuestProcess(1, "qemu-system-x86", "instance-0f"),)},
            "guests run on it that Nova does not list there: instance-0f",
        ),
        (
            {"services": [service("c01", is_forced_down=True), service("c02")]},
            "Nova holds its nova-compute forced down",
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_what_is_knowable_is_named_before_anything_changes(
    world: World, change: dict[str, Any], says: str
) -> None:
    world.__dict__.update(change)
    assert says in refused(world)


def test_all_of_it_is_named_at_once(world: World) -> None:
    world.held, world.agents, world.version = [Holder("dead")], [], "2.90"
    said = refused(world)
    assert all(each in said for each in ("dead", "get_agent", "vGPU"))


def test_the_guests_of_listed_and_of_coming_instances_are_no_blocker(world: World) -> None:
    coming = instance("i9", "MIGRATING", host="c02", guest_name="instance-09", task_state="x")
    world.held = [Holder("i9", coming)]
    names = ("instance-01", "instance-02", "instance-09")
    world.guests = tuple(GuestProcess(1, "qemu-system-x86", each) for each in names)
    assert check(world)["host"] == "c01"


def test_a_cloud_without_network_agents_is_taken_and_said_to_be_not_proven(world: World) -> None:
    world.agents = None
    assert check(world)["network"]["not_proven"] == "the cloud has no list of network agents"


def test_a_cell_that_does_not_answer_is_no_blocker(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.services = [
        service("c01", None, is_enabled=False, is_up=False, is_unknown=True),
        service("c02"),
    ]
    with pytest.raises(TaskDeferred):  # asked again like an API that is silent
        check(world)
    assert "host c01: its cell does not answer" in capsys.readouterr().out
