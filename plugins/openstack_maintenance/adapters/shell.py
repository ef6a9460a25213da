"""A shell on a host over SSH: one script, one answer, and clear words when there is none.

What a host says is a stranger's text: it is read up to a limit, and taken apart in a thread, so
that no host's answer keeps the triggerer's loop from the others. From here on it holds nothing
that UTF-8 or PostgreSQL cannot take.
"""

from __future__ import annotations

import asyncio
import logging
import shlex
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path

import asyncssh

from openstack_maintenance.domain.errors import HostError
from openstack_maintenance.domain.foreign_text import storable_text
from openstack_maintenance.domain.host.answers import parse_answers, words

# It tells each step of each connection at INFO, commands in full: nothing for a task's log.
logging.getLogger("asyncssh").setLevel(logging.WARNING)

_SCRIPTS = {path.stem: path.read_text() for path in Path(__file__).parent.glob("remote/*.sh")}
# Output and errors together. The longest honest answer: 8,000 journal entries of 1,000 bytes.
MOST_BYTES = 16 * 1024 * 1024
# How maintenance-shell, a forced command on the host, begins what it says when it refuses.
_FORCED_COMMAND = "maintenance-shell: "
REACH = "Check the host and the network; a host that is rebooting comes back by itself."


class HostUnreachable(HostError):
    """Nobody answers now (refused, silent, dropped): a later attempt may succeed."""


@dataclass(frozen=True)
class Answer:
    """What a command left: ``status`` is None where the connection broke before it ended."""

    status: int | None
    stdout: str
    stderr: str


class _Listener(asyncssh.SSHClientSession[bytes]):
    """Keeps what a command says until it ends, or has said more than is listened to.

    ``ended``: True once it ended, False once it said too much.
    """

    def __init__(self) -> None:
        self.out, self.err = bytearray(), bytearray()
        self.ended: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes, datatype: int | None) -> None:
        if self.ended.done():
            return
        if len(self.out) + len(self.err) + len(data) > MOST_BYTES:
            self.ended.set_result(False)
            return
        (self.err if datatype == asyncssh.EXTENDED_DATA_STDERR else self.out).extend(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(True)


class Shell:
    """An open SSH connection; ``name`` is the Nova host or controller, for messages."""

    def __init__(self, connection: asyncssh.SSHClientConnection, name: str) -> None:
        self._connection = connection
        self.name = name

    async def ask(
        self, script: str, *args: str, wait: timedelta, stdin: bytes = b""
    ) -> dict[str, tuple[str, ...]]:
        """Run one of adapters/remote and give its values by key, in one round trip.

        Raises:
            HostUnreachable: the connection broke, or ``wait`` passed; what the script did is
                unknown, so read the host again before going on.
            HostError: the script said what hinders it.
        """
        answer = await self.run(script_command(script, *args), wait=wait, stdin=stdin)
        if answer.status is None:
            raise HostUnreachable(
                f"host {self.name}", f"the connection broke during {script!r}", REACH
            )
        try:
            values = await asyncio.to_thread(parse_answers, answer.stdout)
        except ValueError as error:
            raise self._excess(
                f"its answer to {script!r} is not in the expected form: {error}"
            ) from error
        if values is None:
            raise self._no_answer(script, answer)
        if later := words(values, "later"):
            raise HostUnreachable(f"host {self.name}", later, REACH)
        if error_told := words(values, "error"):
            raise HostError(
                f"host {self.name}", error_told, "Fix this on the host, then clear the task."
            )
        return values

    def _no_answer(self, script: str, answer: Answer) -> HostError:
        said = (answer.stderr or answer.stdout).strip()[-500:] or "nothing"
        if answer.status == 126 and said.startswith(_FORCED_COMMAND):
            reason = said.removeprefix(_FORCED_COMMAND).partition(". ")[0]
            return HostError(
                f"host {self.name}",
                f"its maintenance-shell refused {script!r}: {reason}",
                "Install the rights on it again: "
                "run include/rights/host-rights, then install-host-rights on the host.",
            )
        return HostError(
            f"host {self.name}",
            f"{script!r} ended with status {answer.status} and no complete answer: {said}",
            "Log in by hand and check that /bin/sh and the usual tools work.",
        )

    def _excess(self, found: str) -> HostError:
        return HostError(
            f"host {self.name}",
            found,
            "Log in by hand and see what the host prints. Usual causes: a shell profile that "
            "prints text, or a replaced system command.",
        )

    async def run(self, command: str, *, wait: timedelta, stdin: bytes = b"") -> Answer:
        """Run a command line; a lost connection gives ``status`` None and what came before it.

        Raises:
            HostUnreachable: ``wait`` passed; the command may still be running.
            HostError: it said more than ``MOST_BYTES``, and is ended.
        """
        heard = _Listener()
        status: int | None = None
        try:
            async with asyncio.timeout(wait.total_seconds()):
                status = await self._listen(command, stdin, heard)
        except TimeoutError as error:
            raise HostUnreachable(
                f"host {self.name}", f"no answer within {wait.total_seconds():g} s", REACH
            ) from error
        except (asyncssh.Error, OSError) as error:
            heard.err.extend(storable_text(str(error)).encode())
        return await asyncio.to_thread(_answer, status, heard)

    async def _listen(self, command: str, stdin: bytes, heard: _Listener) -> int | None:
        """Run the command up to its end; give its status, None where the connection broke."""
        channel, _ = await self._connection.create_session(lambda: heard, command, encoding=None)
        try:
            if stdin:
                channel.write(stdin)
            channel.write_eof()
            if not await heard.ended:
                channel.kill()
                raise self._excess(f"it answered with more than {MOST_BYTES // 1024**2} MiB")
        finally:
            channel.abort()
        return channel.get_exit_status() if channel.get_exit_signal() is None else None


def _answer(status: int | None, heard: _Listener) -> Answer:
    return Answer(status, _text(heard.out), _text(heard.err))


def _text(said: bytearray) -> str:
    """What was said, fit to be stored: what is no UTF-8, lone surrogates too, is replaced."""
    return storable_text(said.decode(errors="replace"))


def script_command(script: str, *args: str) -> str:
    """The command line for one of adapters/remote; every value is quoted."""
    return shlex.join(["/bin/sh", "-c", script_texts()[script], script, *args])


@cache
def script_texts() -> dict[str, str]:
    """The whole text of each script as a host gets it, by the script's name."""
    common = _SCRIPTS["common"]
    return {name: f"{common}\n{text}" for name, text in _SCRIPTS.items() if name != "common"}
