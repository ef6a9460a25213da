"""What goes wrong with SSH reads the same in the simulation as with a real server on loopback."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import asyncssh
import pytest

from openstack_maintenance.adapters.deployment_files import load_deployment
from openstack_maintenance.adapters.host import connect_host
from openstack_maintenance.domain.errors import HostError
from simulator.clock import VirtualTime
from simulator.hosts.cloud_side import EmptyCloud
from simulator.hosts.kinds import compute_host
from simulator.hosts.machine import Machine
from simulator.hosts.nova_compute import MessageBroker
from simulator.hosts.ssh import Fault, SimulatedNetwork, Spoken

COMPUTE = load_deployment("debian", Path(__file__).parents[2] / "include/deployments").nova_compute


def in_general(error: BaseException | None) -> tuple[str, str]:
    """Its kind and its words, without the numbers of one place and the errno of one system."""
    words = re.sub(r"\d+\.\d+\.\d+\.\d+(:\d+|, \d+)?", "ADDRESS", str(error))
    return type(error).__name__, re.sub(r"/\S+/", "", re.sub(r"-p \d+", "-p N", words))


async def told(options: dict[str, Any]) -> tuple[str, str]:
    try:
        async with connect_host(options, "c01", COMPUTE) as host:
            await host.read_facts()
    except HostError as error:
        return in_general(error)
    raise AssertionError("nothing went wrong")


class Real:
    """A real SSH server that does what is asked of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.host_key = asyncssh.generate_private_key("ssh-ed25519")
        self.user_key = asyncssh.generate_private_key("ssh-ed25519")
        self.serve: Callable[[Any], Any] = lambda process: process.exit(0)

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[dict[str, Any]]:
        allowed = self.folder / "authorized_keys"
        allowed.write_bytes(self.user_key.export_public_key())
        server = await asyncssh.listen(
            "127.0.0.1",
            0,
            server_host_keys=[self.host_key],
            authorized_client_keys=str(allowed),
            process_factory=self._process,
            encoding=None,
        )
        known = self.folder / "known_hosts"
        port = server.get_port()
        key = self.host_key.export_public_key().decode()
        known.write_text(f"[127.0.0.1]:{port} {key}")
        yield {
            "host": "127.0.0.1",
            "port": port,
            "username": "maintenance",
            "client_keys": [self.user_key],
            "known_hosts": str(known),
            "config": None,
        }
        server.close()
        await server.wait_closed()

    async def _process(self, process: Any) -> None:
        await process.stdin.read()
        self.serve(process)


class Simulated:
    """The same in virtual time."""

    def __init__(self, folder: Path) -> None:
        self.clock = VirtualTime()
        random = Random(1)  # noqa: S311  the same each time is what is wanted
        broker = MessageBroker(self.clock)
        deployment = load_deployment("debian", Path(__file__).parents[2] / "include/deployments")
        self.machine: Machine = compute_host(
            self.clock, "c01", EmptyCloud(), random, broker, deployment, address="10.0.0.11"
        )
        self.network = SimulatedNetwork(self.clock, random)
        self.sshd = self.network.add(self.machine)
        known = folder / "known_simulated"
        known.write_text(self.network.known_hosts())
        self.options: dict[str, Any] = {
            "host": "10.0.0.11",
            "username": "maintenance",
            "client_keys": [],
            "known_hosts": str(known),
        }

    def told(self, **changes: Any) -> tuple[str, str]:
        with self.clock.installed(), self.network.installed():
            task = self.clock.loop.create_task(told(self.options | changes))
            assert self.clock.run(task.done, at_most=1000)
        return task.result()


@pytest.fixture
def real(tmp_path: Path) -> Real:
    return Real(tmp_path)


@pytest.fixture
def simulated(tmp_path: Path) -> Simulated:
    return Simulated(tmp_path)


def of_real(real: Real, **changes: Any) -> tuple[str, str]:
    async def play() -> tuple[str, str]:
        async with real.listening() as options:
            return await told(options | changes)

    return asyncio.run(play())


def test_a_closed_port(real: Real, simulated: Simulated) -> None:
    async def closed() -> tuple[str, str]:
        async with real.listening() as options:
            pass
        return await told(options)

    simulated.machine.power = "going down"
    assert simulated.told() == asyncio.run(closed())


def test_another_host_key(real: Real, simulated: Simulated, tmp_path: Path) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()

    async def changed() -> tuple[str, str]:
        async with real.listening() as options:
            (tmp_path / "known_hosts").write_text(f"[127.0.0.1]:{options['port']} {other}")
            return await told(options)

    def plain(found: tuple[str, str]) -> tuple[str, str]:
        return found[0], found[1].replace("known_simulated", "known_hosts")

    simulated.network.change_key("10.0.0.11")
    assert plain(simulated.told()) == asyncio.run(changed())


def test_a_host_that_is_not_known(real: Real, simulated: Simulated, tmp_path: Path) -> None:
    (tmp_path / "nobody").write_text("")
    known = {"known_hosts": str(tmp_path / "nobody")}
    assert simulated.told(**known) == of_real(real, **known)


def test_a_login_that_is_refused(real: Real, simulated: Simulated) -> None:
    stranger = asyncssh.generate_private_key("ssh-ed25519")
    simulated.sshd.refuses_login = True
    assert simulated.told() == of_real(real, client_keys=[stranger])


def test_a_key_file_that_is_missing(real: Real, simulated: Simulated) -> None:
    missing = {"client_keys": ["/nonexistent/id"]}
    assert simulated.told(**missing) == of_real(real, **missing)


def test_a_name_that_does_not_resolve(real: Real, simulated: Simulated) -> None:
    name = {"host": "c01.invalid"}
    ours, theirs = simulated.told(**name), of_real(real, **name)
    assert re.sub(r":\d+", "", ours[1]) == re.sub(r":\d+", "", theirs[1])
    assert ours[0] == theirs[0]


def test_a_connection_that_breaks_before_an_answer(real: Real, simulated: Simulated) -> None:
    real.serve = lambda process: process.channel.get_connection().abort()
    simulated.network.before.append(lambda question: Fault(lost="before"))
    assert simulated.told() == of_real(real)


def test_a_connection_that_breaks_in_an_answer(real: Real, simulated: Simulated) -> None:
    def half(process: Any) -> None:
        process.stdout.write(b"boot_id=")
        process.channel.get_connection().abort()

    real.serve = half
    simulated.network.before.append(lambda question: Fault(lost="middle"))
    assert simulated.told() == of_real(real)


def test_a_shell_that_says_something_else(real: Real, simulated: Simulated) -> None:
    def say(process: Any) -> None:
        process.stdout.write(b"Welcome\n")
        process.stderr.write(b"sh: 1: Syntax error\n")
        process.exit(2)

    real.serve = say
    spoken = Spoken(2, b"Welcome\n", b"sh: 1: Syntax error\n")
    simulated.network.before.append(lambda question: Fault(instead=spoken))
    assert simulated.told() == of_real(real)
