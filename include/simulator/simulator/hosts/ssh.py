"""SSH to simulated hosts: what asyncssh gives the plugin, in the world's time, and how it fails.

`SimulatedNetwork.installed` replaces ``asyncssh.connect``; the plugin's own Shell, adapters, hooks
and parsers run as they are.
"""

from __future__ import annotations

import asyncio
import base64
import contextvars
import errno
import hashlib
import os
import shlex
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, Literal
from unittest import mock

import asyncssh

from openstack_maintenance.adapters.shell import script_texts
from simulator.clock import VirtualTime
from simulator.hosts import controller_scripts  # noqa: F401  it adds its scripts to the others
from simulator.hosts import scripts as played
from simulator.hosts.machine import Machine

_REMEDY = (
    "Only the scripts of the release that was installed here are run: after an upgrade write the "
    "rights with include/rights/host-rights and install them with install-host-rights again."
)


class UnknownCommand(Exception):
    """The plugin sent what no simulated host can play."""


@dataclass
class Sshd:
    """How a machine's sshd treats who comes. ``key``: the host's, as known_hosts has it."""

    key: str
    takes: float = 0.05  # from the connection to the login
    refuses_login: bool = False
    drops_at_login: bool = False  # as pam_nologin does while a host boots


@dataclass(frozen=True)
class Question:
    """A script on its way to a host. ``at``: when it was sent, seconds since 1970."""

    host: str
    script: str
    args: tuple[str, ...]
    stdin: bytes
    at: float


@dataclass(frozen=True)
class Spoken:
    """What a command left on the host's side."""

    status: int = 0
    out: bytes = b""
    err: bytes = b""


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one question. ``lost``: the connection breaks before the host has the
    question, in the middle of its answer, or when all is done and nothing was said.
    """

    delay: float = 0.0  # before the host does anything
    answer_delay: float = 0.0  # after it has done everything
    lost: Literal["", "before", "middle", "after"] = ""
    instead: Spoken | None = None  # it says this, and does nothing
    out_before: bytes = b""  # a shell profile prints text
    err: bytes = b""


_NO_FAULT = Fault()
Judge = Callable[[Question], Fault | None]


class SimulatedNetwork:
    """All machines by their SSH address, and what happens on the way to them.

    ``before`` is asked about every question; the first `Fault` that one of it gives happens.
    ``after`` is told every answer. ``questions`` holds all that reached a host, in order.
    """

    def __init__(self, clock: VirtualTime, random: Random, latency: float = 0.005) -> None:
        self.clock, self.latency = clock, latency
        self.machines: dict[str, Machine] = {}
        self.sshds: dict[str, Sshd] = {}
        self.before: list[Judge] = []
        self.after: list[Callable[[Question, Spoken], None]] = []
        self.on_asked: list[Callable[[Question], None]] = []  # called by who asks
        self.questions: list[Question] = []
        self._random = random
        self._known: dict[tuple[Any, ...], list[str]] = {}
        self._files: dict[tuple[str, int], Any] = {}

    def add(self, machine: Machine) -> Sshd:
        """Put a machine into the network, under its address."""
        self.machines[machine.address] = machine
        self.sshds[machine.address] = sshd = Sshd(host_key(self._random))
        return sshd

    def known_hosts(self) -> str:
        """The keys that all hosts have now, as a file has them."""
        return "".join(f"{address} {sshd.key}\n" for address, sshd in self.sshds.items())

    def change_key(self, address: str) -> None:
        """The host was installed anew, or it is another."""
        self.sshds[address].key = host_key(self._random)

    @contextmanager
    def installed(self) -> Iterator[SimulatedNetwork]:
        """While this lasts, ``asyncssh.connect`` leads here."""
        with mock.patch.object(asyncssh, "connect", self.connect):
            yield self

    async def connect(self, **options: Any) -> SimulatedConnection:
        """What ``asyncssh.connect`` does. Raises: what it raises."""
        _check_key_files(options)
        address = options["host"]
        machine = self.machines.get(address)
        if machine is None:
            raise _unknown_address(address)
        await asyncio.sleep(self.latency)
        await self._arrive(machine, float(options.get("connect_timeout") or 15))
        sshd = self.sshds[address]
        if sshd.takes > float(options.get("login_timeout") or 120):
            await asyncio.sleep(float(options["login_timeout"]))
            raise asyncssh.ConnectionLost("Login timeout expired")
        life = machine.state.boot_id
        await asyncio.sleep(sshd.takes)
        if machine.reach == "silent":
            await self._arrive(machine, float(options.get("login_timeout") or 120))
        self._log_in(machine, sshd, life, options)
        return SimulatedConnection(self, machine, options)

    async def _arrive(self, machine: Machine, patience: float) -> None:
        ends = self.clock.seconds() + patience
        while machine.reach == "silent":
            if self.clock.seconds() >= ends:
                raise TimeoutError
            await asyncio.sleep(min(1.0, ends - self.clock.seconds()))
        if machine.reach == "refused":
            raise ConnectionRefusedError(errno.ECONNREFUSED, "Connect call failed")
        if machine.reach == "no route":
            await asyncio.sleep(min(3.0, patience))
            raise OSError(errno.EHOSTUNREACH, "No route to host")

    def _log_in(self, machine: Machine, sshd: Sshd, life: str, options: dict[str, Any]) -> None:
        if machine.reach != "answers" or machine.state.boot_id != life or sshd.drops_at_login:
            raise asyncssh.ConnectionLost("Connection lost")
        host = options["host"]
        if sshd.key.split()[1] not in self._trusted(options["known_hosts"], host, options):
            raise asyncssh.HostKeyNotVerifiable(f"Host key is not trusted for host {host}")
        if sshd.refuses_login or options.get("username") != machine.state.login.user:
            user = options.get("username")
            raise asyncssh.PermissionDenied(f"Permission denied for user {user} on host {host}")

    def _trusted(self, known: Any, host: str, options: dict[str, Any]) -> list[str]:
        port = options.get("port") or 22
        at = Path(known).stat().st_mtime_ns if isinstance(known, str) else 0
        asked = (known, at, host, port)
        if asked not in self._known:
            keys = asyncssh.match_known_hosts(self._read(known, at), host, "", port)[0]
            self._known[asked] = [key.export_public_key().decode().split()[1] for key in keys]
        return self._known[asked]

    def _read(self, known: Any, at: int) -> Any:
        """A file of known hosts, read once: each host of a large fleet would read it whole."""
        if not isinstance(known, str):
            return known
        if (known, at) not in self._files:
            self._files = {(known, at): asyncssh.read_known_hosts(known)}
        return self._files[known, at]

    def fault(self, question: Question) -> Fault:
        """What goes wrong with a question."""
        faults = (judge(question) for judge in self.before)
        return next((fault for fault in faults if fault is not None), _NO_FAULT)


class SimulatedConnection:
    """An open connection, as far as Shell uses one."""

    def __init__(
        self, network: SimulatedNetwork, machine: Machine, options: dict[str, Any]
    ) -> None:
        self.network, self.machine = network, machine
        self.lost: Exception | None = None
        self.is_aborted = False
        self.life = machine.state.boot_id
        self.channels: list[SimulatedChannel] = []
        self._silent_since: Any = None
        self._heard = asyncio.Event()
        self._heard.set()
        interval = float(options.get("keepalive_interval") or 0)
        self._patience = interval * (int(options.get("keepalive_count_max") or 3) + 1)
        machine.connections.append(self)

    async def create_session(
        self, factory: Callable[[], Any], command: str, *, encoding: str | None = None
    ) -> tuple[SimulatedChannel, Any]:
        """A channel for one command. Raises: asyncssh.ConnectionLost."""
        await self.travel()
        await self.travel()
        if self.lost:
            raise self.lost
        session = factory()
        channel = SimulatedChannel(self, session, command)
        self.channels.append(channel)
        return channel, session

    async def travel(self) -> None:
        """The way to the host, or back: what is silent is waited for. Raises: ConnectionLost."""
        await asyncio.sleep(self.network.latency)
        await self._heard.wait()
        if self.lost:
            raise self.lost

    async def has_reached_host(self) -> bool:
        """Whether what was sent arrives: also when the plugin hangs up right after."""
        await asyncio.sleep(self.network.latency)
        await self._heard.wait()
        return self.machine.reach == "answers" and (self.lost is None or self.is_aborted)

    def abort(self) -> None:
        """The plugin drops it; what it asked for goes on."""
        self.is_aborted = True
        self.lose(asyncssh.ConnectionLost("Connection aborted"))

    # What the machine does to it.

    def closed_by_host(self) -> None:
        self.lose(asyncssh.ConnectionLost("Connection lost"))

    def gone_silent(self) -> None:
        if self._silent_since is None and self.lost is None:
            self._heard.clear()
            self._silent_since = (
                self.network.clock.after(self._patience, self._give_up) if self._patience else True
            )

    def heard_again(self) -> None:
        if self.lost is None and self.life != self.machine.state.boot_id:
            self.lose(asyncssh.ConnectionLost("Connection reset by peer"))
        if self._silent_since not in (None, True):
            self._silent_since.cancel()
        self._silent_since = None
        self._heard.set()

    def _give_up(self) -> None:
        self.lose(asyncssh.ConnectionLost("Server not responding to keepalive messages"))

    def lose(self, error: Exception) -> None:
        """It is no more; every command on it is told."""
        if self.lost is not None:
            return
        self.lost = error
        self.heard_again()
        if self in self.machine.connections:
            self.machine.connections.remove(self)
        for channel in self.channels:
            channel.end(None, error)


class SimulatedChannel:
    """One command of a connection."""

    def __init__(self, connection: SimulatedConnection, session: Any, command: str) -> None:
        self._connection, self._session, self._command = connection, session, command
        self._stdin = bytearray()
        self._status: int | None = None
        self._has_ended = False

    def write(self, data: bytes) -> None:
        self._stdin += data

    def write_eof(self) -> None:
        """All is said: the command is on its way."""
        network, host = self._connection.network, self._connection.machine.name
        script, args, text = _taken_apart(self._command)
        at = network.clock.seconds()
        question = Question(host, script, args, bytes(self._stdin), at)
        for told in network.on_asked:
            told(question)
        # A command on a host goes on, whoever asked for it dies.
        loop = asyncio.get_running_loop()
        task = contextvars.Context().run(loop.create_task, self._answer(question, text))
        # A world ends in the middle of things: that is no news.
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        running = self._connection.machine.running
        running.add(task)
        task.add_done_callback(running.discard)
        task.add_done_callback(_raised_in(network.clock))

    def kill(self) -> None:
        """Shell kills what says too much; nobody does here."""

    def abort(self) -> None:
        self.end(None, None)

    def get_exit_status(self) -> int | None:
        return self._status

    def get_exit_signal(self) -> None:
        return None

    def end(self, status: int | None, error: Exception | None) -> None:
        """The session is told, once."""
        if not self._has_ended:
            self._has_ended, self._status = True, status
            self._session.connection_lost(error)

    async def _answer(self, question: Question, text: str) -> None:
        connection, network = self._connection, self._connection.network
        fault = network.fault(question)
        if not await connection.has_reached_host():
            return
        if fault.lost == "before":
            connection.lose(asyncssh.ConnectionLost("Connection lost"))
            return
        await asyncio.sleep(fault.delay)
        network.questions.append(question)
        spoken = fault.instead or await self._spoken(question, text)
        for told in network.after:
            told(question, spoken)
        await asyncio.sleep(fault.answer_delay)
        await self._deliver(spoken, fault)

    async def _spoken(self, question: Question, text: str) -> Spoken:
        machine = self._connection.machine
        if refusal := _why_not(machine, question, text):
            told = f"maintenance-shell: {refusal}. {_REMEDY}\n"
            return Spoken(126, err=told.encode())
        said = await played.run(machine, question.script, question.args, question.stdin)
        return Spoken(0, said.encode(errors="surrogateescape"))

    async def _deliver(self, spoken: Spoken, fault: Fault) -> None:
        connection = self._connection
        out = fault.out_before + spoken.out
        err = fault.err + spoken.err
        try:
            if fault.lost != "after":
                await connection.travel()
        except asyncssh.ConnectionLost:
            return
        if fault.lost == "middle":
            out = out[: len(out) // 2]
        if fault.lost != "after" and not self._has_ended:
            if err:
                self._session.data_received(err, asyncssh.EXTENDED_DATA_STDERR)
            if out:
                self._session.data_received(out, None)
        if fault.lost:
            connection.lose(asyncssh.ConnectionLost("Connection lost"))
        else:
            self.end(spoken.status, None)


def _raised_in(clock: VirtualTime) -> Callable[[asyncio.Task[None]], None]:
    """What goes wrong in the simulation itself ends the world's run, rather than a task of it."""

    def told(task: asyncio.Task[None]) -> None:
        if task.cancelled() or (error := task.exception()) is None:
            return

        def fail() -> None:
            raise error

        clock.soon(fail)

    return told


@cache
def _beginnings() -> dict[str, tuple[str, str]]:
    """How the command of each script begins, its name, and the text that it sends."""
    return {
        shlex.join(["/bin/sh", "-c", text]) + " ": (name, text)
        for name, text in script_texts().items()
    }


def _taken_apart(command: str) -> tuple[str, tuple[str, ...], str]:
    """Script, arguments and text. Raises: UnknownCommand."""
    for beginning, (name, text) in _beginnings().items():
        if command.startswith(beginning):
            words = shlex.split(command[len(beginning) :])
            if words and words[0] == name and name in played.SCRIPTS:
                return name, tuple(words[1:]), text
    raise UnknownCommand(command[-200:])


def _why_not(machine: Machine, question: Question, text: str) -> str:
    """Why maintenance-shell does not run it, where there is one."""
    forced = machine.state.forced
    if forced is None:
        return ""
    if machine.state.login.is_root:
        return "this login is root, and a forced command cannot limit root"
    if (hashlib.sha256(text.encode()).hexdigest(), question.script) not in forced.allowed:
        return f"the script {question.script[:60]!r} is not one of those that are allowed"
    digest = hashlib.sha256(question.stdin).hexdigest()
    if question.script == "script_start" and not forced.knows(digest):
        return "the maintenance script is not one of include/scripts as they were installed"
    return ""


def host_key(random: Random) -> str:
    """A public key of a host, as known_hosts has it."""

    def part(data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + data

    blob = part(b"ssh-ed25519") + part(random.randbytes(32))
    return f"ssh-ed25519 {base64.b64encode(blob).decode()}"


def _check_key_files(options: dict[str, Any]) -> None:
    for key in options.get("client_keys") or ():
        if isinstance(key, str) and not Path(key).exists():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), key)


def _unknown_address(address: str) -> OSError:
    if address.replace(".", "").isdigit() or ":" in address:
        return OSError(errno.EHOSTUNREACH, "No route to host")
    return socket.gaierror(socket.EAI_NONAME, "Name or service not known")
