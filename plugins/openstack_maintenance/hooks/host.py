"""Log in to compute hosts and controllers with the Airflow connection for SSH."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
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
from openstack_maintenance.adapters.shell import Shell, connect_shell
from openstack_maintenance.domain.deployment import NovaCompute
from openstack_maintenance.domain.errors import HostError

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
            HostError: connection or host must be mended by a person.
        """
        async with connect_host(await self.get_options(), self.host_name, nova_compute) as host:
            yield host

    @asynccontextmanager
    async def connect_shell(self) -> AsyncIterator[Shell]:
        """Open a plain shell, for controllers. Raises as `connect` does."""
        async with connect_shell(await self.get_options(), self.host_name) as shell:
            yield shell

    async def get_options(self) -> dict[str, Any]:
        """The connection as ``asyncssh.connect`` options.

        Raises:
            HostError: there is no such connection, or it asks for what is not done here.
        """
        conn = await self._get_airflow_connection()
        # conn.extra_dejson asks the supervisor synchronously, which can block a triggerer's loop.
        extra = await get_async_extra_dejson(conn)
        self._refuse_unverified(extra)
        try:
            self._parse_extras(SimpleNamespace(host=conn.host, extra_dejson=extra))
        except ValueError as error:
            raise self._bad_connection(str(error), "Mend the connection's extra.") from error
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
                "it is not defined",
                f"Add it: airflow connections add {self.ssh_conn_id} --conn-type ssh "
                '--conn-login USER --conn-extra \'{"key_file": "...", "known_hosts": "..."}\'.',
            ) from error

    def _refuse_unverified(self, extra: dict[str, Any]) -> None:
        asked = [key for key in _NO_CHECK if str(extra.get(key, "")).lower() in ("true", "1")]
        if str(extra.get("known_hosts", "")).lower() == "none":
            asked.append("known_hosts: none")
        if asked:
            raise self._bad_connection(
                f"{asked[0]} switches the check of host keys off, which is never done here",
                "Remove it and name a `known_hosts` file instead.",
            )

    def _known_hosts(self) -> bytes | str:
        known = self.known_hosts
        return str(Path(known).expanduser()) if isinstance(known, str) else known

    def _keys(self) -> dict[str, Any]:
        if self.private_key:
            try:
                key = asyncssh.import_private_key(self.private_key, self.passphrase or None)
            except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
                raise self._bad_connection(
                    f"its private_key cannot be read: {error}",
                    "Paste the whole key, line breaks included, and its passphrase if it has one.",
                ) from error
            return {"client_keys": [key]}
        if not self.key_file:
            return {}
        keys: dict[str, Any] = {"client_keys": [str(Path(self.key_file).expanduser())]}
        return keys | ({"passphrase": self.passphrase} if self.passphrase else {})

    def _bad_connection(self, found: str, remedy: str) -> HostError:
        return HostError(f"connection {self.ssh_conn_id}", found, remedy)
