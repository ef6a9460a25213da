"""What all steps of one host's run share: its request, its mark, its host over SSH."""

from __future__ import annotations

import hashlib
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.triggers.temporal import DateTimeTrigger

from openstack_maintenance.domain.drain.movability import Microversion, parse_microversion
from openstack_maintenance.domain.errors import CheckFailed, CloudError, HostError
from openstack_maintenance.domain.host.request import Request, read_request
from openstack_maintenance.domain.mark import Mark
from openstack_maintenance.domain.ownership import ownership_lost
from openstack_maintenance.hooks.ssh import open_host
from openstack_maintenance.operators.base import MaintenanceOperator, plain
from openstack_maintenance.operators.clock import utc_now
from openstack_maintenance.operators.controllers_at_work import controllers_at_work
from openstack_maintenance.records.turn import Turn, find_turn

if TYPE_CHECKING:
    from openstack_maintenance.adapters.host import Host
    from openstack_maintenance.domain.cloud import ComputeService


_LOOK_AGAIN = timedelta(seconds=15)


class HostOperator(MaintenanceOperator):
    """A step of a run of compute_host_maintenance."""

    @cached_property
    def request(self) -> Request:  # type: ignore[override]  # a value there, worked out here
        """What the run was asked to do."""
        return read_request(self.params_given, self.policy.on_blocked)

    @property
    def mark(self) -> Mark:
        """This run's ownership mark, with the reason that was given."""
        return Mark(self.dag_id_of_run, self.run_id, self.request.reason or "maintenance")

    def wait_for_others(self) -> None:
        """A step that changes something waits while a run has a controller out of service.

        The first one looks by itself (`disable_service`); this is for runs that are cleared later.
        """
        if self.waits_for_window and (run := controllers_at_work(self)):
            self.log.info("waits until the run %s of controller_maintenance has ended", run)
            self.defer(trigger=DateTimeTrigger(utc_now() + _LOOK_AGAIN), method_name="look_again")

    @property
    def turn(self) -> Turn:
        """What a night told this run; nothing where a person started it.

        Raises: RecordUnreadable; PolicyError.
        """
        return find_turn(self.policy, self.dag_id_of_run, self.run_id)

    @property
    def script_unit(self) -> str:
        """The unit that this run's maintenance script runs as: the same at every attempt."""
        run = hashlib.sha256(f"{self.dag_id_of_run} {self.run_id}".encode()).hexdigest()[:12]
        return f"openstack-maintenance-{run}"

    @property
    def host_xcom(self) -> dict[str, Any]:
        """What check_host found out: address, hypervisor, and more."""
        found = self.result_of("check_host")
        if not found:
            raise HostError(
                f"host {self.request.host}",
                "this run has no result of check_host",
                "Clear check_host with Downstream.",
            )
        return dict(found)

    @property
    def hypervisor_id(self) -> str:
        """The id of the host's hypervisor, which is its resource provider's, too.

        Raises: CloudError; CheckFailed where Nova has no record of it.
        """
        checked = self.result_of("check_host")
        known = checked.get("hypervisor_id") if isinstance(checked, dict) else None
        if known:
            return str(known)
        found = self.nova.find_hypervisor(self.request.host)  # an older release kept only its name
        if found is None:
            raise CheckFailed(
                f"host {self.request.host}",
                "has no hypervisor record in Nova now, so that Placement cannot be asked about it",
                "See `openstack hypervisor list`, then clear the task.",
            )
        return found.id

    @property
    def requires_network(self) -> bool:
        """Whether the host's network agents must be proven: by the policy, else the deployment."""
        return (self.policy.network_agents or self.deployment.network_agents) == "required"

    @property
    def newest(self) -> Microversion | None:
        """Nova's newest microversion, as check_host found it."""
        checked = self.result_of("check_host")
        return parse_microversion(checked.get("microversion")) if checked else None

    def host_trigger_args(self) -> dict[str, Any]:
        """What a trigger needs to reach the host: plain JSON."""
        return {
            "ssh_conn_id": self.ssh_conn_id,
            "host": self.request.host,
            "address": self.host_xcom["address"],
            "nova_compute": self.deployment.nova_compute.plain(),
        }

    def told_before(self, key: str) -> Any:
        """What this task handed on before it was deferred; None where it did not."""
        ti = self._context["ti"]
        return plain(ti.xcom_pull(task_ids=self.task_id, key=key))

    def on_host(self, address: str | None = None) -> AbstractAsyncContextManager[Host]:
        """The host over SSH. Raises: HostError."""
        return open_host(
            self.ssh_conn_id,
            self.request.host,
            address or self.host_xcom["address"],
            self.deployment.nova_compute,
        )

    def check_ownership(self) -> ComputeService:
        """The host's nova-compute service, still disabled by this run.

        Raises: OwnershipLost when somebody enabled it, disabled it again, or took it over;
        CloudError when Nova does not know now.
        """
        service = self.nova.find_service(self.request.host)
        if service is None:
            raise CloudError(  # check_host saw it
                f"host {self.request.host}",
                "Nova does not list its nova-compute any more: it was deleted",
                "See `openstack compute service list`, then clear the failed task.",
            )
        if lost := ownership_lost(service, self.mark):
            raise lost
        return service
