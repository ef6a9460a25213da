"""Hosts to which everything happens at random: whatever is asked ends, in words, in time."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from openstack_maintenance.adapters.controller import read_controller, restart_service
from openstack_maintenance.adapters.host import Host
from openstack_maintenance.domain.errors import MaintenanceError
from openstack_maintenance.hooks.ssh import open_host, open_shell
from simulator.hosts.machine import ScriptPlay
from simulator.hosts.nova_compute import NovaComputeHabits, Release
from simulator.hosts.ssh import Fault, Question, Spoken
from simulator.world import HostAt, Kind, World

pytestmark = pytest.mark.thorough

UNIT = "openstack-maintenance-0123456789ab.service"
RELEASES: list[Release] = ["liberty", "mitaka", "newton", "now"]
QUESTIONS = 25


class StrictCloud:
    """It takes no message that cannot be true."""

    def __init__(self) -> None:
        self.guests: list[str] = []
        self.is_computing: Counter[str] = Counter()

    def guest_names_on(self, host: str) -> list[str]:
        return self.guests

    def host_starts_nova_compute(self, host: str) -> None:
        assert not self.is_computing[host]
        self.is_computing[host] = 1

    def host_stops_nova_compute(self, host: str, *, in_order: bool = True) -> None:
        assert self.is_computing[host]
        self.is_computing[host] = 0

    def host_loses_broker(self, host: str) -> None:
        assert self.is_computing[host]

    host_reaches_broker = host_loses_broker

    def host_reboots(self, host: str) -> None:
        assert not self.is_computing[host]
        self.guests = []

    host_fails = host_reboots

    def host_has_booted(self, host: str) -> None:
        assert not self.is_computing[host]


class Soak:
    """One world, and the accidents of one seed."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.random = Random(seed)  # noqa: S311  the same each time is what is wanted
        self.cloud = StrictCloud()
        pick = self.random.choice
        deployment = pick(["debian", "kolla", "rdo"])
        has_unit = deployment != "kolla" or pick([True, False])
        habits = NovaComputeHabits(pick(RELEASES), logs_connections=pick([True, False]))
        kind = Kind(deployment, has_unit, pick(["docker", "podman"]), nova_compute=habits)
        at = [HostAt("c01", "10.0.0.11")]
        self.world = World(folder, at, self.cloud, kind=kind, seed=seed)
        self.machine = self.world.machines["c01"]
        self.controller = self.world.machines["ctl01"]
        self.machine.scripts = lambda content: ScriptPlay(pick([1, 50]), pick([0, 2]), ("a", "b"))
        self.world.network.before.append(self.fault)
        self.world.clock.after(10, self.accident)

    def fault(self, question: Question) -> Fault | None:
        pick = self.random.choice
        if self.random.random() < 0.85:
            return None
        instead = pick([None, None, Spoken(1, b"x", b"y")])
        lost = pick(["", "before", "middle", "after"])
        return Fault(pick([0, 0, 20, 200]), pick([0, 0, 40]), lost, instead, err=b"noise")

    def accident(self) -> None:
        machine, broker, pick = self.machine, self.world.broker, self.random.choice
        service = machine.services[0]
        other = pick(self.controller.services)
        accidents: list[Callable[[], Any]] = [
            lambda: machine.crash(comes_back=pick([True, True, False])),
            machine.switch_on,
            machine.power_cycle,
            machine.freeze,
            machine.cut,
            machine.uncut,
            machine.uncut,
            broker.goes_down,
            broker.comes_back,
            lambda: service.die(pick([1, 137])),
            self.controller.go_down,
            other.stop,
            other.start,
            other.restart,
            other.die,
            self.new_habits,
        ]
        pick(accidents)()
        self.world.clock.after(pick([1, 5, 30, 200]), self.accident)

    def new_habits(self) -> None:
        pick, power = self.random.choice, self.machine.habits
        habits = self.machine.services[0].habits
        habits.hangs_at_stop = pick([True, False])
        habits.comes_back_after = pick([None, 20.0])
        habits.restart_after = pick([None, 3.0])
        habits.failing_starts = pick([0, 0, 4])
        power.hanging_boots, power.loses_orders = pick([0, 1]), pick([0, 1])
        power.panics_after = pick([[], [2.0, 3.0]])
        power.clock_at_boot = pick([None, -3600.0, 50.0])
        self.machine.state.login.denied = pick([[], ["systemctl *"], ["*"]])
        self.cloud.guests = ["x", "y"] if self.machine.power == "up" and pick([True, False]) else []

    async def ask(self) -> object:
        compute = self.world.deployment.nova_compute
        boot_id = self.machine.state.boot_id
        questions: list[Callable[[Host], Awaitable[object]]] = [
            lambda host: host.read_facts(),
            lambda host: host.nova_compute_state(),
            lambda host: host.stop_nova_compute(),
            lambda host: host.start_nova_compute(),
            lambda host: host.reboot(boot_id),
            lambda host: host.amqp_evidence(),
            lambda host: host.journal_tail(),
            lambda host: host.start_script("x", b"#!/bin/sh\n", UNIT, again=True),
        ]
        if self.random.random() < 0.8:
            async with open_host("openstack_ssh", "c01", "10.0.0.11", compute) as host:
                return await self.random.choice(questions)(host)
        async with open_shell("openstack_ssh", "ctl01", "10.255.0.10") as shell:
            if self.random.random() < 0.5:
                return await read_controller(shell, self.world.deployment)
            service = next(iter(self.world.deployment))
            return await restart_service(shell, self.world.deployment, service)

    async def story(self) -> Counter[str]:
        seen: Counter[str] = Counter()
        for _ in range(QUESTIONS):
            asked = asyncio.ensure_future(self.ask())
            if self.random.random() < 0.1:
                await asyncio.sleep(self.random.random() * 0.2)
                asked.cancel()
            try:
                async with asyncio.timeout(200):  # longer than the plugin waits for anything
                    await asked
                seen["answered"] += 1
            except MaintenanceError as error:
                seen[type(error).__name__] += 1
            except asyncio.CancelledError:
                seen["killed"] += 1
            await asyncio.sleep(self.random.choice([0.1, 2, 20, 100]))
        return seen

    def play(self) -> tuple[Counter[str], float, str]:
        with self.world.installed():
            task = self.world.clock.loop.create_task(self.story())
            assert self.world.clock.run(task.done, at_most=1_000_000)
        return task.result(), self.world.clock.seconds(), self.machine.state.boot_id


@pytest.mark.parametrize("seed", range(12))
def test_whatever_happens_each_question_ends_in_words_and_in_time(
    tmp_path: Path, seed: int
) -> None:
    soak = Soak(tmp_path, seed)
    seen, _, _ = soak.play()
    assert sum(seen.values()) == QUESTIONS
    boots = [boot.id for boot in soak.machine.look().boots]
    assert len(set(boots)) == len(boots)


def test_the_same_seed_is_the_same_story_to_the_last_boot(tmp_path: Path) -> None:
    first, second = (Soak(tmp_path, 5).play() for _ in range(2))
    assert first == second
