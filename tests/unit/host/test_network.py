"""A host whose network agents are not back is not given back (field/16)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from builders import NOW, service
from openstack_maintenance.domain.host.facts import UnitState
from openstack_maintenance.domain.host.network import (
    NetworkAgent,
    judge_before,
    not_back,
    nothing_listed,
)
from openstack_maintenance.triggers import host_steps, network_watch
from openstack_maintenance.triggers.host_steps import NovaComputeUpTrigger
from openstack_maintenance.triggers.waiting import StillWaiting

OVS = NetworkAgent("a1", "neutron-openvswitch-agent", "c01", True, True, NOW)
OVN = NetworkAgent("a2", "ovn-controller", "c01", True, True, NOW)
DEAD = replace(OVS, is_alive=False)
LATER = NOW + timedelta(seconds=30)


def later(agent: NetworkAgent) -> NetworkAgent:
    return replace(agent, heartbeat=LATER)


def test_the_agents_that_a_host_has_are_those_that_must_be_back() -> None:
    network, blockers = judge_before("c01", [OVS, OVN, replace(OVN, id="a3", is_enabled=False)])
    assert network.agents == ("a1", "a2")
    assert not blockers


def test_an_agent_that_is_dead_before_is_named_before_anything_changes() -> None:
    _, (blocker,) = judge_before("c01", [DEAD, OVN])
    assert "its network agent neutron-openvswitch-agent is not alive" in str(blocker)
    assert "openstack network agent delete a1" in blocker.remedy


def test_a_host_without_agents_is_said_to_be_not_proven() -> None:
    network, blockers = judge_before("c01", [])
    assert (network.not_proven, blockers) == ("Neutron lists no network agent on c01", [])


def test_a_neutron_that_lists_nothing_is_a_missing_right_unless_the_policy_allows_it() -> None:
    _, (blocker,) = nothing_listed(True, "openstack_default")
    assert "Allow get_agent to the user of connection openstack_default" in blocker.remedy
    assert "network_agents: not_proven" in blocker.remedy
    network, blockers = nothing_listed(False, "openstack_default")
    assert network.not_proven
    assert not blockers


@pytest.mark.parametrize(
    ("agents", "missing"),
    [
        ([], "does not list its network agent a1"),
        ([DEAD], "its network agent neutron-openvswitch-agent (a1) is not alive"),
        ([OVS], "waiting for the heartbeat of its network agent neutron-openvswitch-agent (a1)"),
        ([later(OVS)], None),
        ([later(OVS), OVN], "ovn-controller (a2)"),
        ([replace(OVS, is_enabled=False, is_alive=False)], None),
    ],
)
def test_they_are_back_once_alive_with_another_heartbeat(
    agents: list[NetworkAgent], missing: str | None
) -> None:
    found = not_back(["a1"], agents, {"a1": NOW, "a2": NOW})
    assert (found is None) if missing is None else (missing in str(found))


class Health:
    """Neutron, look by look."""

    def __init__(self, *looks: list[NetworkAgent]) -> None:
        self.looks = list(looks)

    def agents(self, host: str) -> list[NetworkAgent]:
        return self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]


def waiting(monkeypatch: pytest.MonkeyPatch, health: Health, **known: Any) -> NovaComputeUpTrigger:
    unit = UnitState("nova-compute", "systemd", "active", "running", 812, (812,))
    trigger = NovaComputeUpTrigger("c01", "10.0.0.21", {}, NOW.isoformat(), known=known)

    class Host:
        async def __aenter__(self) -> Host:
            return self

        async def __aexit__(self, *error: Any) -> None:
            return None

        async def nova_compute_state(self) -> UnitState:
            return unit

    async def shown(self: Any) -> Any:
        trigger_beats.append(NOW + timedelta(seconds=10 * len(trigger_beats)))
        return service("c01", updated_at=trigger_beats[-1])

    async def opened(self: Any) -> Health:
        return health

    trigger_beats: list[Any] = []
    monkeypatch.setattr(NovaComputeUpTrigger, "on_host", lambda self: Host())
    monkeypatch.setattr(NovaComputeUpTrigger, "service", shown)
    hook = SimpleNamespace(aget_health=lambda: opened(None))
    monkeypatch.setattr(network_watch, "CloudHook", lambda conn_id: hook)
    return trigger


async def found_after(trigger: NovaComputeUpTrigger, looks: int) -> Any:
    said: Any = None
    for _ in range(looks):
        try:
            said = await trigger.look()
        except StillWaiting as missing:
            said = missing.found
    return said


async def test_a_host_is_healthy_once_its_agents_beat_too(monkeypatch: pytest.MonkeyPatch) -> None:
    health = Health([OVS], [OVS], [OVS], [later(OVS)])
    trigger = waiting(monkeypatch, health, network={"agents": ["a1"], "not_proven": ""})
    assert "waiting for the heartbeat of its network agent" in await found_after(trigger, 3)
    found = await found_after(trigger, 1)
    assert found["network"]["agents"] == [
        {"binary": OVS.binary, "alive": True, "heartbeat": LATER.isoformat()}
    ]


async def test_a_dead_agent_keeps_the_host_out_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trigger = waiting(monkeypatch, Health([DEAD]), network={"agents": ["a1"], "not_proven": ""})
    said = await found_after(trigger, 5)
    assert "its network agent neutron-openvswitch-agent (a1) is not alive" in said
    error = await trigger.too_late(said)
    assert "an instance that starts there would get no port" in str(error)
    assert "`openstack network agent list --host c01`" in str(error)


@pytest.mark.parametrize("known", [{}, {"network": None}, {"network": {"not_proven": "why"}}])
async def test_where_nothing_can_be_proven_it_is_said_and_neutron_is_not_asked(
    monkeypatch: pytest.MonkeyPatch, known: dict[str, Any]
) -> None:
    trigger = waiting(monkeypatch, Health(), **known)
    found = await found_after(trigger, 3)
    assert found["network"]["not_proven"]


def test_the_trigger_reads_what_older_releases_stored() -> None:
    needs = dict(host_steps.NovaComputeUpTrigger.needs)
    assert needs["network"](None, "network") is None
    with pytest.raises(ValueError, match="network"):
        needs["network"]("x", "network")
