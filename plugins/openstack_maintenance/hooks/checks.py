"""All checks of controller_checks at one call, for steps that go on only when all are good."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from openstack_maintenance.adapters.cloud_checks import CLOUD_CHECKS
from openstack_maintenance.domain.checks import cluster_rules
from openstack_maintenance.domain.checks.checked import Checked
from openstack_maintenance.domain.checks.finding import Finding
from openstack_maintenance.domain.checks.service_rules import (
    LastCheck,
    judge_services,
    last_check_of,
)
from openstack_maintenance.domain.errors import MaintenanceError
from openstack_maintenance.hooks.cloud_hook import CLOUD_CONN_ID, CloudHook
from openstack_maintenance.hooks.ssh import open_shell

if TYPE_CHECKING:
    from openstack_maintenance.adapters.cloud_checks import CloudCheck
    from openstack_maintenance.adapters.cloud_health import CloudHealth
    from openstack_maintenance.domain.checks.controller_facts import SeenController
    from openstack_maintenance.domain.deployment import Deployment


class ChecksHook:
    """Asks controllers and cloud what the nightly checks ask; reads only.

    ``controllers``: host and address of each of the inventory.
    """

    def __init__(
        self,
        deployment: Deployment,
        controllers: Sequence[Mapping[str, str]],
        ssh_conn_id: str,
        cloud_conn_id: str = CLOUD_CONN_ID,
    ) -> None:
        self.deployment = deployment
        self.controllers = controllers
        self.ssh_conn_id = ssh_conn_id
        self.cloud_conn_id = cloud_conn_id

    async def check_all(self, last: Mapping[str, LastCheck] | None = None) -> Checked:
        """Every check, side by side; what cannot be found out is a finding like the others.

        ``last``: the looks to compare with, by controller; without one, only what is now counts,
        and a restart before it does not.
        """
        controllers, cloud = await asyncio.gather(self.check_services(last), self._ask_cloud())
        return replace(
            controllers, cloud={**cluster_rules.judge_cluster(controllers.seen), **cloud}
        )

    async def check_services(self, last: Mapping[str, LastCheck] | None = None) -> Checked:
        """The services of all controllers alone, by SSH: no API is asked."""
        seen, unread = await self.read_controllers()
        services = {
            host: [unread[host]]
            if host in unread
            else self._judge(seen[host], (last or {}).get(host))
            for host in (each["host"] for each in self.controllers)
        }
        return Checked(seen, services, {})

    async def read_controllers(self) -> tuple[dict[str, SeenController], dict[str, Finding]]:
        """One look at each controller; of one that cannot be read, the finding that says why."""
        seen: dict[str, SeenController] = {}
        unread: dict[str, Finding] = {}

        async def look(controller: Mapping[str, str]) -> None:
            try:
                seen[controller["host"]] = await self._read(controller)
            except MaintenanceError as error:
                unread[controller["host"]] = Finding("SSH", "bad", error.found)

        await asyncio.gather(*map(look, self.controllers))
        hosts = [each["host"] for each in self.controllers]  # their order, not the answers'
        return {host: seen[host] for host in hosts if host in seen}, unread

    async def _read(self, controller: Mapping[str, str]) -> SeenController:
        # Brings asyncssh: not while a DAG file is parsed.
        from openstack_maintenance.adapters.controller import read_controller

        host, address = controller["host"], controller["address"]
        async with open_shell(self.ssh_conn_id, host, address) as shell:
            return await read_controller(shell, self.deployment)

    def _judge(self, seen: SeenController, last: LastCheck | None) -> list[Finding]:
        groups = judge_services(self.deployment, seen, last or last_check_of(seen))
        return [finding for findings in groups.values() for finding in findings]

    async def _ask_cloud(self) -> dict[str, list[Finding]]:
        health = await CloudHook(self.cloud_conn_id).aget_health()
        answers = await asyncio.gather(
            *(asyncio.to_thread(_ask, name, check, health) for name, check in CLOUD_CHECKS.items())
        )
        return dict(zip(CLOUD_CHECKS, answers, strict=True))


def _ask(name: str, check: CloudCheck, health: CloudHealth) -> list[Finding]:
    try:
        return check(health)
    except MaintenanceError as error:
        return [Finding(name.removeprefix("check_").replace("_", " "), "bad", error.found)]
