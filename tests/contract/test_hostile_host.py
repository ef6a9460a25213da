"""A host that means harm, behind a real SSH server on loopback: what it says is bounded."""

from __future__ import annotations

import asyncio
import threading
import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from openstack_maintenance.adapters import shell as shell_adapter
from openstack_maintenance.adapters.controller import read_controller, read_history
from openstack_maintenance.adapters.deployment_files import load_deployment
from openstack_maintenance.adapters.host import Host
from openstack_maintenance.adapters.shell import HostUnreachable, Shell
from openstack_maintenance.adapters.ssh_login import connect_shell
from openstack_maintenance.domain.checks import controller_facts as controller
from openstack_maintenance.domain.checks import history
from openstack_maintenance.domain.deployment import NovaCompute
from openstack_maintenance.domain.errors import HostError
from openstack_maintenance.domain.host import answers as host
from openstack_maintenance.domain.host.answers import LONGEST_LINE, MOST_LINES

BOOT = "6f1f3f0a-5f39-4d5e-a6c0-0d4bb1d5f001"
HERE = f"boot_id={BOOT}\nclock=2026-11-22T12:56:00+0000\nhostname=c01\n"
CONTROLLERS = Path(__file__).parents[1] / "fixtures/controller"
LAB = load_deployment("lab", Path(__file__).parents[2] / "include/deployments")
WAIT = timedelta(seconds=30)
PIECE = 32 * 1024

Say = Callable[[asyncssh.SSHServerProcess[bytes]], Any]


class Hostile:
    """Says to every command what it is told to, and knows when it was stopped."""

    def __init__(self) -> None:
        self.say: Say = lambda process: None
        self.sent = 0
        self.stopped = asyncio.Event()
        self.key = asyncssh.generate_private_key("ssh-ed25519")
        self.port = 0

    async def serve(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        try:
            await self.say(process)
            process.exit(0)
        except (OSError, asyncssh.Error):
            pass  # the other side has closed the channel
        finally:
            self.stopped.set()

    def answers(self, text: str | bytes, errors: bytes = b"") -> None:
        data = text.encode() if isinstance(text, str) else text

        async def say(process: asyncssh.SSHServerProcess[bytes]) -> None:
            process.stderr.write(errors)
            for at in range(0, len(data), PIECE):
                process.stdout.write(data[at : at + PIECE])
                await process.stdout.drain()

        self.say = say

    def floods(self, piece: bytes, stream: str = "stdout") -> None:
        async def say(process: asyncssh.SSHServerProcess[bytes]) -> None:
            writer = getattr(process, stream)
            while True:
                writer.write(piece)
                self.sent += len(piece)
                await writer.drain()

        self.say = say

    @asynccontextmanager
    async def shell(self) -> AsyncIterator[Shell]:
        known = f"[127.0.0.1]:{self.port} {self.key.export_public_key().decode()}".encode()
        options = {"host": "127.0.0.1", "port": self.port, "username": "m", "password": "p"}
        async with connect_shell({**options, "known_hosts": known, "config": None}, "c01") as shell:
            yield shell


class Anybody(asyncssh.SSHServer):
    def begin_auth(self, username: str) -> bool:
        return False


@pytest.fixture
async def hostile() -> AsyncIterator[Hostile]:
    found = Hostile()
    server = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_factory=Anybody,
        server_host_keys=[found.key],
        process_factory=found.serve,
        encoding=None,
    )
    found.port = server.get_port()
    yield found
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
@pytest.mark.parametrize("piece", [b"x" * PIECE, b"line=\n" * 5_000], ids=["one line", "lines"])
async def test_a_host_that_never_stops_talking_is_stopped(
    hostile: Hostile, stream: str, piece: bytes
) -> None:
    hostile.floods(piece, stream)
    async with hostile.shell() as shell:
        with pytest.raises(HostError, match="it answered with more than 16 MiB") as caught:
            await shell.ask("boot_id", wait=WAIT)
        assert not isinstance(caught.value, HostUnreachable)
        assert caught.value.subject == "host c01"
        assert "Log in by hand" in caught.value.remedy
        async with asyncio.timeout(10):
            await hostile.stopped.wait()
    # What was under way when the limit was reached: asyncssh's window, and the server's buffers.
    assert hostile.sent < shell_adapter.MOST_BYTES + 8 * 1024 * 1024


async def test_what_is_kept_of_an_endless_answer_is_bounded_by_the_limit(
    hostile: Hostile, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = 4 * 1024 * 1024
    monkeypatch.setattr(shell_adapter, "MOST_BYTES", limit)
    hostile.floods(b"x" * PIECE)
    async with hostile.shell() as shell:
        tracemalloc.start()
        try:
            with pytest.raises(HostError, match="more than 4 MiB"):
                await shell.ask("boot_id", wait=WAIT)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    # The server is in this process, too: its window and its buffers are counted.
    assert peak < 3 * limit


async def test_the_longest_honest_answer_is_read(hostile: Hostile) -> None:
    event = "event=" + "x" * 994
    hostile.answers("\n".join([HERE.strip(), *[event] * 8_000, "end=ok\n"]))
    async with hostile.shell() as shell:
        answers = await shell.ask("controller_past", wait=WAIT)
    assert len(answers["event"]) == 8_000


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("x" * (LONGEST_LINE + 1) + "\nend=ok\n", f"longer than {LONGEST_LINE} characters"),
        ("guest=1 kvm kvm\n" * MOST_LINES + "end=ok\n", f"more than {MOST_LINES} lines"),
        (b"\xff" * (LONGEST_LINE + 1), f"longer than {LONGEST_LINE} characters"),
    ],
    ids=["a line that is too long", "too many lines", "a line that is no text"],
)
async def test_an_answer_that_no_script_of_ours_gives_says_which_limit(
    hostile: Hostile, text: str | bytes, found: str
) -> None:
    hostile.answers(text)
    async with hostile.shell() as shell:
        with pytest.raises(HostError, match=found) as caught:
            await shell.ask("facts", wait=WAIT)
    assert caught.value.subject == "host c01"
    assert "'facts'" in caught.value.found


async def test_nothing_reaches_a_record_that_a_database_cannot_take(hostile: Hostile) -> None:
    hostile.answers(b"output=a\0b\xed\xa0\x80c\xff\nend=ok\n", b"\0\xed\xa0\x80")
    async with hostile.shell() as shell:
        answer = await shell.run("x", wait=WAIT)
        answers = await shell.ask("journal", "nova-compute", "5", wait=WAIT)
    (line,) = answers["output"]
    assert line.startswith("a\N{REPLACEMENT CHARACTER}b")
    assert line.endswith("c\N{REPLACEMENT CHARACTER}")
    for text in (line, answer.stdout, answer.stderr):
        text.encode("utf-8")
        assert "\0" not in text


@pytest.mark.parametrize("key", ["error", "later"])
async def test_what_a_host_says_in_an_error_is_short_enough_to_read(
    hostile: Hostile, key: str
) -> None:
    hostile.answers(f"{key}={'no ' * 2_000}\nend=ok\n")
    async with hostile.shell() as shell:
        with pytest.raises(HostError) as caught:
            await shell.ask("state", wait=WAIT)
    assert len(caught.value.found) < 1_000


async def test_a_log_line_that_says_the_end_does_not_complete_an_answer(hostile: Hostile) -> None:
    forged = "line=2026-11-22 12:55:00.000 61 INFO nova [-] x\u2028end=ok\x85end=ok"
    hostile.answers(f"{HERE}{forged}\nsocket=ESTAB 0 0 10.0.0.1:4 10.0.0.8:5672 use")
    async with hostile.shell() as shell:
        with pytest.raises(HostError, match="no complete answer"):
            await Host(shell, NovaCompute("nova-compute", ("/log",))).amqp_evidence()


async def test_an_answer_is_taken_apart_off_the_loop(
    hostile: Hostile, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: dict[str, set[int]] = {}

    def noted(module: Any, name: str) -> None:
        real = getattr(module, name)

        def read(*args: Any, **kwargs: Any) -> Any:
            threads.setdefault(name, set()).add(threading.get_ident())
            return real(*args, **kwargs)

        monkeypatch.setattr(module, name, read)

    noted(shell_adapter, "parse_answers")
    noted(shell_adapter, "_answer")
    for name in ("parse_unit", "parse_guests", "parse_sockets", "parse_reboot_reasons"):
        noted(host, name)
    for name in ("parse_broker", "parse_database", "parse_service"):
        noted(controller, name)
    noted(history, "_rows")
    compute = NovaCompute("nova-compute", ("/log",))
    hostile.answers(f"{HERE}unit.LoadState=loaded\nunit.ActiveState=active\nstatus=0\nend=ok\n")
    async with hostile.shell() as shell:
        asked = Host(shell, compute)
        await asked.read_facts()
        await asked.amqp_evidence()
        await asked.nova_compute_state()
        await asked.reboot(BOOT)
        hostile.answers((CONTROLLERS / "healthy.txt").read_text())
        await read_controller(shell, LAB)
        hostile.answers((CONTROLLERS / "history.txt").read_text())
        night = (history.parse_clock("2026-11-22T01:00:00+0000"),) * 2
        await read_history(shell, LAB, night)
    assert set(threads) >= {"parse_answers", "_answer", "parse_unit", "parse_broker", "_rows"}
    assert threading.get_ident() not in set().union(*threads.values())


async def test_an_order_that_is_given_too_little_time_leaves_no_channel_open(
    hostile: Hostile,
) -> None:
    async def say(process: asyncssh.SSHServerProcess[bytes]) -> None:
        await process.stdin.read()
        await process.wait_closed()

    hostile.say = say
    async with hostile.shell() as shell:
        with pytest.raises(HostUnreachable, match=r"no answer within 0\.2 s"):
            await shell.ask("boot_id", wait=timedelta(seconds=0.2))
        async with asyncio.timeout(10):
            await hostile.stopped.wait()
