"""A world of hosts: the plugin's own hooks and triggers read it by connections and policy."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from openstack_maintenance.adapters.policy_file import inventory, read_deployment, read_policy
from openstack_maintenance.hooks.checks import ChecksHook
from openstack_maintenance.hooks.ssh import check_connection, open_host
from openstack_maintenance.triggers.host_steps import NovaComputeGoneTrigger, RebootedTrigger
from simulator.clock import START
from simulator.hosts.cloud_side import EmptyCloud
from simulator.world import HostAt, Kind, World

HOSTS = [HostAt("c01", "10.0.0.11", "c01.example.com"), HostAt("c02", "10.0.0.12")]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, HOSTS, EmptyCloud(), policy={"max_hosts_out": 2})


def play(world: World, story: Any) -> Any:
    """Run a coroutine in the world to its end."""
    with world.installed():
        task = world.clock.loop.create_task(story)
        assert world.clock.run(task.done, at_most=86_400)
    return task.result()


def test_the_plugin_reads_policy_and_connections(world: World) -> None:
    with world.installed():
        policy = read_policy()
        assert policy.max_hosts_out == 2
        assert inventory(policy) == [{"host": "ctl01", "address": "10.255.0.10"}]
        assert read_deployment(policy) == world.deployment
    assert "OPENSTACK_MAINTENANCE_POLICY" not in os.environ
    play(world, check_connection("openstack_ssh"))


@pytest.mark.parametrize("deployment", ["debian", "kolla", "rdo", "lab"])
def test_all_hosts_are_read_through_the_hooks(tmp_path: Path, deployment: str) -> None:
    world = World(tmp_path, HOSTS, EmptyCloud(), kind=Kind(deployment, zone="Europe/Zurich"))
    compute = world.deployment.nova_compute

    async def story() -> Sequence[Any]:
        found = []
        for at in HOSTS:
            async with open_host("openstack_ssh", at.name, at.address, compute) as host:
                found.append(await host.read_facts())
        return found

    for at, facts in zip(HOSTS, play(world, story()), strict=True):
        assert (facts.hostname, facts.fqdn) == (at.name, at.fqdn or at.name)
        assert facts.nova_compute.is_active
        assert facts.zone_name == "Europe/Zurich"
        assert (facts.log_error, facts.sudo_missing) == ("", ())


def test_blocking_code_reads_a_host_as_an_operator_does(world: World) -> None:
    compute = world.deployment.nova_compute
    found: list[str] = []

    async def look() -> str:
        async with open_host("openstack_ssh", "c01", "10.0.0.11", compute) as host:
            return await host.boot_id()

    with world.installed():
        world.clock.spawn(lambda: found.append(asyncio.run(look())))
        assert world.clock.run(lambda: bool(found), at_most=60)
    assert found == [world.machines["c01"].state.boot_id]


def trigger_of(world: World, kind: Any, **known: Any) -> Any:
    compute = world.deployment.nova_compute
    deadline = START + timedelta(minutes=20)
    return kind(
        host="c01",
        address="10.0.0.11",
        nova_compute={
            "unit": compute.unit,
            "log_paths": list(compute.log_paths),
            "container": compute.container,
            "engines": list(compute.engines),
            "guest_processes": list(compute.guest_processes),
        },
        deadline=deadline.isoformat(),
        known=known,
    )


async def event_of(trigger: Any) -> dict[str, Any]:
    async for event in trigger.run():
        return dict(event.payload)
    raise AssertionError("the trigger ended without an event")


def test_a_trigger_waits_in_virtual_time_until_nova_compute_is_gone(world: World) -> None:
    world.machines["c01"].services[0].stop()
    payload = play(world, event_of(trigger_of(world, NovaComputeGoneTrigger)))
    assert payload["result"]["boot_id"] == world.machines["c01"].state.boot_id
    assert timedelta(seconds=8) < world.clock.now() - START < timedelta(seconds=12)


def test_a_trigger_waits_for_a_reboot_and_gives_up_at_its_deadline(world: World) -> None:
    machine = world.machines["c01"]
    before = machine.state.boot_id
    machine.go_down()
    payload = play(world, event_of(trigger_of(world, RebootedTrigger, boot_id_before=before)))
    assert payload["result"]["boot_id_after"] == machine.state.boot_id != before
    assert world.clock.now() - START < timedelta(seconds=100)

    machine.habits.hanging_boots = 1
    machine.go_down()
    known = {"boot_id_before": machine.state.boot_id}
    payload = play(world, event_of(trigger_of(world, RebootedTrigger, **known)))
    assert "did not come back" in payload["error"]["found"]
    assert timedelta(0) <= world.clock.now() - START - timedelta(minutes=20) < timedelta(minutes=1)


def test_the_checks_find_controllers_healthy_and_what_is_not(tmp_path: Path) -> None:
    controllers = [HostAt("ctl01", "10.255.0.10"), HostAt("ctl02", "10.255.0.11")]
    world = World(tmp_path, HOSTS, EmptyCloud(), controllers=controllers)
    at = [{"host": each.name, "address": each.address} for each in controllers]
    checks = ChecksHook(world.deployment, at, "openstack_ssh")

    def bad_ones() -> dict[str, list[str]]:
        checked = play(world, checks.check_services())
        return {
            host: [each.name for each in findings if each.verdict == "bad"]
            for host, findings in checked.services.items()
        }

    assert bad_ones() == {"ctl01": [], "ctl02": []}
    service = world.machines["ctl02"].service("nova-scheduler.service")
    assert service is not None
    service.die()
    world.machines["ctl01"].crash(comes_back=False)
    assert bad_ones() == {"ctl01": ["SSH"], "ctl02": ["nova-scheduler"]}


def test_two_worlds_of_one_seed_are_the_same(tmp_path: Path) -> None:
    def boots(name: str) -> list[str]:
        world = World(tmp_path, HOSTS, EmptyCloud(), seed=int(name))
        return [machine.state.boot_id for machine in world.machines.values()]

    assert boots("1") == boots("1") != boots("2")
