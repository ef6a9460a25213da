"""What the steps of a controller's maintenance wait for, each with its proof."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from openstack_maintenance.adapters.policy_file import read_deployment, read_policy
from openstack_maintenance.domain.checks.service_rules import (
    LastCheck,
    last_check_of,
    plain_last_check,
)
from openstack_maintenance.domain.controllers.heartbeats import Heartbeats
from openstack_maintenance.domain.controllers.plan import still_to_restart
from openstack_maintenance.domain.errors import CheckFailed, HostError
from openstack_maintenance.domain.foreign_text import brief, brief_list
from openstack_maintenance.hooks.checks import ChecksHook
from openstack_maintenance.hooks.cloud_hook import CloudHook
from openstack_maintenance.hooks.ssh import open_shell
from openstack_maintenance.triggers import stored
from openstack_maintenance.triggers.host_steps import RebootedTrigger
from openstack_maintenance.triggers.host_wait import HostWaitTrigger
from openstack_maintenance.triggers.waiting import StillWaiting

if TYPE_CHECKING:
    from openstack_maintenance.adapters.nova import Nova
    from openstack_maintenance.domain.checks.controller_facts import SeenController
    from openstack_maintenance.domain.deployment import Deployment, Service

_JOURNAL_LINES = 5
_LONGEST = 5_000


class ControllerRebootedTrigger(RebootedTrigger):
    """The controller is back with another boot_id. ``known``: boot_id_before, ordered_at."""

    subject = "controller"

    def not_back(self, found: str) -> CheckFailed:
        """The sentence for one that does not answer."""
        return CheckFailed(
            f"controller {self.host}",
            f"did not come back from its reboot in time ({found})",
            "Look at its console or BMC; when it is up again, clear wait_for_controller with "
            "Downstream.",
        )


class ServicesBackTrigger(HostWaitTrigger):
    """Services are active, and have been so only since ``since``, the controller's own clock.

    One that systemd has given up on is not waited for. ``known``: services (names of the
    catalog), since.
    """

    needs = (
        ("services", stored.list_of(stored.text)),
        ("since", stored.moment),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._failed: set[str] = set()

    async def look(self) -> dict[str, Any]:
        seen, services = await self._read()
        since = datetime.fromisoformat(self.known["since"])
        missing = {service.name for service in still_to_restart(services, seen, since)}
        if not missing:
            return {"services": activations(seen, services)}
        found = f"waiting for {', '.join(sorted(missing))}"
        failed = {each.name for each in seen.services if each.state.active_state == "failed"}
        # At two looks: the restart of one that had failed before may only be about to begin.
        if failed & missing & self._failed:
            raise await self.too_late(found)
        self._failed = failed
        raise StillWaiting(found)

    async def too_late(self, found: str) -> CheckFailed:
        return CheckFailed(
            f"controller {self.host}",
            f"not back after the restart: {brief(await self._told(found), _LONGEST)}",
            "Fix it there, then clear restart_services with Downstream: what is back already is "
            "not restarted again.",
        )

    async def _told(self, found: str) -> str:
        """Each service that is missing, with its state and the last lines of its journal."""
        try:
            seen, services = await self._read()
        except HostError as error:
            return f"{found}; {brief(error.found)}"
        missing = still_to_restart(services, seen, datetime.fromisoformat(self.known["since"]))
        states = {each.name: each for each in seen.services}
        return "; ".join(
            [await self._service(service, states[service.name]) for service in missing]
        )

    async def _service(self, service: Service, seen: Any) -> str:
        lines = seen.journal or await self._journal_of(service)
        state = f"{seen.state.active_state} ({seen.state.sub_state})"
        told = " | ".join(brief(line, 300) for line in lines[-_JOURNAL_LINES:]) or "(empty)"
        return f"{service.name} is {state}, its journal ends: {told}"

    async def _journal_of(self, service: Service) -> tuple[str, ...]:
        try:
            async with self.on_host() as host:
                return await host.journal_tail(service.unit or None)
        except HostError as error:
            return (error.found,)

    async def _read(self) -> tuple[SeenController, list[Service]]:
        from openstack_maintenance.adapters.controller import read_controller

        deployment = read_deployment(read_policy())
        async with open_shell(self.ssh_conn_id, self.host, self.address) as shell:
            seen = await read_controller(shell, deployment)
        return seen, [each for each in deployment if each.name in self.known["services"]]


def activations(seen: SeenController, services: list[Service]) -> dict[str, str]:
    """Since when each service is active, by its name."""
    states = {each.name: each.state for each in seen.services}
    return {
        service.name: entered.isoformat()
        for service in services
        if (entered := states[service.name].active_enter)
    }


class ChecksPassTrigger(HostWaitTrigger):
    """All checks of controller_checks pass at two looks in a row, so that nothing flaps.

    Each look is compared with the one before it: what crashed while the controller was being
    restarted does not count, what crashes afterwards does. ``known``: controllers, all of the
    inventory, with host and address.
    """

    every_seconds = 10.0
    needs = (("controllers", stored.list_of(stored.place)),)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._last: Mapping[str, LastCheck] | None = None
        self._deployment: Deployment | None = None

    async def look(self) -> dict[str, Any]:
        if self._deployment is None:
            self._deployment = read_deployment(read_policy())
        hook = ChecksHook(
            self._deployment, self.known["controllers"], self.ssh_conn_id, self.cloud_conn_id
        )
        checked = await hook.check_all(self._last)
        last, self._last = self._last, {h: last_check_of(c) for h, c in checked.seen.items()}
        if checked.faults:
            self._last = None
            raise StillWaiting(brief("; ".join(checked.faults), _LONGEST))
        if last is None:
            raise StillWaiting("all checks pass; checking once more")
        return {
            "verdicts": checked.verdicts,
            "services": {
                host: {each.name: each.text for each in findings}
                for host, findings in checked.services.items()
            },
            "cloud": {
                check: [str(each) for each in findings] for check, findings in checked.cloud.items()
            },
            "seen": {host: plain_last_check(each) for host, each in self._last.items()},
        }

    async def too_late(self, found: str) -> CheckFailed:
        return CheckFailed(
            f"checks after {self.host}",
            f"not all pass: {found}",
            "Fix it (include/runbooks/controller_checks.md), then clear check_controller with "
            "Downstream.",
        )


class NovaWaitTrigger(HostWaitTrigger):
    """A wait that asks Nova only."""

    async def nova(self) -> Nova:
        """The cloud, opened once."""
        if self._nova is None:
            self._nova = await CloudHook(self.cloud_conn_id).aget_conn()
        return self._nova


class ServingTrigger(NovaWaitTrigger):
    """The APIs serve: a server list, and a scheduler's answer. ``known``: probe (its name)."""

    needs = (("probe", stored.text),)

    async def look(self) -> dict[str, Any]:
        nova = await self.nova()
        servers = await asyncio.to_thread(nova.instances)
        return {
            "servers_listed": len(servers),
            "scheduler": await asyncio.to_thread(nova.ask_scheduler, self.known["probe"]),
        }

    async def too_late(self, found: str) -> CheckFailed:
        return CheckFailed(
            f"APIs after {self.host}",
            f"do not serve again: {found}",
            "See the logs of nova-api, nova-conductor and nova-scheduler, then clear "
            "check_serving with Downstream.",
        )


class HeartbeatsTrigger(NovaWaitTrigger):
    """Every Nova service that was up before is up, and its heartbeat advanced twice meanwhile.

    ``known``: services, a list of [binary, host].
    """

    needs = (("services", stored.list_of(stored.pair)),)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._seen: Heartbeats | None = None

    @property
    def _beats(self) -> Heartbeats:
        if self._seen is None:
            self._seen = Heartbeats(tuple(each) for each in self.known["services"])
        return self._seen

    async def look(self) -> dict[str, Any]:
        nova = await self.nova()
        self._beats.note(await asyncio.to_thread(nova.services))
        missing = self._beats.missing()
        if missing:
            found = ", ".join(brief_list(missing))
            raise StillWaiting(f"waiting for the heartbeats of {found}")
        return {"heartbeats": self._beats.plain()}

    async def too_late(self, found: str) -> CheckFailed:
        return CheckFailed(
            f"Nova services after {self.host}",
            f"are not back on the bus: {found}",
            "See nova-compute's log on these hosts and the broker, then clear "
            "wait_for_nova_services with Downstream.",
        )
