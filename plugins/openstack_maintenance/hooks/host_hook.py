"""Log in to compute hosts and controllers with the Airflow connection for SSH."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import asyncssh
from airflow.providers.common.compat.connection import (
    get_async_connection,
    get_async_extra_dejson,
)
from airflow.providers.common.compat.sdk import AirflowNotFoundException
from airflow.providers.ssh.hooks.ssh import SSHHookAsync

from openstack_maintenance.adapters.host import Host, connect_host
from openstack_maintenance.adapters.shell import Shell
from openstack_maintenance.adapters.ssh_login import SOURCE, connect_shell
from openstack_maintenance.domain.deployment import NovaCompute
from openstack_maintenance.domain.errors import HostError
from openstack_maintenance.domain.foreign_text import brief

# The parts of the extra that the SSH provider reads as text.
_TEXTS = (
    "key_file",
    "known_hosts",
    "host_key",
    "private_key",
    "passphrase",
    "private_key_passphrase",
)
# What messages may show; what is longer must name a file that exists.
_SHOWN = ("key_file", "known_hosts", "host_key", "login")
_NAMES_A_FILE = ("key_file", "known_hosts")
_LONGEST_NAME = 200
# How a private key begins or says what it is, with its frame or in base64 alone.
_KEY_MARKS = ("PRIVATE KEY", "-----BEGIN", "PUTTY-USER-KEY-FILE", "B3BLBNNZAC1RZXKTDJ")
# Base64 and nothing else, and no path that begins at the root.
_BARE_KEY = re.compile(r"[A-Za-z0-9+=][A-Za-z0-9+/=]{39,}")
_NO_CHECK = ("no_host_key_check", "ignore_hostkey_verification")


class HostHook(SSHHookAsync):
    """Opens a `Host` or a `Shell` at an address, always with the host's key verified.

    The connection's parts and extras are those of the SSH provider: login, password, port,
    ``key_file``, ``private_key``, ``passphrase``, ``known_hosts``, ``host_key``. Works in the
    triggerer's loop and under ``asyncio.run`` in a task.
    """

    default_conn_name = "openstack_ssh"
    hook_name = "OpenStack host"

    def __init__(
        self, ssh_conn_id: str = default_conn_name, *, address: str, name: str = ""
    ) -> None:
        super().__init__(ssh_conn_id=ssh_conn_id, host=address)
        self.address = address
        self.host_name = name or address

    @asynccontextmanager
    async def connect(self, nova_compute: NovaCompute) -> AsyncIterator[Host]:
        """Open the compute host.

        Raises:
            HostUnreachable: nobody answers now; try again later.
            HostError: connection or host must be fixed by a person.
        """
        options, source = await self.get_options(), self._source
        async with connect_host(options, self.host_name, nova_compute, source) as host:
            yield host

    @asynccontextmanager
    async def connect_shell(self) -> AsyncIterator[Shell]:
        """Open a plain shell, for controllers. Raises as `connect` does."""
        async with connect_shell(await self.get_options(), self.host_name, self._source) as shell:
            yield shell

    @property
    def _source(self) -> str:
        return f"{SOURCE} {self.ssh_conn_id}"

    async def get_options(self) -> dict[str, Any]:
        """The connection as ``asyncssh.connect`` options.

        Raises:
            HostError: there is no such connection, or it asks for what is not done here.
        """
        conn = await self._get_airflow_connection()
        extra = await self._extra(conn)
        self._refuse_odd_parts(conn, extra)
        self._refuse_unverified(extra)
        try:
            self._parse_extras(SimpleNamespace(host=conn.host, extra_dejson=extra))
        except ValueError as error:
            raise self._bad_connection(brief(error), "Fix the connection's extra.") from error
        options: dict[str, Any] = {
            "host": self.address,
            "port": self.port or conn.port or 22,
            "known_hosts": self._known_hosts(),
        }
        user, password = self.username or conn.login, self.password or conn.password
        options |= {"username": user} if user else {}
        options |= {"password": password} if password else {}
        return options | self._keys()

    async def _get_airflow_connection(self) -> Any:
        try:
            return await get_async_connection(self.ssh_conn_id)
        except AirflowNotFoundException as error:
            raise self._bad_connection(
                "it is not defined, or Airflow cannot read it",
                f"Add it: airflow connections add {self.ssh_conn_id} --conn-type ssh "
                '--conn-login USER --conn-extra \'{"key_file": "...", "known_hosts": "..."}\'.',
            ) from error
        except (ValueError, TypeError, AttributeError):
            # Without the cause: it repeats the connection's parts, passwords among them.
            raise self._bad_connection(
                "it cannot be read: its port is not a number, or it is not a connection",
                "Create it again: `airflow connections add`, or the page Admin > Connections.",
            ) from None

    async def _extra(self, conn: Any) -> dict[str, Any]:
        try:
            # conn.extra_dejson asks the supervisor synchronously: it can block a triggerer's loop.
            extra = await get_async_extra_dejson(conn)
        except (ValueError, TypeError, RecursionError):
            extra = None
        if isinstance(extra, dict):
            return extra
        raise self._bad_connection("its extra is not a JSON object", "Fix the connection's extra.")

    def _refuse_odd_parts(self, conn: Any, extra: Mapping[str, Any]) -> None:
        """Nothing but text, and no key where a message may show it. Nothing is repeated."""
        for key in _NO_CHECK:
            if not isinstance(extra.get(key), str | bool | int | None):
                raise self._odd(key, extra[key], "true or false")
        given: dict[str, Any] = {key: extra.get(key) for key in _TEXTS}
        given |= {"login": conn.login, "password": conn.password}
        for key, value in given.items():
            if value is None:
                continue
            if not isinstance(value, str):
                raise self._odd(key, value, "a string, in quotation marks")
            if key in _SHOWN and _may_be_a_key(key, value):
                raise self._bad_connection(
                    f"its {key} holds a key, not the name of a file"
                    if key in _NAMES_A_FILE
                    else f"its {key} holds a private key",
                    "Put the key into private_key, or name its file in key_file.",
                )
        port = conn.port
        if port is not None and (type(port) is not int or not 0 <= port <= 65535):
            raise self._bad_connection(
                "its port is not a number from 1 to 65535", "Fix the connection's port: usually 22."
            )

    def _refuse_unverified(self, extra: dict[str, Any]) -> None:
        asked = [key for key in _NO_CHECK if str(extra.get(key, "")).lower() in ("true", "1")]
        if str(extra.get("known_hosts", "")).lower() == "none":
            asked.append("known_hosts: none")
        if asked:
            raise self._bad_connection(
                f"{asked[0]} disables the host key check, which this project never does",
                "Remove it and name a `known_hosts` file instead.",
            )

    def _known_hosts(self) -> bytes | str:
        known = self.known_hosts
        return os.path.expanduser(known) if isinstance(known, str) else known  # noqa: PTH111  total

    def _keys(self) -> dict[str, Any]:
        if self.private_key:
            try:
                key = asyncssh.import_private_key(self.private_key, self.passphrase or None)
            except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
                raise self._bad_key(f": {brief(error, 100)}") from None
            except (ValueError, TypeError, IndexError, OverflowError):
                raise self._bad_key("") from None
            return {"client_keys": [key]}
        if not self.key_file:
            return {}
        file = os.path.expanduser(self.key_file)  # noqa: PTH111  Path's raises for ~nobody
        keys: dict[str, Any] = {"client_keys": [file]}
        return keys | ({"passphrase": self.passphrase} if self.passphrase else {})

    def _odd(self, key: str, value: object, wanted: str) -> HostError:
        return self._bad_connection(
            f"its {key} cannot be of the type {type(value).__name__}", f"Write {key} as {wanted}."
        )

    def _bad_key(self, why: str) -> HostError:
        return self._bad_connection(
            f"its private_key cannot be read{why}",
            "Paste the whole key, line breaks included, and its passphrase if it has one.",
        )

    def _bad_connection(self, found: str, remedy: str) -> HostError:
        return HostError(f"connection {self.ssh_conn_id}", found, remedy)


def _may_be_a_key(name: str, value: str) -> bool:
    """Whether it looks like a key, or is too long to be shown and names no file that exists."""
    if any(mark in value.upper() for mark in _KEY_MARKS):
        return True
    if name == "host_key":  # never shown, and a host's key looks like any other
        return False
    if "\n" in value or "\r" in value:
        return True
    is_doubtful = len(value) > _LONGEST_NAME or bool(_BARE_KEY.fullmatch(value))
    return is_doubtful and not _exists(value)


def _exists(name: str) -> bool:
    try:
        return os.path.exists(os.path.expanduser(name))  # noqa: PTH110, PTH111  Path's raise
    except ValueError:
        return False
