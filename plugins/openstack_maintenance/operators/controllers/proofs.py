"""Prove that everything serves again after a controller's maintenance, and no instance noticed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from openstack_maintenance.domain.controllers.instance_changes import (
    compare_instances,
    picture_of,
)
from openstack_maintenance.domain.errors import CheckFailed
from openstack_maintenance.hooks.cloud_hook import CloudHook
from openstack_maintenance.operators.clock import utc_now
from openstack_maintenance.operators.controllers.base import ControllersOperator
from openstack_maintenance.operators.controllers.notes import note_of
from openstack_maintenance.operators.wait import wait
from openstack_maintenance.records.last_check import write_last_checks
from openstack_maintenance.records.store import write_note
from openstack_maintenance.triggers.controller_wait import (
    ChecksPassTrigger,
    HeartbeatsTrigger,
    ServingTrigger,
)


class CheckControllerAgainOperator(ControllersOperator):
    """All checks of controller_checks pass again, on all controllers, at two looks in a row.

    Returns: verdicts (how many findings have which), services by controller, cloud by check.
    """

    def perform(self) -> None:
        """Leave the waiting to the triggerer."""
        wait(self, ChecksPassTrigger, "checks_timeout", controllers=self.inventory)

    def resume(self, event: Mapping[str, Any]) -> Any:
        """Tonight's checks compare with how it is now, not with before the maintenance."""
        result = dict(super().resume(event))
        write_last_checks(self.policy, result.pop("seen"))
        told = ", ".join(f"{count} {verdict}" for verdict, count in result["verdicts"].items())
        self.log.info("controller %s: all checks pass, twice in a row: %s", self.host, told)
        return result


class CheckServingOperator(ControllersOperator):
    """The APIs serve: a new token, a server list, and a round trip to a scheduler and back.

    Returns: token, servers_listed, scheduler (its answer, and how long it took).
    """

    def perform(self) -> None:
        """Get a token; leave the rest to the triggerer, which tries until it serves."""
        wait(self, ServingTrigger, "checks_timeout", probe=self.probe_name(self.host))

    def resume(self, event: Mapping[str, Any]) -> Any:
        """Whoever resumes has a connection of its own: its token is new."""
        token = CloudHook(self.cloud_conn_id).get_health().new_token()
        told = {"user": token.user, "expires": token.expires.isoformat()}
        result = super().resume(event)
        servers = result["servers_listed"]
        self.log.info(
            "the APIs serve: a new token, a list of %s instances, a scheduler's answer", servers
        )
        return {"token": told, **result}


class WaitForNovaServicesOperator(ControllersOperator):
    """Every Nova service that was up before is up again, nova-compute on all hosts included.

    Returns: heartbeats (three different ones of each, all seen after the change).
    """

    def perform(self) -> None:
        """Leave the waiting to the triggerer."""
        before = note_of(self, "before")
        wait(self, HeartbeatsTrigger, "checks_timeout", services=before["nova_services"])

    def resume(self, event: Mapping[str, Any]) -> Any:
        """All are back."""
        result = super().resume(event)
        told = ", ".join(result["heartbeats"])
        self.log.info("up, and their heartbeats advance: %s", told)
        return result


class CheckInstancesOperator(ControllersOperator):
    """No instance noticed: each has the host, the status and the power state of before.

    Returns: compared_at, before_at, instances (how many), told (what others changed meanwhile).
    Raises: CheckFailed, naming each instance that changed.
    """

    def perform(self) -> dict[str, Any]:
        """List all instances, and compare with what was noted before the change."""
        before = note_of(self, "before")
        after: dict[str, Any] = {
            "at": utc_now().isoformat(),
            "instances": [picture_of(each) for each in self.nova.instances()],
        }
        write_note(self.policy, self.dag_id_of_run, self.run_id, f"after-{self.host}", after)
        changes = compare_instances(before["instances"], after["instances"])
        for each in changes.told:
            self.log.info("%s", each)
        if changes.findings:
            raise self._changed(changes.findings)
        but = " except for what others did (above)" if changes.told else ""
        self.log.info(
            "controller %s: %s instances compared with before its maintenance: no change%s",
            self.host,
            len(before["instances"]),
            but,
        )
        return {
            "compared_at": after["at"],
            "before_at": before["at"],
            "instances": len(before["instances"]),
            "told": list(changes.told),
        }

    def _changed(self, findings: Sequence[str]) -> CheckFailed:
        return CheckFailed(
            "instances",
            f"changed during the maintenance of {self.host}: {'; '.join(findings)}",
            "`openstack server event list ID` shows who did it. If it was intended, mark "
            "check_instances as success. If not, fix the instances, then clear "
            "check_instances with Downstream.",
        )
