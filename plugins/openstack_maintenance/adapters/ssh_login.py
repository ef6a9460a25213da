"""Log in to a host over SSH, its key always verified; every failure says what to do.

Source: https://asyncssh.readthedocs.io/en/stable/api.html#asyncssh.connect
"""

from __future__ import annotations

import asyncio
import getpass
import os
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncssh

from openstack_maintenance.adapters.shell import REACH, HostUnreachable, Shell
from openstack_maintenance.domain.errors import HostError
from openstack_maintenance.domain.foreign_text import brief

_DEFAULTS: dict[str, Any] = {
    "connect_timeout": 15,
    "login_timeout": 20,
    "keepalive_interval": 5,
    "keepalive_count_max": 4,
}
SOURCE = "the SSH connection"
_LONGEST_NAME = 200  # of a file, in a message: what is longer may be a key


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
    subject = f"host {name} at {options.get('host')}:{options.get('port') or 22}"
    if isinstance(error, asyncssh.HostKeyNotVerifiable):
        return _host_key_error(options, subject, brief(error), source)
    to_fix = _login_fault(error, options, source) or _file_fault(error, source)
    if to_fix is not None:
        return HostError(subject, *to_fix)
    if reason := _why_unreachable(error):
        return HostUnreachable(subject, reason, REACH)
    return HostError(subject, f"SSH failed: {brief(error)}", f"Fix the settings of {source}.")


def _login_fault(
    error: Exception, options: Mapping[str, Any], source: str
) -> tuple[str, str] | None:
    """What was found, and what to do, where name, login or key do not fit the host."""
    user = brief(options.get("username") or f"{getpass.getuser()} (no login is given)", 100)
    match error:
        case asyncssh.PermissionDenied() if not {"client_keys", "password"} & options.keys():
            return (
                f"login as {user} is refused: neither key_file, private_key nor password is given",
                f"Give one of them in the extra of {source}.",
            )
        case asyncssh.PermissionDenied():
            return (
                f"login as {user} is refused",
                f"Put the public key of {source} (its key_file) into the user's authorized_keys on "
                "the host, or fix login and key in the connection.",
            )
        case asyncssh.KeyExchangeFailed():
            return (
                f"SSH key exchange failed, no algorithm in common: {brief(error)}",
                "The host may offer a host key of another type than known_hosts holds. Compare "
                "the keys at the console, then fix known_hosts.",
            )
    return None


def _file_fault(error: Exception, source: str) -> tuple[str, str] | None:
    """The same where a file of ours cannot be read, or the name cannot be resolved."""
    match error:
        case asyncssh.KeyImportError() | asyncssh.KeyEncryptionError() | FileNotFoundError():
            return (
                f"the SSH key or known_hosts cannot be read: {brief(error)}",
                f"Fix key_file, private_key, passphrase or known_hosts in {source}.",
            )
        # Of a file; a network's error has no name of a file.
        case OSError(filename=str(file)):
            return (
                f"{brief(file, _LONGEST_NAME)} cannot be read by {getpass.getuser()}, "
                f"the user that Airflow runs as: {error.strerror}",
                "Give the file to that user (mode 600), or fix key_file or known_hosts in "
                f"{source}.",
            )
        case socket.gaierror():
            return (
                "the name cannot be resolved",
                "Set `addresses:` in the policy for this host, or fix DNS.",
            )
    return None


def _why_unreachable(error: Exception) -> str | None:
    """Where a later attempt may succeed."""
    match error:
        case ConnectionRefusedError():
            return "the connection is refused (no sshd is listening)"
        case TimeoutError():
            return "nobody answers in time"
        case asyncssh.DisconnectError() | ConnectionError():
            return f"the connection broke at login: {brief(error)}"
        case OSError():
            return f"it cannot be reached: {brief(error)}"
    return None


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
