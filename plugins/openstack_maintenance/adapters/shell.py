"""A shell on a host over SSH: one script, one answer, and clear words when there is none."""

from __future__ import annotations

import asyncio
import getpass
import logging
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
from openstack_maintenance.domain.host import one, parse_answers

# It tells each step of each connection at INFO, commands in full: nothing for a task's log.
logging.getLogger("asyncssh").setLevel(logging.WARNING)

_SCRIPTS = {path.stem: path.read_text() for path in Path(__file__).parent.glob("remote/*.sh")}
_DEFAULTS: dict[str, Any] = {
    "connect_timeout": 15,
    "login_timeout": 20,
    "keepalive_interval": 5,
    "keepalive_count_max": 4,
}
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
        values = parse_answers(answer.stdout)
        if answer.status is None:
            raise HostUnreachable(
                f"host {self.name}", f"the connection broke during {script!r}", _REACH
            )
        if values is None:
            said = (answer.stderr or answer.stdout).strip()[-500:] or "nothing"
            if answer.status == 126 and said.startswith(_FORCED_COMMAND):
                reason = said.removeprefix(_FORCED_COMMAND).partition(". ")[0]
                raise HostError(
                    f"host {self.name}",
                    f"its maintenance-shell refused {script!r}: {reason}",
                    "Install the rights anew on it: "
                    "include/rights/host-rights, then install-host-rights there.",
                )
            raise HostError(
                f"host {self.name}",
                f"{script!r} ended with status {answer.status} and no complete answer: {said}",
                "Log in by hand and see whether /bin/sh and the usual tools work.",
            )
        if later := one(values, "later"):
            raise HostUnreachable(f"host {self.name}", later, _REACH)
        if error := one(values, "error"):
            raise HostError(
                f"host {self.name}", error, "Mend this on the host, then clear the task."
            )
        return values

    async def run(self, command: str, *, wait: timedelta, stdin: bytes = b"") -> Answer:
        """Run a command line; a lost connection gives ``status`` None and what came before it.

        Raises:
            HostUnreachable: ``wait`` passed; the command may still be running.
        """
        out = err = b""
        status: int | None = None
        try:
            async with asyncio.timeout(wait.total_seconds()):
                # DEVNULL sends the end of file that asyncssh does not send for an empty input.
                given = {"input": stdin} if stdin else {"stdin": asyncssh.DEVNULL}
                done = await self._connection.run(command, encoding=None, check=False, **given)
            out, err = _bytes(done.stdout), _bytes(done.stderr)
            status = done.exit_status if done.exit_signal is None else None
        except TimeoutError as error:
            raise HostUnreachable(
                f"host {self.name}", f"no answer within {wait.total_seconds():g} s", _REACH
            ) from error
        except (asyncssh.Error, OSError) as error:
            err = str(error).encode()
        if status is not None and status < 0:
            status = None  # asyncssh's word for a signal or a lost channel
        return Answer(status, out.decode(errors="replace"), err.decode(errors="replace"))


def script_command(script: str, *args: str) -> str:
    """The command line for one of adapters/remote; every value is quoted."""
    return shlex.join(["/bin/sh", "-c", script_texts()[script], script, *args])


@cache
def script_texts() -> dict[str, str]:
    """The whole text of each script as a host gets it, by the script's name."""
    common = _SCRIPTS["common"]
    return {name: f"{common}\n{text}" for name, text in _SCRIPTS.items() if name != "common"}


@asynccontextmanager
async def connect_shell(options: Mapping[str, Any], name: str) -> AsyncIterator[Shell]:
    """Log in with ``asyncssh.connect`` options; the host's key is always verified.

    Raises:
        HostUnreachable: nobody answers at the address now; try again later.
        HostError: the login cannot work as it is configured; a person must mend it.
    """
    _require_known_hosts(options, name)
    connection = await _connect({**_DEFAULTS, **options}, name)
    try:
        yield Shell(connection, name)
    finally:
        # A host that went down does not say goodbye: drop the connection rather than wait for it.
        connection.abort()


async def _connect(options: dict[str, Any], name: str) -> asyncssh.SSHClientConnection:
    limit = float(options["connect_timeout"]) + float(options["login_timeout"])
    try:
        async with asyncio.timeout(limit):
            return await asyncssh.connect(**options)
    except (TimeoutError, asyncssh.Error, OSError, ValueError) as error:
        raise _in_words(error, options, name) from error


def _require_known_hosts(options: Mapping[str, Any], name: str) -> None:
    known = options.get("known_hosts")
    if isinstance(known, str) and not _is_file(known):
        found = f"the known_hosts file {known} does not exist, or is in a folder that is closed"
    elif known is None or known in (b"", ""):
        found = "no known_hosts is given, so the host's key cannot be verified"
    else:
        return
    raise HostError(
        f"host {name}",
        found,
        "Collect the hosts' keys over a trusted path (`ssh-keyscan`, compared with the console) "
        "into a file and name it in the SSH connection's extra `known_hosts`.",
    )


def _is_file(path: str) -> bool:
    try:
        return Path(path).expanduser().is_file()
    except PermissionError:
        return False


def _in_words(error: Exception, options: Mapping[str, Any], name: str) -> HostError:
    where = f"{options.get('host')}:{options.get('port') or 22}"
    subject = f"host {name} at {where}"
    user = options.get("username") or f"{getpass.getuser()} (no login is given)"
    match error:
        case asyncssh.HostKeyNotVerifiable():
            return _host_key_error(options, subject, str(error))
        case asyncssh.PermissionDenied() if not {"client_keys", "password"} & options.keys():
            return HostError(
                subject,
                f"login as {user} is refused: neither key_file, private_key nor password is given",
                "Give one of them in the SSH connection's extra.",
            )
        case asyncssh.PermissionDenied():
            return HostError(
                subject,
                f"login as {user} is refused",
                "Put the public key of the SSH connection's key_file into the user's "
                "authorized_keys on the host, or mend login and key in the connection.",
            )
        case asyncssh.KeyExchangeFailed():
            return HostError(
                subject,
                f"no common way to talk: {error}",
                "The host may offer a host key of another type than known_hosts holds: compare "
                "the keys at the console and mend known_hosts.",
            )
        case asyncssh.KeyImportError() | asyncssh.KeyEncryptionError() | FileNotFoundError():
            return HostError(
                subject,
                f"the SSH key or known_hosts cannot be read: {error}",
                "Mend key_file, private_key, passphrase or known_hosts in the SSH connection.",
            )
        # Of a file; a network's error has no name of a file.
        case OSError(filename=str(file)):
            return HostError(
                subject,
                f"{file} cannot be read by {getpass.getuser()}, as whom Airflow runs: "
                f"{error.strerror}",
                "Give the file to that user (mode 600), or mend key_file or known_hosts in the "
                "SSH connection.",
            )
        case socket.gaierror():
            return HostError(
                subject,
                "the name cannot be resolved",
                "Set `addresses:` in the policy for this host, or mend the name service.",
            )
        case ConnectionRefusedError():
            return HostUnreachable(subject, "the connection is refused (no sshd listens)", _REACH)
        case TimeoutError():
            return HostUnreachable(subject, "nobody answers in time", _REACH)
        case asyncssh.DisconnectError() | ConnectionError():
            return HostUnreachable(subject, f"the connection broke at login: {error}", _REACH)
        case OSError():
            return HostUnreachable(subject, f"it cannot be reached: {error}", _REACH)
    return HostError(subject, f"SSH failed: {error}", "Mend the SSH connection's settings.")


def _host_key_error(options: Mapping[str, Any], subject: str, text: str) -> HostError:
    known = options["known_hosts"]
    source = known if isinstance(known, str) else "the SSH connection's host_key"
    host, port = str(options.get("host")), options.get("port") or 22
    entries = asyncssh.match_known_hosts(known, host, "", port)
    if any(entries[:2]):
        return HostError(
            subject,
            f"the host key has changed: it is not the one in {source} ({text})",
            "If the host was reinstalled, compare the new key at its console and replace the "
            "entry; otherwise somebody may be in between: do not go on.",
        )
    return HostError(
        subject,
        f"the host key is not trusted: {source} has no entry for this address ({text})",
        f"Compare the key at the console and add it: ssh-keyscan -p {port} {host} >> known_hosts.",
    )


def _bytes(data: bytes | str | None) -> bytes:
    return data.encode() if isinstance(data, str) else data or b""
