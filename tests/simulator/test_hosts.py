"""Simulated hosts live in the world's time; the plugin's own adapters read them over SSH."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from openstack_maintenance.adapters.controller import read_controller, restart_service
from openstack_maintenance.adapters.deployment_files import load_deployment
from openstack_maintenance.adapters.host import Host, connect_host
from openstack_maintenance.adapters.shell import HostUnreachable, script_texts
from openstack_maintenance.adapters.ssh_login import connect_shell
from openstack_maintenance.domain.errors import CheckFailed, HostError
from openstack_maintenance.domain.host.amqp_log import judge_amqp
from openstack_maintenance.domain.host.facts import UnitState
from openstack_maintenance.domain.host.zone import local_zone
from simulator.clock import START, VirtualTime
from simulator.hosts.kinds import ControlPlane, compute_host
from simulator.hosts.machine import Machine, ScriptPlay
from simulator.hosts.nova_compute import MessageBroker, NovaComputeHabits, Release
from simulator.hosts.ssh import Fault, Question, SimulatedNetwork, Spoken, UnknownCommand
from simulator.hosts.state import ForcedCommand, HostClock

DEPLOYMENTS = Path(__file__).parents[2] / "include/deployments"
DEBIAN = load_deployment("debian", DEPLOYMENTS)
KOLLA = load_deployment("kolla", DEPLOYMENTS)
UNIT = "openstack-maintenance-0123456789ab.service"
SCRIPT = b"#!/bin/sh\ntrue\n"
PROFILE_PRINTS = Fault(out_before=b"Welcome to c01!\n", err=b"sh: warning\n")


class Cloud:
    """The cloud that a test needs: which guests run, and what the host told it."""

    def __init__(self, clock: VirtualTime) -> None:
        self.clock = clock
        self.guests: list[str] = []
        self.told: list[tuple[float, str]] = []

    def guest_names_on(self, host: str) -> list[str]:
        return self.guests

    def host_starts_nova_compute(self, host: str) -> None:
        self._note("starts")

    def host_stops_nova_compute(self, host: str, *, in_order: bool = True) -> None:
        self._note("stops")

    def host_loses_broker(self, host: str) -> None:
        self._note("is lost")

    def host_reaches_broker(self, host: str) -> None:
        self._note("is heard")

    def host_reboots(self, host: str) -> None:
        self.guests = []
        self._note("reboots")

    def host_fails(self, host: str) -> None:
        self.guests = []
        self._note("fails")

    def host_has_booted(self, host: str) -> None:
        self._note("has booted")

    def _note(self, what: str) -> None:
        self.told.append((round(self.clock.seconds() - START.timestamp(), 1), what))


class World:
    """A compute host, a controller, a broker and the network, in virtual time."""

    def __init__(self, folder: Path, deployment: Any = DEBIAN, **compute: Any) -> None:
        self.clock = VirtualTime()
        self.cloud = Cloud(self.clock)
        self.random = Random(7)  # noqa: S311  the same each time is what is wanted
        self.broker = MessageBroker(self.clock)
        self.deployment = deployment
        self.network = SimulatedNetwork(self.clock, self.random)
        self.machine = compute_host(
            self.clock,
            "c01.example.com",
            self.cloud,
            self.random,
            self.broker,
            deployment,
            address="10.0.0.11",
            **compute,
        )
        self.plane = ControlPlane(self.broker)
        self.controller = Machine(
            self.clock, "ctl01.example.com", self.cloud, self.random, address="10.0.0.10"
        )
        self.plane.add(self.controller, deployment)
        for machine in (self.machine, self.controller):
            self.network.add(machine)
        self.known_hosts = folder / "known_hosts"
        self.known_hosts.write_text(self.network.known_hosts())
        self.cloud.told.clear()

    def options(self, machine: Machine) -> dict[str, Any]:
        return {
            "host": machine.address,
            "username": "maintenance",
            "password": "x",
            "known_hosts": str(self.known_hosts),
        }

    async def ask(self, what: Callable[[Host], Awaitable[Any]]) -> Any:
        compute = self.deployment.nova_compute
        options = self.options(self.machine)
        async with connect_host(options, self.machine.name, compute) as host:
            return await what(host)

    async def read_controller(self) -> Any:
        options = self.options(self.controller)
        async with connect_shell(options, self.controller.name) as shell:
            return await read_controller(shell, self.deployment)

    def run(self, story: Awaitable[Any]) -> Any:
        """Play a story to its end; its result, or what it raised."""
        task = self.clock.loop.create_task(story)  # type: ignore[arg-type]
        with self.installed():
            assert self.clock.run(task.done, at_most=86_400)
        return task.result()

    @contextmanager
    def installed(self) -> Iterator[None]:
        with self.clock.installed(), self.network.installed():
            yield

    @property
    def passed(self) -> float:
        """Seconds since the world began."""
        return round(self.clock.seconds() - START.timestamp(), 1)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def facts(host: Host) -> Awaitable[Any]:
    return host.read_facts()


def state(host: Host) -> Awaitable[UnitState]:
    return host.nova_compute_state()


async def until_gone(world: World) -> UnitState:
    while not (found := await world.ask(state)).is_gone:  # noqa: ASYNC110  as the plugin does
        await asyncio.sleep(2)
    return found


async def until_rebooted(world: World, before: str) -> str:
    while True:
        try:
            if (boot := await world.ask(lambda host: host.boot_id())) != before:
                return str(boot)
        except HostUnreachable:
            pass
        await asyncio.sleep(2)


def test_a_healthy_host_is_read_by_the_real_adapter(world: World) -> None:
    world.cloud.guests = ["instance-0000002a"]
    found = world.run(world.ask(facts))
    assert (found.hostname, found.fqdn) == ("c01", "c01.example.com")
    assert found.boot_id == world.machine.state.boot_id
    assert found.clock - START < timedelta(seconds=1)
    assert found.nova_compute.is_active
    assert found.nova_compute.is_back_after_boot
    assert (found.sudo_missing, found.log_error) == ((), "")
    assert [guest.guest for guest in found.guests] == ["instance-0000002a"]
    assert 0 < world.passed < 1


def test_the_same_seed_gives_the_same_host(tmp_path: Path) -> None:
    worlds = [World(tmp_path), World(tmp_path)]
    first, second = (world.run(world.ask(facts)) for world in worlds)
    assert first == second


def test_a_stop_takes_its_time_and_ends_the_heartbeats(world: World) -> None:
    async def story() -> None:
        assert not (await world.ask(lambda host: host.stop_nova_compute())).is_gone
        assert (await until_gone(world)).active_state == "inactive"

    world.run(story())
    assert [what for _, what in world.cloud.told] == ["stops"]
    assert 8 < world.cloud.told[0][0] < 9


def test_a_stop_that_hangs_is_killed_and_failed(world: World) -> None:
    world.machine.services[0].habits.hangs_at_stop = True

    async def story() -> None:
        await world.ask(lambda host: host.stop_nova_compute())
        assert (await until_gone(world)).active_state == "failed"

    world.run(story())
    assert 90 < world.passed < 95


def test_a_process_that_survives_its_kill_is_not_gone(world: World) -> None:
    habits = world.machine.services[0].habits
    habits.hangs_at_stop = habits.survives_kill = True

    async def story() -> UnitState:
        await world.ask(lambda host: host.stop_nova_compute())
        await asyncio.sleep(200)
        found = await world.ask(state)
        assert isinstance(found, UnitState)
        return found

    found = world.run(story())
    assert (found.active_state, found.is_gone) == ("failed", False)


def test_a_supervisor_starts_again_what_was_stopped(world: World) -> None:
    world.machine.services[0].habits.comes_back_after = 30

    async def story() -> None:
        await world.ask(lambda host: host.stop_nova_compute())
        await until_gone(world)
        await asyncio.sleep(40)
        assert (await world.ask(state)).is_active

    world.run(story())
    assert [what for _, what in world.cloud.told] == ["stops", "starts"]


def test_a_container_is_stopped_by_its_engine_and_the_answer_waits_for_it(tmp_path: Path) -> None:
    world = World(tmp_path, KOLLA, has_unit=False)
    found = world.run(world.ask(lambda host: host.stop_nova_compute()))
    assert (found.kind, found.is_gone) == ("docker", True)
    assert 8 <= world.passed < 10
    assert world.run(world.ask(lambda host: host.start_nova_compute())).is_active


@pytest.mark.parametrize("has_unit", [True, False])
def test_a_kolla_host_is_read_whoever_starts_its_container(tmp_path: Path, has_unit: bool) -> None:
    world = World(tmp_path, KOLLA, has_unit=has_unit, engine="podman")
    found = world.run(world.ask(facts)).nova_compute
    assert (found.kind, found.is_active) == ("systemd" if has_unit else "podman", True)
    assert len(found.pids) == 1


def test_a_reboot_is_refused_then_silent_then_another_boot(world: World) -> None:
    before = world.machine.state.boot_id
    seen: list[str] = []

    async def story() -> None:
        assert (await world.ask(lambda host: host.reboot(before))).outcome == "asked"
        while True:
            try:
                boot = await world.ask(lambda host: host.boot_id())
            except HostUnreachable as error:
                seen.append(error.found)
            else:
                seen.append("back" if boot != before else "still there")
            if seen[-1] == "back":
                return
            await asyncio.sleep(1)

    world.cloud.guests = []
    world.run(story())
    assert list(dict.fromkeys(seen)) == [
        "still there",
        "the connection is refused (no sshd is listening)",
        "nobody answers in time",
        "back",
    ]
    assert 70 < world.passed < 90
    assert [what for _, what in world.cloud.told] == ["stops", "reboots", "has booted"]
    with world.installed():
        world.clock.run(at_most=10)
    assert world.cloud.told[-1][1] == "starts"
    found = world.run(world.ask(facts))
    assert START < found.booted < found.clock
    assert found.nova_compute.is_active


def test_a_host_with_a_guest_refuses_and_one_asked_twice_reboots_once(world: World) -> None:
    before = world.machine.state.boot_id
    world.cloud.guests = ["x"]
    with pytest.raises(CheckFailed, match="guests run on it"):
        world.run(world.ask(lambda host: host.reboot(before)))
    world.cloud.guests = []

    async def story() -> str:
        await world.ask(lambda host: host.reboot(before))
        await until_rebooted(world, before)
        return str((await world.ask(lambda host: host.reboot(before))).outcome)

    assert world.run(story()) == "already_rebooted"
    assert len(world.machine.reboot_orders) == 1


def test_an_order_that_is_lost_leaves_the_host_in_its_boot(world: World) -> None:
    world.machine.habits.loses_orders = 1
    before = world.machine.state.boot_id

    async def story() -> str:
        assert (await world.ask(lambda host: host.reboot(before))).outcome == "asked"
        await asyncio.sleep(600)
        return str(await world.ask(lambda host: host.boot_id()))

    assert world.run(story()) == before


def test_a_boot_that_hangs_stays_away_until_somebody_resets_it(world: World) -> None:
    world.machine.habits.hanging_boots = 1
    before = world.machine.state.boot_id

    async def story() -> None:
        await world.ask(lambda host: host.reboot(before))
        await asyncio.sleep(3600)
        with pytest.raises(HostUnreachable, match="nobody answers in time"):
            await world.ask(facts)
        world.machine.power_cycle()
        await until_rebooted(world, before)

    world.run(story())


def test_a_loop_of_panics_is_several_boots(world: World) -> None:
    world.machine.habits.panics_after = [5.0, 5.0]
    before = world.machine.state.boot_id
    boots: list[str] = []

    async def story() -> None:
        await world.ask(lambda host: host.reboot(before))
        for _ in range(400):
            with suppress(HostUnreachable):
                boots.append(await world.ask(lambda host: host.boot_id()))
            await asyncio.sleep(1)

    world.run(story())
    assert len(set(boots)) == 4
    assert len(world.machine.state.boots) == 4


def test_a_power_cut_in_the_middle_of_an_answer_is_a_broken_connection(world: World) -> None:
    world.network.before.append(lambda question: Fault(delay=1.0))

    async def story() -> None:
        world.machine.later(0.5, world.machine.crash)
        with pytest.raises(HostUnreachable, match="the connection broke during 'facts'"):
            await world.ask(facts)

    world.run(story())
    assert 20 < world.passed < 30  # keepalives tell
    assert [what for _, what in world.cloud.told] == ["stops", "fails"]


def test_a_cut_network_is_silence_and_what_was_asked_goes_on(world: World) -> None:
    world.network.before.append(lambda question: Fault(answer_delay=1.0))

    async def story() -> None:
        asked = asyncio.create_task(world.ask(lambda host: host.stop_nova_compute()))
        await asyncio.sleep(0.5)
        world.machine.cut()
        world.machine.later(15, world.machine.uncut)
        assert not (await asked).is_gone

    world.run(story())
    assert 15 < world.passed < 17


def test_a_cut_that_lasts_ends_the_connection_and_the_heartbeats(world: World) -> None:
    async def story() -> None:
        world.machine.cut()
        with pytest.raises(HostUnreachable, match="nobody answers in time"):
            await world.ask(facts)
        await asyncio.sleep(120)
        world.machine.uncut()
        await asyncio.sleep(10)
        lines = (await world.ask(lambda host: host.amqp_evidence())).log.lines
        assert "is unreachable" in lines[-9]
        assert "Reconnected to AMQP server" in lines[-1]

    world.run(story())
    told = [what for _, what in world.cloud.told]
    assert (told[0], told[-1]) == ("is lost", "is heard")


@pytest.mark.parametrize(
    ("fault", "is_done", "error"),
    [
        (Fault(lost="before"), False, "the connection broke during 'control'"),
        (Fault(lost="middle"), True, "the connection broke during 'control'"),
        (Fault(lost="after"), True, "the connection broke during 'control'"),
        (Fault(answer_delay=200), True, "no answer within 150 s"),
        (Fault(instead=Spoken(127, b"", b"sh: not found")), False, "no complete answer"),
        (PROFILE_PRINTS, True, ""),
    ],
)
def test_what_goes_wrong_on_the_way(world: World, fault: Fault, is_done: bool, error: str) -> None:
    def judge(question: Question) -> Fault | None:
        return fault if question.script == "control" else None

    world.network.before.append(judge)
    if error:
        with pytest.raises(HostError, match=error):
            world.run(world.ask(lambda host: host.stop_nova_compute()))
    else:
        world.run(world.ask(lambda host: host.stop_nova_compute()))
    world.network.before.clear()
    with world.installed():
        world.clock.run(at_most=30)
    assert world.run(world.ask(state)).is_gone == is_done


def test_what_the_plugin_asked_for_before_it_was_killed_is_done(world: World) -> None:
    async def story() -> None:
        asked = asyncio.create_task(world.ask(lambda host: host.stop_nova_compute()))
        while not world.machine.running:  # noqa: ASYNC110  nobody tells
            await asyncio.sleep(0.001)
        asked.cancel()
        await until_gone(world)

    world.run(story())


def test_a_host_key_that_changed_is_not_trusted(world: World) -> None:
    world.network.change_key(world.machine.address)
    with pytest.raises(HostError, match="the host key has changed"):
        world.run(world.ask(facts))


def test_a_login_that_is_refused_or_slow_says_so(world: World) -> None:
    sshd = world.network.sshds[world.machine.address]
    sshd.refuses_login = True
    with pytest.raises(HostError, match="login as maintenance is refused"):
        world.run(world.ask(facts))
    sshd.refuses_login, sshd.takes = False, 60
    with pytest.raises(HostUnreachable, match="broke at login: Login timeout expired"):
        world.run(world.ask(facts))


def test_a_script_runs_as_a_unit_and_is_forgotten_at_a_reboot(world: World) -> None:
    world.machine.scripts = lambda content: ScriptPlay(10, 3, ("one", "two"))

    async def story() -> list[Any]:
        found = [await world.ask(lambda host: host.start_script("x", SCRIPT, UNIT))]
        await asyncio.sleep(5)
        found.append(await world.ask(lambda host: host.script_state(UNIT)))
        await asyncio.sleep(10)
        found.append(await world.ask(lambda host: host.start_script("x", SCRIPT, UNIT)))
        found.append(await world.ask(lambda host: host.start_script("x", SCRIPT, UNIT, True)))
        boot = world.machine.state.boot_id
        await world.ask(lambda host: host.reboot(boot))
        await until_rebooted(world, boot)
        return [*found, await world.ask(lambda host: host.script_state(UNIT))]

    found = world.run(story())
    assert [each.status for each in found] == ["running", "running", "failed", "running", "absent"]
    assert [each.output for each in found[:3]] == [(), ("one",), ("one", "two")]
    assert found[2].exit_code == 3


def test_a_full_disk_takes_no_script(world: World) -> None:
    world.machine.state.disk_is_full = True
    with pytest.raises(HostError, match=r"cannot be stored .*No space left on device"):
        world.run(world.ask(lambda host: host.start_script("x", SCRIPT, UNIT)))


def test_maintenance_shell_refuses_another_release(world: World) -> None:
    digests = {(hashlib.sha256(t.encode()).hexdigest(), n) for n, t in script_texts().items()}
    world.machine.state.forced = ForcedCommand(digests)
    assert world.run(world.ask(lambda host: host.read_facts(UNIT, SCRIPT))).script_refused
    with pytest.raises(HostError, match="maintenance-shell refused 'script_start'"):
        world.run(world.ask(lambda host: host.start_script("x", SCRIPT, UNIT)))
    world.machine.state.forced = ForcedCommand(set())
    with pytest.raises(HostError, match="maintenance-shell refused 'facts'"):
        world.run(world.ask(facts))


def test_the_words_of_maintenance_shell_are_its_own() -> None:
    source = (Path(__file__).parents[2] / "include/rights/maintenance-shell").read_text()
    ours = (Path(__file__).parents[2] / "include/simulator/simulator/hosts/ssh.py").read_text()
    for said in (
        "rights with include/rights/host-rights and install them with install-host-rights again.",
        "is not one of those that are allowed",
        "the maintenance script is not one of include/scripts as they were installed",
    ):
        assert said in source
        assert said in ours


RELEASES: list[tuple[Release, bool, bool]] = [
    ("liberty", False, True),
    ("mitaka", False, False),
    ("mitaka", True, True),
    ("newton", True, True),
    ("now", True, True),
    ("now", False, False),
]


@pytest.mark.parametrize(("release", "logs_connections", "is_proof"), RELEASES)
def test_the_log_proves_the_connection_where_the_release_writes_it(
    tmp_path: Path, release: Release, logs_connections: bool, is_proof: bool
) -> None:
    habits = NovaComputeHabits(release=release, logs_connections=logs_connections)
    clock = HostClock("Europe/Zurich", ahead=-30)
    world = World(tmp_path, habits=habits, host_clock=clock)
    before = world.machine.state.boot_id

    async def story() -> Any:
        since = (await world.ask(facts)).clock
        await world.ask(lambda host: host.reboot(before))
        await until_rebooted(world, before)
        await asyncio.sleep(20)
        return since, await world.ask(lambda host: host.amqp_evidence())

    since, evidence = world.run(story())
    zone = local_zone(evidence.zone_name, evidence.clock)
    verdict = judge_amqp(evidence.log, since, evidence.clock, zone)
    assert verdict.connected == is_proof, verdict.reason
    assert len(evidence.sockets) == 4


def test_a_broker_that_restarts_is_seen_in_the_log_and_the_sockets(world: World) -> None:
    service = world.controller.service("rabbitmq-server.service")
    assert service is not None

    async def story() -> Any:
        service.restart()
        await asyncio.sleep(3)
        during = await world.ask(lambda host: host.amqp_evidence())
        await asyncio.sleep(30)
        return during, await world.ask(lambda host: host.amqp_evidence())

    during, later = world.run(story())
    assert during.sockets == ()
    assert "is unreachable" in during.log.lines[-1]
    assert len(later.sockets) == 4
    assert "Reconnected" in later.log.lines[-1]
    assert [what for _, what in world.cloud.told] == ["is lost", "is heard"]


def test_a_nova_compute_that_starts_without_a_broker_starts_when_it_is_back(world: World) -> None:
    before = world.machine.state.boot_id

    async def story() -> None:
        await world.ask(lambda host: host.stop_nova_compute())
        await until_gone(world)
        world.broker.goes_down()
        await world.ask(lambda host: host.start_nova_compute())
        await asyncio.sleep(60)
        assert (await world.ask(state)).is_active
        assert [what for _, what in world.cloud.told] == ["stops"]
        world.broker.comes_back()
        await asyncio.sleep(10)

    world.run(story())
    assert [what for _, what in world.cloud.told] == ["stops", "starts"]
    assert world.machine.state.boot_id == before


def test_a_crash_of_nova_compute_is_started_again_until_systemd_gives_up(world: World) -> None:
    service = world.machine.services[0]
    service.habits.restart_after, service.habits.start_limit = 5.0, 3
    service.habits.failing_starts = 9
    service.die(137)

    async def story() -> tuple[UnitState, UnitState, tuple[str, ...]]:
        first = await world.ask(state)
        await asyncio.sleep(60)
        return first, await world.ask(state), await world.ask(lambda host: host.journal_tail())

    first, last, lines = world.run(story())
    assert (first.active_state, first.sub_state) == ("activating", "auto-restart")
    assert (last.active_state, last.n_restarts, last.is_gone) == ("failed", 3, True)
    assert "Failed with result 'exit-code'" in lines[-1]


def test_a_frozen_host_answers_nothing_until_it_is_reset(world: World) -> None:
    before = world.machine.state.boot_id
    world.machine.freeze()

    async def story() -> str:
        with pytest.raises(HostUnreachable, match="nobody answers in time"):
            await world.ask(facts)
        world.machine.power_cycle()
        return await until_rebooted(world, before)

    assert world.run(story()) != before
    told = [what for _, what in world.cloud.told]
    assert told == ["is lost", "stops", "fails", "has booted"]


def test_a_nova_compute_that_is_disabled_is_not_started_at_boot(world: World) -> None:
    unit = world.machine.services[0].unit
    assert unit is not None
    unit.file_state = "disabled"
    before = world.machine.state.boot_id

    async def story() -> UnitState:
        await world.ask(lambda host: host.reboot(before))
        await until_rebooted(world, before)
        await asyncio.sleep(60)
        found = await world.ask(state)
        assert isinstance(found, UnitState)
        return found

    found = world.run(story())
    assert (found.is_gone, found.is_back_after_boot) == (True, False)


def test_a_container_comes_back_after_a_reboot_unless_it_was_stopped_by_hand(
    tmp_path: Path,
) -> None:
    world = World(tmp_path, KOLLA, has_unit=False)

    async def story() -> bool:
        before = world.machine.state.boot_id
        await world.ask(lambda host: host.reboot(before))
        await until_rebooted(world, before)
        await asyncio.sleep(10)
        return bool((await world.ask(state)).is_active)

    assert world.run(story())
    world.run(world.ask(lambda host: host.stop_nova_compute()))
    assert not world.run(story())


def test_a_clock_that_a_boot_set_back_is_shown(world: World) -> None:
    world.machine.habits.clock_at_boot = -3600.0
    world.machine.habits.clock_is_right_after = 120.0
    before = world.machine.state.boot_id

    async def story() -> tuple[datetime, datetime, datetime]:
        first = (await world.ask(facts)).clock
        await world.ask(lambda host: host.reboot(before))
        await until_rebooted(world, before)
        second = (await world.ask(facts)).clock
        await asyncio.sleep(200)
        return first, second, (await world.ask(facts)).clock

    first, second, third = world.run(story())
    assert second < first < third
    assert abs(third - world.clock.now()) < timedelta(seconds=1)


def test_a_newer_kernel_wants_a_reboot_and_runs_after_it(world: World) -> None:
    packages = world.machine.state.packages
    packages.kernels = {"6.1.0-40-amd64": datetime.fromtimestamp(START.timestamp(), UTC)}
    packages.required_since = START
    before = world.machine.state.boot_id

    async def story() -> Any:
        first = await world.ask(facts)
        await world.ask(lambda host: host.reboot(before))
        await until_rebooted(world, before)
        return first, await world.ask(facts)

    first, second = world.run(story())
    assert len(first.reboot_reasons) == 2
    assert second.reboot_reasons == ()


@pytest.mark.parametrize("deployment", [DEBIAN, KOLLA], ids=["debian", "kolla"])
def test_a_controller_is_read_and_its_services_restart(tmp_path: Path, deployment: Any) -> None:
    world = World(tmp_path, deployment)
    seen = world.run(world.read_controller())
    required = {each.name for each in deployment if each.required}
    active = {each.name for each in seen.services if each.state.active_state == "active"}
    assert required <= active
    assert seen.broker.running == ("rabbit@ctl01",)
    assert seen.database.galera["wsrep_cluster_size"] == "1"
    assert seen.cache.version
    assert (seen.clock.service, seen.clock.synchronised) == ("chrony.service", True)
    assert seen.clock.ahead_at_least <= 0 <= seen.clock.ahead_at_most
    service = deployment.find_service("nova-api")

    async def story() -> Any:
        async with connect_shell(world.options(world.controller), "ctl01") as shell:
            await restart_service(shell, deployment, service)
        await asyncio.sleep(5)
        return await world.read_controller()

    again = world.run(story())
    before, after = (next(e for e in s.services if e.name == "nova-api") for s in (seen, again))
    assert after.state.active_enter > before.state.active_enter


def test_what_no_host_can_play_ends_the_world(world: World) -> None:
    async def story() -> None:
        async with connect_shell(world.options(world.machine), "c01") as shell:
            await shell.run("rm -rf /", wait=timedelta(seconds=5))

    with pytest.raises(UnknownCommand):
        world.run(story())


def test_several_services_of_one_unit_are_one_service(tmp_path: Path) -> None:
    """On RDO one httpd is Keystone and Placement: its restart is one of both."""
    world = World(tmp_path, load_deployment("rdo", DEPLOYMENTS))
    units = [each.unit.name for each in world.controller.services if each.unit]
    assert "httpd.service" in units
    assert len(units) == len(set(units))
