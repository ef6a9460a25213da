"""A shell on a host over SSH: one script, one answer, and clear words when there is none.

What a host says is a stranger's text: it is read up to a limit, and taken apart in a thread, so
that no host's answer keeps the triggerer's loop from the others. From here on it holds nothing
that UTF-8 or PostgreSQL cannot take.
"""

from __future__ import annotations

import asyncio
import getpass
import logging
import os
import shlex
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import asyncssh

from openstack_maintenance.domain.errors import HostError
from openstack_maintenance.domain.foreign_text import brief, storable_text
from openstack_maintenance.domain.host.answers import parse_answers, words

# It tells each step of each connection at INFO, commands in full: nothing for a task's log.
logging.getLogger("asyncssh").setLevel(logging.WARNING)

_SCRIPTS = {path.stem: path.read_text() for path in Path(__file__).parent.glob("remote/*.sh")}
_DEFAULTS: dict[str, Any] = {
    "connect_timeout": 15,
    "login_timeout": 20,
    "keepalive_interval": 5,
    "keepalive_count_max": 4,
}
# Output and errors together. The longest honest answer: 8,000 journal entries of 1,000 bytes.
MOST_BYTES = 16 * 1024 * 1024
SOURCE = "the SSH connection"
_LONGEST_NAME = 200  # of a file, in a message: what is longer may be a key
# How maintenance-shell, a forced command on the host, begins what it says when it refuses.
_FORCED_COMMAND = "maintenance-shell: "
_REACH = "Check the host and the network; a host that is rebooting comes back by itself."


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
                f"host {self.name}", f"the connection broke during {script!r}", _REACH
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
            raise HostUnreachable(f"host {self.name}", later, _REACH)
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
                f"host {self.name}", f"no answer within {wait.total_seconds():g} s", _REACH
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


@asynccontextmanager
async def connect_shell(
    options: Mapping[str, Any], name: str, source: str = SOURCE
) -> AsyncIterator[Shell]:
    """Log in with ``asyncssh.connect`` options; the host's key is always verified.

    ``source``: where the options come from, for messages.

    Raises:
        HostUnreachable: nobody answers at the address now; try again later.
        HostError: the login cannot work as it is configured; a person must fix it.
    """
    _require_known_hosts(options, name, source)
    connection = await _connect({**_DEFAULTS, **options}, name, source)
    try:
        yield Shell(connection, name)
    finally:
        # A host that went down does not say goodbye: drop the connection rather than wait for it.
        connection.abort()


async def _connect(options: dict[str, Any], name: str, source: str) -> asyncssh.SSHClientConnection:
    limit = float(options["connect_timeout"]) + float(options["login_timeout"])
    try:
        async with asyncio.timeout(limit):
            return await asyncssh.connect(**options)
    except (TimeoutError, asyncssh.Error, OSError, ValueError, OverflowError) as error:
        raise _in_words(error, options, name, source) from error


def _require_known_hosts(options: Mapping[str, Any], name: str, source: str) -> None:
    known = options.get("known_hosts")
    if not known:
        found = "no known_hosts file is named, so the host's key cannot be verified"
    elif isinstance(known, str) and not _is_file(known):
        file = brief(known, _LONGEST_NAME)
        found = f"the known_hosts file {file} does not exist, or its folder cannot be read"
    elif not isinstance(known, str | bytes):
        found = f"known_hosts must be a file name, but is of type {type(known).__name__}"
    else:
        return
    raise HostError(
        f"host {name}",
        found,
        "Collect the hosts' keys in a file (`ssh-keyscan HOST`, compared with the console). Name "
        f"that file in the extra `known_hosts` of {source}.",
    )


def _is_file(path: str) -> bool:
    try:
        return Path(os.path.expanduser(path)).is_file()  # noqa: PTH111  Path's raises for ~nobody
    except OSError:
        return False


def _in_words(error: Exception, options: Mapping[str, Any], name: str, source: str) -> HostError:
    where = f"{options.get('host')}:{options.get('port') or 22}"
    subject = f"host {name} at {where}"
    user = brief(options.get("username") or f"{getpass.getuser()} (no login is given)", 100)
    told = brief(error)
    match error:
        case asyncssh.HostKeyNotVerifiable():
            return _host_key_error(options, subject, told, source)
        case asyncssh.PermissionDenied() if not {"client_keys", "password"} & options.keys():
            return HostError(
                subject,
                f"login as {user} is refused: neither key_file, private_key nor password is given",
                f"Give one of them in the extra of {source}.",
            )
        case asyncssh.PermissionDenied():
            return HostError(
                subject,
                f"login as {user} is refused",
                f"Put the public key of {source} (its key_file) into the user's authorized_keys on "
                "the host, or fix login and key in the connection.",
            )
        case asyncssh.KeyExchangeFailed():
            return HostError(
                subject,
                f"SSH key exchange failed, no algorithm in common: {told}",
                "The host may offer a host key of another type than known_hosts holds. Compare "
                "the keys at the console, then fix known_hosts.",
            )
        case asyncssh.KeyImportError() | asyncssh.KeyEncryptionError() | FileNotFoundError():
            return HostError(
                subject,
                f"the SSH key or known_hosts cannot be read: {told}",
                f"Fix key_file, private_key, passphrase or known_hosts in {source}.",
            )
        # Of a file; a network's error has no name of a file.
        case OSError(filename=str(file)):
            return HostError(
                subject,
                f"{brief(file, _LONGEST_NAME)} cannot be read by {getpass.getuser()}, "
                f"the user that Airflow runs as: {error.strerror}",
                "Give the file to that user (mode 600), or fix key_file or known_hosts in "
                f"{source}.",
            )
        case socket.gaierror():
            return HostError(
                subject,
                "the name cannot be resolved",
                "Set `addresses:` in the policy for this host, or fix DNS.",
            )
        case ConnectionRefusedError():
            return HostUnreachable(
                subject, "the connection is refused (no sshd is listening)", _REACH
            )
        case TimeoutError():
            return HostUnreachable(subject, "nobody answers in time", _REACH)
        case asyncssh.DisconnectError() | ConnectionError():
            return HostUnreachable(subject, f"the connection broke at login: {told}", _REACH)
        case OSError():
            return HostUnreachable(subject, f"it cannot be reached: {told}", _REACH)
    return HostError(subject, f"SSH failed: {told}", f"Fix the settings of {source}.")


def _host_key_error(options: Mapping[str, Any], subject: str, text: str, source: str) -> HostError:
    known = options["known_hosts"]
    trusted = f"the host_key of {source}"
    if isinstance(known, str):
        trusted = brief(known, _LONGEST_NAME)
    host, port = str(options.get("host")), options.get("port") or 22
    if _has_entry(known, host, port):
        return HostError(
            subject,
            f"the host key has changed: it is not the one in {trusted} ({text})",
            "If the host was reinstalled, compare the new key at its console and replace the "
            "entry. If it was not, somebody may be intercepting the connection: do not go on.",
        )
    return HostError(
        subject,
        f"the host key is not trusted: {trusted} has no entry for this address ({text})",
        f"Compare the key at the console and add it: ssh-keyscan -p {port} {host} >> known_hosts.",
    )


def _has_entry(known: Any, host: str, port: int) -> bool:
    try:
        return any(asyncssh.match_known_hosts(known, host, "", port)[:2])
    except (ValueError, OSError):
        return False  # the file has changed since the login
