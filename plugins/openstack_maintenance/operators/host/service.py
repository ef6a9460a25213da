"""Take the host's nova-compute out of scheduling, and give it back."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowRescheduleException

from openstack_maintenance.domain.cloud import SHUT
from openstack_maintenance.domain.errors import (
    Blocked,
    CheckFailed,
    CloudError,
    OwnershipLost,
    PolicyError,
)
from openstack_maintenance.domain.host.rules import (
    hosts_out_blocker,
    owner_blocker,
    rebooted_blocker,
)
from openstack_maintenance.domain.ownership import ownership_lost, silent_cell
from openstack_maintenance.operators.clock import utc_now
from openstack_maintenance.operators.controllers_at_work import controllers_at_work
from openstack_maintenance.operators.deeds import find_deed, note_deed
from openstack_maintenance.operators.host.base import HostOperator
from openstack_maintenance.operators.rescheduled import Rescheduled
from openstack_maintenance.operators.runs import running_among
from openstack_maintenance.operators.window_gate import awaited_opening
from openstack_maintenance.records.deeds import Deed

if TYPE_CHECKING:
    from openstack_maintenance.domain.blocker import Blocker
    from openstack_maintenance.domain.cloud import ComputeService

_LOOK_AGAIN = timedelta(seconds=15)
_ENABLE = Deed(
    "enable",
    ("at",),
    "whether this run has enabled the host",
    "`openstack compute service list --long` shows how the host is now.",
)


class DisableServiceOperator(Rescheduled, HostOperator):
    """Disable the host's nova-compute with this run's mark, so that nothing new lands there.

    One at a time in the whole Airflow, and every gate is read again here, so two runs never
    take one host, and never more than ``max_hosts_out`` hosts are out.

    Whatever it waits for, the window or an answer, it is rescheduled meanwhile: no other run waits
    for this one, an emergency least of all.

    Returns: disabled_reason, disabled_at, and who had the host before (``took_over``).
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_active_tis_per_dag=1, **kwargs)

    def begin(self) -> Any:
        """Disable the host, or come back when the window opens that has closed meanwhile."""
        if opening := awaited_opening(self.policy, self.request):
            self.log.info("The window is closed; looking again at %s.", opening.isoformat())
            raise AirflowRescheduleException(opening)
        return self.perform()

    def perform(self) -> dict[str, Any]:
        """Read the gates, disable, and read back what Nova stored."""
        host, nova = self.request.host, self.nova
        services = nova.services("nova-compute")
        service = next((each for each in services if each.host == host), None)
        if service is None:
            service = nova.get_service(host)
        others = running_among(self._context, [service.mark], self.mark)
        self._refuse(owner_blocker(service, self.mark, others))
        self._wait_for_controllers()
        self._refuse(hosts_out_blocker(host, self.policy, services))
        if (due_in := self.turn.boot_id) and not self.mark.same_run(service.mark):
            self._refuse(rebooted_blocker(service, self.mark, due_in, asyncio.run(self._boot_id())))
        before = service.mark
        is_new = service.is_enabled
        if is_new or service.disabled_reason != str(self.mark):
            nova.disable(service, str(self.mark))
        service = self.check_ownership()
        if is_new and controllers_at_work(self):
            # Both have begun in the same moment: this one has done nothing yet.
            nova.enable(service)
            raise AirflowRescheduleException(utc_now() + _LOOK_AGAIN)
        self.log.info("host %s: nova-compute disabled: %s", host, service.disabled_reason)
        took_over = before.run_id if before and not self.mark.same_run(before) else None
        return {
            "disabled_reason": service.disabled_reason,
            "disabled_at": utc_now().isoformat(),
            "took_over": took_over,
        }

    def _wait_for_controllers(self) -> None:
        """Come back later, while a run has a controller out of service."""
        if run := controllers_at_work(self):
            self.log.info("waits until the run %s of controller_maintenance has ended", run)
            raise AirflowRescheduleException(utc_now() + _LOOK_AGAIN)

    async def _boot_id(self) -> str:
        async with self.on_host() as opened:
            return await opened.boot_id()

    def _refuse(self, blocker: Blocker | None) -> None:
        if blocker is not None:
            raise Blocked(blocker.subject, blocker.reason, blocker.remedy)


class EnableServiceOperator(HostOperator):
    """Give the host back: enable what this run disabled, and nothing else.

    Not bound to the window: a healthy host that stays out helps nobody.
    """

    def perform(self) -> dict[str, Any]:
        """Enable, and read back what Nova stored."""
        host, nova = self.request.host, self.nova
        service = nova.get_service(host)
        if service.is_enabled:
            # Only this run's own earlier try may have done that.
            self._must_be_ours()
        else:
            if lost := ownership_lost(service, self.mark):
                raise lost
            # Enabled while Nova takes it for down, it would stay shut in Placement.
            self._must_be(service, "disabled")
            self._note()
            nova.enable(service)
        service = nova.get_service(host)
        self._must_be(service, "enabled")
        if self._open_in_placement(service):
            self.log.info("host %s: in service again: its nova-compute is enabled and up", host)
        return {"enabled_at": utc_now().isoformat(), "state": "enabled, up"}

    def _must_be(self, service: ComputeService, wanted: str) -> None:
        """Raises: CheckFailed, where its nova-compute is not up, and ``wanted``; CloudError."""
        if service.is_unknown:
            raise silent_cell(service)
        state = "enabled" if service.is_enabled else "disabled"
        if service.is_up and state == wanted:
            return
        raise CheckFailed(
            f"host {service.host}",
            f"Nova shows its nova-compute {state}, {'up' if service.is_up else 'down'}",
            "See `openstack compute service list`, then clear enable_service.",
        )

    def _open_in_placement(self, service: ComputeService) -> bool:
        """Nova tells Placement through nova-compute whom it has disabled; such a call can be lost.

        Then nothing would ever be scheduled to the host, although Nova shows it as enabled.
        Returns: False where somebody has disabled it again meanwhile, which is his to undo.
        Raises: CheckFailed; CloudError.
        """
        if not self._is_shut():
            return True
        host, nova = service.host, self.nova
        service = nova.get_service(host)
        if not service.is_enabled:
            self.log.warning("host %s: somebody has disabled it since this run enabled it", host)
            return False
        self.log.warning("host %s: Placement still has it as disabled: told once more", host)
        nova.disable(service, str(self.mark))
        service = nova.get_service(host)
        if lost := ownership_lost(service, self.mark):
            raise lost
        nova.enable(service)
        if self._is_shut():
            raise CheckFailed(
                f"host {host}",
                "Nova has it enabled, but Placement still marks it as disabled (the trait "
                f"{SHUT}), so nothing is scheduled there",
                "Restart nova-compute on it: it sets that right as it starts. Then clear "
                "enable_service.",
            )
        return True

    def _is_shut(self) -> bool:
        try:
            provider = self.hypervisor_id
            return SHUT in self.nova.traits([provider]).get(provider, frozenset())
        except (CloudError, CheckFailed) as error:  # the host is healthy, and in service by Nova
            self.log.warning("whether Placement has it as disabled is not known: %s", error)
            return False

    def _note(self) -> None:
        try:
            note_deed(self, _ENABLE, "enabling", {"at": utc_now().isoformat()})
        except PolicyError as error:  # a healthy host is given back all the same
            self.log.warning("%s", error)

    def _must_be_ours(self) -> None:
        if find_deed(self, _ENABLE, "enabling") is None:
            raise OwnershipLost(
                f"host {self.request.host}",
                "somebody else enabled it while this run maintained it",
                "This run has nothing left to do. Find out who enabled it, and whether that was "
                "right.",
            )
