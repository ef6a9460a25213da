"""The pre-check of controllers: reads everything, changes nothing, names every blocker at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from openstack_maintenance.domain.blocker import Blocker
from openstack_maintenance.domain.controllers.plan import stages
from openstack_maintenance.domain.controllers.request import (
    check_controller_params,
    named_services,
)
from openstack_maintenance.domain.controllers.rules import masked_blockers
from openstack_maintenance.domain.errors import CloudError, HostError
from openstack_maintenance.domain.host.rights import CONTROLLER_RIGHTS
from openstack_maintenance.operators.clock import utc_now
from openstack_maintenance.operators.controllers.base import CHECK, ControllersOperator
from openstack_maintenance.operators.controllers.gate import blockers_of, services_of
from openstack_maintenance.operators.window_gate import closed_blocker
from openstack_maintenance.records.store import has_done

if TYPE_CHECKING:
    from openstack_maintenance.domain.checks.checked import Checked
    from openstack_maintenance.domain.deployment import Service

PLAN_KEY = "plan"
_UNCHANGED = "Nothing was changed."


class CheckControllersOperator(ControllersOperator):
    """Find out whether the controllers can be maintained; name every blocker otherwise.

    Returns: one dict a controller, in the order of their maintenance: host, address. The XCom
    ``plan`` says what is done to each. A dry run ends here, with no controller to go on with; so
    does a rerun of a run whose record says that it is done.

    Raises: Blocked, with all blockers and their remedies; nothing was changed.
    """

    unchanged = _UNCHANGED

    def perform(self) -> list[dict[str, str]]:
        """Read, judge, and tell."""
        hosts = [each["host"] for each in self.inventory]
        self._refuse(
            check_controller_params(self.params_given, self.request, hosts, self.deployment)
        )
        if self._is_done():
            return []
        closed = closed_blocker(self.policy, self.request, utc_now())
        checked = self.check_all()
        blockers = [closed] if closed and not self.request.dry_run else []
        blockers += self.nova.missing_rights(CONTROLLER_RIGHTS)
        for host in self.in_order():
            blockers += self._blockers(host, checked)
        self._refuse(blockers)
        if not self.request.dry_run:
            self._refuse(self._ask_scheduler())
        plan = {host: self._plan(host, checked) for host in self.in_order()}
        # A list: the order is the plan's, and Airflow's database need not keep that of a dict.
        told = [{"host": host, **each} for host, each in plan.items()]
        self.tell(PLAN_KEY, told)
        if closed:
            self.log.info("A real run started now would be refused: %s", closed)
        self._tell(plan)
        if self.request.dry_run:
            return []
        return [{"host": host, "address": self.address_of(host)} for host in plan]

    def _is_done(self) -> bool:
        """A rerun of a run that has done its work does nothing twice."""
        if not has_done(self.policy, self.dag_id_of_run, self.run_id):
            return False
        self.log.info("This run is done already. Trigger a new run to do it again.")
        self.tell(PLAN_KEY, [])
        return True

    def _blockers(self, host: str, checked: Checked) -> list[Blocker]:
        seen = checked.seen.get(host)
        services = services_of(self, seen) if seen else []
        found = blockers_of(self, host, checked, [each.name for each in services])
        if seen is None:
            return found
        wanted = named_services(self.request.services, self.deployment)
        found += masked_blockers(host, wanted, seen)
        if self.request.action == "restart" and not services:
            names = ", ".join(self.request.services) or "the catalog's services"
            found.append(
                Blocker(
                    f"controller {host}",
                    f"none of {names} is in use there",
                    "Leave it out of controllers, or name other services.",
                )
            )
        return found + self._missing_rights(host, services)

    def _ask_scheduler(self) -> list[Blocker]:
        """The round trip that must succeed after each controller, made once before any is touched.

        It takes rights, and a quota, that no question asks about. That no scheduler answers is no
        blocker: fixing that may be what the run is for.
        """
        # Brings openstacksdk: not while a DAG file is parsed.
        from openstack_maintenance.adapters.cloud_errors import Refused

        try:
            self.nova.ask_scheduler(self.probe_name(CHECK))
        except Refused as error:
            return [Blocker(error.subject, error.found, error.remedy)]
        except CloudError as error:
            self.log.warning(
                "No scheduler answered the test request. This is not a blocker: %s", error
            )
        return []

    def _missing_rights(self, host: str, services: list[Service]) -> list[Blocker]:
        try:
            missing = asyncio.run(self._ask_rights(host, services))
        except HostError as error:
            return [Blocker(error.subject, error.found, error.remedy)]
        if not missing:
            return []
        return [
            Blocker(
                f"controller {host}",
                f"the SSH login may not run with sudo: {', '.join(missing)}",
                "Allow these without a password in sudoers. include/rights/host-rights writes it.",
            )
        ]

    async def _ask_rights(self, host: str, services: list[Service]) -> tuple[str, ...]:
        # Brings asyncssh: not while a DAG file is parsed.
        from openstack_maintenance.adapters.controller import missing_rights

        async with self.shell(host) as shell:
            return await missing_rights(shell, self.deployment, self.request.action, services)

    def _plan(self, host: str, checked: Checked) -> dict[str, Any]:
        services = services_of(self, checked.seen[host])
        return {
            "action": self.request.action,
            "stages": [[each.name for each in stage] for stage in stages(services)],
            "boot_id": checked.seen[host].boot_id,
        }

    def _tell(self, plan: dict[str, Any]) -> None:
        steps = []
        for host, each in plan.items():
            what = "; then ".join(", ".join(stage) for stage in each["stages"])
            steps.append(f"reboot {host}" if each["action"] == "reboot" else f"{host}: {what}")
        said = "Dry run, nothing is changed. It would" if self.request.dry_run else "It will"
        steps = [f"{number}. {step}" for number, step in enumerate(steps, start=1)]
        self.log.info(
            "%s %s, one after the other:\n%s", said, self.request.action, "\n".join(steps)
        )

    def _refuse(self, blockers: list[Blocker]) -> None:
        self.refuse("controllers", blockers, _UNCHANGED)
