"""The door to compute hosts and controllers: every SSH connection is opened here.

paramiko and asyncssh come with the first use, so that a DAG file is parsed without them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from openstack_maintenance.adapters.host import Host
    from openstack_maintenance.adapters.shell import Shell
    from openstack_maintenance.domain.deployment import NovaCompute
    from openstack_maintenance.hooks.host_hook import HostHook


@asynccontextmanager
async def open_host(
    conn_id: str, host: str, address: str, nova_compute: NovaCompute
) -> AsyncIterator[Host]:
    """A host with what is done to it: its nova-compute, its scripts, its reboot.

    Raises:
        HostUnreachable: nobody answers now; try again later.
        HostError: connection or host must be fixed by a person.
    """
    async with _hook(conn_id, host, address).connect(nova_compute) as opened:
        yield opened


@asynccontextmanager
async def open_shell(conn_id: str, host: str, address: str) -> AsyncIterator[Shell]:
    """A plain shell, for controllers. Raises as `open_host` does."""
    async with _hook(conn_id, host, address).connect_shell() as opened:
        yield opened


async def check_connection(conn_id: str) -> None:
    """Read the connection; nothing is sent. Raises: HostError, where no host could be reached."""
    await _hook(conn_id, "", "").get_options()


def _hook(conn_id: str, host: str, address: str) -> HostHook:
    from openstack_maintenance.hooks.host_hook import HostHook

    return HostHook(conn_id, address=address, name=host)
