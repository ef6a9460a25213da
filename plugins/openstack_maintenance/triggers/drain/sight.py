"""Looks at hosts over SSH for a guest's process, from the triggerer."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from openstack_maintenance.adapters.policy_file import read_policy
from openstack_maintenance.adapters.secrets_in_text import cleaned
from openstack_maintenance.domain.deployment import NovaCompute
from openstack_maintenance.domain.drain.sighting import Look
from openstack_maintenance.domain.errors import HostError, MaintenanceError
from openstack_maintenance.hooks.ssh import open_host

if TYPE_CHECKING:
    from openstack_maintenance.adapters.nova import Nova

log = logging.getLogger(__name__)

_LONGEST_SECONDS = 60.0
_LONGEST = 300


@dataclass(frozen=True)
class HostSight:
    """How hosts are reached. ``source``: the host that is emptied, whose ``address`` is known."""

    ssh_conn_id: str
    nova_compute: NovaCompute
    source: str
    address: str

    async def look(self, nova: Nova, host: str, guest: str) -> Look:
        """See whether a guest's process runs on a host. ``guest``: its name in libvirt, or "".

        What cannot be seen is no error: the look says why.
        """
        if not guest:
            return Look(host, None, "Nova does not show what libvirt calls its guest")
        try:
            async with asyncio.timeout(_LONGEST_SECONDS):
                return await self._look(nova, host, guest)
        except TimeoutError:
            return Look(host, None, f"it did not answer within {_LONGEST_SECONDS:.0f} s")
        except MaintenanceError as error:
            return Look(host, None, cleaned(error.found, longest=_LONGEST))
        except Exception as error:  # whatever it is, the move must end with its sentence
            log.exception("host %s could not be looked at", host)
            return Look(host, None, cleaned(f"{type(error).__name__}: {error}", longest=_LONGEST))

    async def _look(self, nova: Nova, host: str, guest: str) -> Look:
        address = await asyncio.to_thread(self._address, nova, host)
        async with open_host(self.ssh_conn_id, host, address, self.nova_compute) as opened:
            guests = await opened.read_guests()
        if any(each.guest == guest for each in guests):
            return Look(host, True)
        if any(not each.guest for each in guests):
            return Look(host, None, "a guest runs there whose name cannot be read")
        return Look(host, False)

    def _address(self, nova: Nova, host: str) -> str:
        if host == self.source:
            return self.address
        if named := read_policy().addresses.get(host):
            return named
        found = nova.find_hypervisor(host)
        if found is None or not found.host_ip:
            raise HostError(f"host {host}", "Nova does not show its address", "Name it.")
        return found.host_ip
