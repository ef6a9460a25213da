"""What all steps of a controllers' run share: its request, its inventory, its controller."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from openstack_maintenance.adapters.policy_file import inventory
from openstack_maintenance.domain.controllers.request import (
    ControllerRequest,
    in_order,
    read_controller_request,
)
from openstack_maintenance.domain.mark import Mark
from openstack_maintenance.hooks.checks import ChecksHook
from openstack_maintenance.hooks.ssh import open_shell
from openstack_maintenance.operators.base import MaintenanceOperator, map_name, plain
from openstack_maintenance.operators.runs import running_among

if TYPE_CHECKING:
    from airflow.sdk import Context

    from openstack_maintenance.adapters.shell import Shell
    from openstack_maintenance.domain.checks.checked import Checked

CHECK = "check_controllers"
GROUP = "maintain_controller"
# For map_index_template. Before a step begins, Airflow has not resolved the group's argument in
# all cases; afterwards execute() has set the name.
NAMED = map_name("controller_name if controller_name is defined else task.controller['host']")


class ControllersOperator(MaintenanceOperator):
    """A step of a run of controller_maintenance; for one controller, where one is given.

    ``controller``: host and address, from check_controllers.
    """

    template_fields: Sequence[str] = ("controller",)
    gives_way = True

    def __init__(self, *, controller: Any = None, **kwargs: Any) -> None:
        if controller is not None:
            kwargs.setdefault("map_index_template", NAMED)
        super().__init__(**kwargs)
        self.controller = controller

    def begin(self) -> Any:
        """In the UI the step is called after its controller."""
        self._name()
        return super().begin()

    def execute_complete(self, context: Context, event: Any) -> Any:
        """Go on after a trigger."""
        self._context = context
        self._name()
        return super().execute_complete(context, event)

    def _name(self) -> None:
        if self.controller is not None:
            self._context["controller_name"] = self.host  # type: ignore[typeddict-unknown-key]

    @cached_property
    def request(self) -> ControllerRequest:  # type: ignore[override]  # worked out here
        """What the run was asked to do."""
        return read_controller_request(self.params_given)

    @property
    def host(self) -> str:
        """The controller's name in the inventory."""
        return str(self.controller["host"])

    @property
    def place(self) -> int:
        """Which of the run's controllers this is, from 0."""
        return int(self._context["ti"].map_index or 0)

    def own_result(self, step: str) -> Any:
        """What an earlier step for the same controller returned."""
        ti = self._context["ti"]
        return plain(ti.xcom_pull(task_ids=f"{GROUP}.{step}", map_indexes=self.place))

    def host_trigger_args(self) -> dict[str, Any]:
        """What a trigger needs to reach the controller: plain JSON."""
        return {
            "ssh_conn_id": self.ssh_conn_id,
            "host": self.host,
            "address": self.controller["address"],
            "nova_compute": self.deployment.nova_compute.plain(),
        }

    @cached_property
    def inventory(self) -> list[dict[str, str]]:
        """All controllers of the policy, the primary first. Raises: PolicyError."""
        return inventory(self.policy)

    def in_order(self) -> list[str]:
        """The controllers that were asked for, in the order of their maintenance."""
        return in_order(self.request, [each["host"] for each in self.inventory])

    def address_of(self, host: str) -> str:
        """Where a controller's SSH listens."""
        return next(each["address"] for each in self.inventory if each["host"] == host)

    def check_all(self) -> Checked:
        """One round of all checks, over all controllers of the inventory."""
        return asyncio.run(self._checks().check_all())

    def check_services(self) -> Checked:
        """The services of all controllers of the inventory; no API is asked."""
        return asyncio.run(self._checks().check_services())

    def _checks(self) -> ChecksHook:
        return ChecksHook(self.deployment, self.inventory, self.ssh_conn_id, self.cloud_conn_id)

    def probe_name(self, step: str) -> str:
        """What a scheduler probe of this run is called, at every try of the same step."""
        whose = f"{self.dag_id_of_run} {self.run_id} {step}"
        return f"openstack-maintenance-probe-{hashlib.sha256(whose.encode()).hexdigest()[:12]}"

    def running_among(self, marks: Iterable[Mark | None]) -> frozenset[str]:
        """The runs, other than this one, that still hold a compute host."""
        return running_among(self._context, marks, Mark(self.dag_id_of_run, self.run_id))

    def shell(self, host: str) -> AbstractAsyncContextManager[Shell]:
        """A controller over SSH. Raises: HostError."""
        return open_shell(self.ssh_conn_id, host, self.address_of(host))
