"""The nightly checks of the controllers: all services at one look, and what they are together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from openstack_maintenance.adapters.policy_file import inventory
from openstack_maintenance.domain.checks import cluster_rules
from openstack_maintenance.domain.checks.controller_facts import Broker, Cache, Clock, Database
from openstack_maintenance.domain.checks.finding import Finding
from openstack_maintenance.domain.checks.past_night import judge_night
from openstack_maintenance.domain.checks.service_rules import judge_services, restarts_of
from openstack_maintenance.hooks.ssh import open_shell
from openstack_maintenance.operators.base import MaintenanceOperator, map_name
from openstack_maintenance.operators.checks.base import CheckOperator, plain_finding
from openstack_maintenance.records.last_check import find_last_check

if TYPE_CHECKING:
    from openstack_maintenance.adapters.shell import Shell
    from openstack_maintenance.domain.checks.controller_facts import SeenController
    from openstack_maintenance.domain.checks.history import History
    from openstack_maintenance.domain.checks.night import Span

# For partial(map_index_template=...): a mapped check is called after its controller.
NAMED = map_name("task.controller['host']")
_JOURNAL = "The last lines of its journal are in the log of `report` and in the record."


class ListControllersOperator(MaintenanceOperator):
    """Read policy and catalog, and say which controllers are to be checked.

    Returns: one dict a controller: host, address.
    """

    def perform(self) -> list[dict[str, str]]:
        """Read both files; what is wrong with them is said here. Raises: PolicyError."""
        controllers = inventory(self.policy)
        names = ", ".join(each["host"] for each in controllers)
        self.log.info("%s: %s", self.deployment.title, names)
        return controllers


class CheckControllerOperator(CheckOperator):
    """Every service of the catalog on one controller, in one SSH round trip.

    Of a past night: what its units' times and its journal prove.
    """

    template_fields: Sequence[str] = ()

    def __init__(self, *, controller: dict[str, str], **kwargs: Any) -> None:
        """``controller``: host and address, from list_controllers."""
        super().__init__(**kwargs)
        self.controller = controller

    def subject(self) -> str:
        """The controller."""
        return f"controller {self.controller['host']}"

    def remedy(self) -> str:
        """Where the journal's lines are."""
        return _JOURNAL

    def look(self) -> dict[str, Any]:
        """All that is now."""
        host = self.controller["host"]
        last = find_last_check(self.policy, host)
        seen = asyncio.run(self._read())
        groups = judge_services(self.deployment, seen, last)
        return {
            **self._found(groups),
            "clock": seen.clock_now.isoformat(),
            "boot_id": seen.boot_id,
            "restarts": restarts_of(seen),
            "broker": asdict(seen.broker) if seen.broker else None,
            "database": asdict(seen.database) if seen.database else None,
            "cache": asdict(seen.cache) if seen.cache else None,
            "clock_facts": asdict(seen.clock),
        }

    def look_back(self, night: Span) -> dict[str, Any]:
        """What is proven of that night, never today's state."""
        history = asyncio.run(self._read_history(night))
        return self._found(judge_night(self.deployment, history, night))

    def _found(self, groups: Mapping[str, Sequence[Finding]]) -> dict[str, Any]:
        # A list: Airflow's database need not keep the order of a dict (PostgreSQL does not).
        told = [
            {"title": title, "findings": [plain_finding(each) for each in findings]}
            for title, findings in groups.items()
        ]
        findings = [each for group in told for each in group["findings"]]
        return {**self.controller, "groups": told, "findings": findings}

    async def _read(self) -> SeenController:
        from openstack_maintenance.adapters.controller import read_controller

        async with self._shell() as shell:
            return await read_controller(shell, self.deployment)

    async def _read_history(self, night: Span) -> History:
        from openstack_maintenance.adapters.controller import read_history

        async with self._shell() as shell:
            return await read_history(shell, self.deployment, night)

    def _shell(self) -> AbstractAsyncContextManager[Shell]:
        return open_shell(self.ssh_conn_id, self.controller["host"], self.controller["address"])


def _judges(
    judge: Callable[[Mapping[str, Any]], list[Finding]],
) -> Callable[[CheckOperator], dict[str, Any]]:
    """A verdict over what check_controller brought from all controllers; reads nothing again.

    Skipped for a past night: nobody keeps a history of it. ``judge`` gets plain JSON by controller.
    """

    def look(step: CheckOperator) -> dict[str, Any]:
        found = {each["host"]: each for each in step.controllers_found()}
        if not found:
            raise AirflowSkipException("No controller could be read, so nothing is known of this.")
        return {"findings": [plain_finding(each) for each in judge(found)]}

    return look


def _judge_broker(found: Mapping[str, Any]) -> list[Finding]:
    told = {host: each["broker"] for host, each in found.items()}
    return cluster_rules.judge_broker(
        {
            host: Broker(**{key: _tupled(value) for key, value in broker.items()})
            if broker
            else None
            for host, broker in told.items()
        }
    )


def _judge_database(found: Mapping[str, Any]) -> list[Finding]:
    told = {host: each["database"] for host, each in found.items()}
    return cluster_rules.judge_database(
        {host: Database(**database) if database else None for host, database in told.items()}
    )


def _judge_cache(found: Mapping[str, Any]) -> list[Finding]:
    told = {host: each["cache"] for host, each in found.items()}
    return cluster_rules.judge_cache(
        {host: Cache(**cache) if cache else None for host, cache in told.items()}
    )


def _judge_clocks(found: Mapping[str, Any]) -> list[Finding]:
    return cluster_rules.judge_clocks(
        {host: Clock(**each["clock_facts"]) for host, each in found.items()}
    )


# A controller that cannot be read must not hide what is known of the others.
_EVEN_SO = "all_done"


class CheckBrokerClusterOperator(CheckOperator):
    """All members of the broker's cluster run, without partitions and alarms."""

    look = _judges(_judge_broker)
    runs_when = _EVEN_SO


class CheckDatabaseOperator(CheckOperator):
    """The database answers a query; where it is a Galera cluster, it is whole and synced."""

    look = _judges(_judge_database)
    runs_when = _EVEN_SO


class CheckMemcachedOperator(CheckOperator):
    """memcached answers."""

    look = _judges(_judge_cache)
    runs_when = _EVEN_SO


class CheckClocksOperator(CheckOperator):
    """The controllers' clocks are kept, and agree with each other."""

    look = _judges(_judge_clocks)
    runs_when = _EVEN_SO


def _tupled(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
