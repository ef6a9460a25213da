"""Restart or reboot one controller, when its turn has come."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.triggers.temporal import DateTimeTrigger
from airflow.sdk.exceptions import AirflowSkipException

from openstack_maintenance.domain.controllers.plan import stages, still_to_restart
from openstack_maintenance.domain.errors import CheckFailed
from openstack_maintenance.hooks.ssh import open_host
from openstack_maintenance.operators.clock import utc_now
from openstack_maintenance.operators.controllers.base import CHECK, GROUP, ControllersOperator
from openstack_maintenance.operators.controllers.gate import (
    blockers_midway,
    services_of,
    under_way_blockers,
)
from openstack_maintenance.operators.controllers.notes import note_before, noted_of
from openstack_maintenance.operators.wait import since_in_words, wait
from openstack_maintenance.triggers.controller_wait import (
    ControllerRebootedTrigger,
    ServicesBackTrigger,
    activations,
)

if TYPE_CHECKING:
    from openstack_maintenance.adapters.host import Host
    from openstack_maintenance.domain.checks.controller_facts import SeenController
    from openstack_maintenance.domain.deployment import Service
    from openstack_maintenance.domain.host.facts import RebootAnswer

_LAST = f"{GROUP}.check_instances"
_LOOK_AGAIN = timedelta(seconds=15)


class WaitForTurnOperator(ControllersOperator):
    """Wait until the controller before this one is done; end where one before it failed."""

    def perform(self) -> None:
        """Look at the steps of the earlier controllers."""
        ti: Any = self._context["ti"]  # the protocol of the SDK leaves this method out
        rows = ti.get_task_breadcrumbs(self.dag_id_of_run, self.run_id)
        earlier = [
            row
            for row in rows
            if str(row["task_id"]).startswith(f"{GROUP}.") and 0 <= row["map_index"] < self.place
        ]
        self._end_where_one_failed(earlier)
        done = [each for each in earlier if each["task_id"] == _LAST]
        if len(done) < self.place:
            self.log.info("controller %s: waiting for its turn", self.host)
            again = utc_now() + _LOOK_AGAIN
            self.defer(trigger=DateTimeTrigger(again), method_name="look_again")
        self.log.info("controller %s: its turn has come", self.host)

    def _end_where_one_failed(self, earlier: Iterable[Mapping[str, Any]]) -> None:
        for row in earlier:
            is_over = row["task_id"] == _LAST and str(row["state"]) != "success"
            if is_over or str(row["state"]) in ("failed", "upstream_failed"):
                first = self.result_of(CHECK)[row["map_index"]]["host"]
                raise CheckFailed(
                    f"controller {self.host}",
                    f"was not touched, because the maintenance of {first} failed",
                    f"Fix {first} as its failed task says, then clear the run's failed tasks.",
                )


class RestartServicesOperator(ControllersOperator):
    """Restart the services of one controller in the catalog's order, each stage when the one
    before it is active again; what this run has restarted already is left alone.

    Returns: since (the controller's own clock), services (name: active since).
    """

    waits_for_window = True

    def perform(self) -> dict[str, Any]:
        """Look, and restart the first stage that is left; the rest comes when that is back."""
        if self.request.action != "restart":
            self.log.info("a reboot was asked for, no restart of services")
            raise AirflowSkipException("a reboot was asked for")
        noted = noted_of(self)
        is_begun = noted is not None
        noted = noted or self._prove()
        seen = asyncio.run(self._read())
        services = [each for each in self.deployment if each.name in noted["services"]]
        since = datetime.fromisoformat(noted["since"])
        left = stages(still_to_restart(services, seen, since))
        if left:
            if is_begun:
                self._may_go_on([service for stage in left for service in stage])
            self._restart(left[0], noted)
        names = ", ".join(noted["services"])
        self.log.info("controller %s: restarted and active again: %s", self.host, names)
        return {"since": noted["since"], "services": activations(seen, services)}

    def resume(self, event: Mapping[str, Any]) -> Any:
        """A stage is back: look again, the window included."""
        return self.begin()

    def _prove(self) -> dict[str, Any]:
        checked = self.check_all()
        seen = checked.seen.get(self.host)
        services = services_of(self, seen) if seen else []
        noted = {
            "since": seen.clock_now.isoformat() if seen else None,
            "services": [service.name for service in services],
        }
        note_before(self, services, noted, checked)
        return noted

    def _may_go_on(self, left: list[Service]) -> None:
        """The world may have changed since the last stage: the others are looked at again."""
        blockers = blockers_midway(self, self.host, self.check_services(), left)
        if int(self._context["ti"].try_number) > 1:
            # While the run had ended, a compute host may have been begun.
            blockers += under_way_blockers(self)
        then = f"Nothing more was restarted on {self.host}."
        self.refuse(f"controller {self.host}", blockers, then)

    def _restart(self, stage: list[Service], noted: Mapping[str, Any]) -> None:
        names = [service.name for service in stage]
        self.log.info("controller %s: restarting %s", self.host, ", ".join(names))
        asyncio.run(self._order(stage))
        wait(self, ServicesBackTrigger, "service_timeout", services=names, since=noted["since"])

    async def _order(self, stage: list[Service]) -> None:
        # Brings asyncssh: not while a DAG file is parsed.
        from openstack_maintenance.adapters.controller import restart_service

        # Several services may be one unit, such as a web server.
        units = {(service.unit, service.container): service for service in stage}
        async with self.shell(self.host) as shell:
            for service in units.values():
                await restart_service(shell, self.deployment, service)

    async def _read(self) -> SeenController:
        from openstack_maintenance.adapters.controller import read_controller

        async with self.shell(self.host) as shell:
            return await read_controller(shell, self.deployment)


class RebootControllerOperator(ControllersOperator):
    """Reboot one controller, once a run.

    Returns: boot_id_before, ordered_at (the controller's own clock), outcome of the order.
    """

    waits_for_window = True

    def perform(self) -> dict[str, Any]:
        """Prove that it may be, note its boot, then order; the order itself proves nothing."""
        if self.request.action != "reboot":
            self.log.info("a restart of services was asked for, no reboot")
            raise AirflowSkipException("a restart was asked for")
        noted = noted_of(self)
        if noted is None or asyncio.run(self._boot_id()) == noted["boot_id_before"]:
            noted = self._prove()
        answer = asyncio.run(self._reboot(noted["boot_id_before"]))
        self.log.info("controller %s: reboot %s", self.host, answer.outcome)
        return {**noted, "outcome": answer.outcome}

    def _prove(self) -> dict[str, Any]:
        checked = self.check_all()
        seen = checked.seen.get(self.host)
        noted = {
            "boot_id_before": seen.boot_id if seen else None,
            "ordered_at": seen.clock_now.isoformat() if seen else None,
        }
        note_before(self, [], noted, checked)
        return noted

    async def _boot_id(self) -> str:
        async with self._controller() as controller:
            return await controller.boot_id()

    async def _reboot(self, boot_id: str) -> RebootAnswer:
        async with self._controller() as controller:
            return await controller.reboot(boot_id)

    def _controller(self) -> AbstractAsyncContextManager[Host]:
        address, compute = self.controller["address"], self.deployment.nova_compute
        return open_host(self.ssh_conn_id, self.host, address, compute)


class WaitForControllerOperator(ControllersOperator):
    """Wait until the controller is back, in another boot.

    Returns: boot_id_before, boot_id_after, ordered_at, back_at (the controller's own clock).
    """

    def perform(self) -> None:
        """Leave the waiting to the triggerer."""
        ordered = self.own_result("reboot")
        wait(
            self,
            ControllerRebootedTrigger,
            "reboot_timeout",
            boot_id_before=ordered["boot_id_before"],
            ordered_at=ordered["ordered_at"],
        )

    def resume(self, event: Mapping[str, Any]) -> Any:
        """It is back."""
        result = super().resume(event)
        since = since_in_words(result, "its reboot was ordered")
        self.log.info("controller %s: has rebooted and is back%s", self.host, since)
        return result
