"""The hosts that are due tonight."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from airflow.sdk.exceptions import DownstreamTasksSkipped

from openstack_maintenance.adapters.policy_file import script_names
from openstack_maintenance.domain.cloud import IRONIC, Hypervisor
from openstack_maintenance.domain.errors import (
    Blocked,
    CheckFailed,
    CloudError,
    MaintenanceError,
)
from openstack_maintenance.domain.host.facts import find_wrong_host
from openstack_maintenance.domain.host.facts_rules import check_nova_compute, check_rights
from openstack_maintenance.domain.host.rules import COMPUTE, controller_blocker
from openstack_maintenance.domain.moment import read_moment
from openstack_maintenance.domain.nights.due import (
    Candidate,
    Verdict,
    judge_due,
    unknown_names,
    unseen,
)
from openstack_maintenance.domain.nights.limit import Limit
from openstack_maintenance.domain.nights.plan_in_words import verdicts_in_words
from openstack_maintenance.domain.nights.request import check_night_params
from openstack_maintenance.domain.params import unknown_script
from openstack_maintenance.domain.record_name import file_name
from openstack_maintenance.hooks.fleet_now import HostLooks, read_hosts
from openstack_maintenance.hooks.ssh import check_connection
from openstack_maintenance.operators.clock import utc_now
from openstack_maintenance.operators.nights.base import LEFT_KEY, PLAN, NightlyOperator
from openstack_maintenance.operators.nights.dead_runs import (
    dead_in_words,
    judge_marks,
    set_marks_right,
)
from openstack_maintenance.operators.nights.open_hosts import open_closed
from openstack_maintenance.operators.schedule import bell
from openstack_maintenance.operators.window_gate import closed_blocker
from openstack_maintenance.records.last_maintenance import find_last_maintenances

if TYPE_CHECKING:
    from openstack_maintenance.adapters.nova import Nova
    from openstack_maintenance.domain.cloud import ComputeService
    from openstack_maintenance.domain.deployment import Deployment
    from openstack_maintenance.domain.host.facts import HostFacts
    from openstack_maintenance.domain.policy import Policy


class SelectHostsOperator(NightlyOperator):
    """Find the hosts that are due tonight; one SSH round trip a host.

    Changes nothing, but opens what an earlier night may have left closed for new instances, and
    writes "failed" over the mark of a run that has ended and could not do so.

    A run that begins shortly before the window waits for it, without a worker slot; a dry run
    does not. On a night on which the policy has no window there is nothing to do, and no fault.

    Returns: one dict a host, see `Verdict`.
    Raises: Blocked, for params that make no sense or a window that stays closed; CheckFailed,
    where there is no compute host at all, or not one could be looked at; HostError, where the SSH
    connection cannot be used.
    """

    def perform(self) -> Any:
        """Refuse what cannot be done tonight; wait for the window where something is to be done."""
        if why := self._why_no_night():
            self.log.info("Nothing is done tonight: %s.", why)
            self.tell(LEFT_KEY, why)
            raise DownstreamTasksSkipped(tasks=[PLAN])
        blockers = check_night_params(self.params_given, self.request, script_names())
        blockers += unknown_script(self.policy.script, script_names(), "policy script")
        closed = closed_blocker(self.policy, self.request, utc_now())
        if closed and not self.request.dry_run:
            blockers.append(closed)
        self.refuse("nightly maintenance", blockers, "Nothing was changed.")
        if closed:
            self.log.info("A real run started now would be refused: %s", closed)
        if not self.request.dry_run:
            self.wait_for_window()
        return self.select()

    def _why_no_night(self) -> str | None:
        """Why the policy has no window on the date that the schedule began this run for."""
        run, window = self._context["dag_run"], self.policy.window
        kind, moment = str(getattr(run.run_type, "value", run.run_type)), run.logical_date
        # A run by hand has a logical date as well, where the UI's form gives it one.
        if moment is None or kind == "manual" or window.current(utc_now()) is not None:
            return None
        try:
            _, lead = bell(self.policy, moment)
            return window.why_none((moment + lead).astimezone(ZoneInfo(window.timezone)).date())
        except OverflowError:
            return None

    def select(self) -> list[dict[str, Any]]:
        """Read, judge, and say why."""
        judged = judge_marks(self, self.nova.services("nova-compute"))
        if not self.request.dry_run:
            open_closed(self._context, self.nova, self.own_mark)
            set_marks_right(self, judged)
        for host, mark in judged.dead.items():
            self.log.warning("%s.", dead_in_words(host, mark))
        candidates = find_candidates(
            self.policy, self.deployment, self.nova, self.ssh_conn_id, limit=self.request.limit
        )
        verdicts = judge_all(self.policy, candidates, self.since, utc_now())
        self.log.info("\n%s", verdicts_in_words(verdicts))
        return [asdict(each) for each in verdicts]


def judge_all(
    policy: Policy, candidates: Sequence[Candidate], since: datetime, now: datetime
) -> list[Verdict]:
    """Who is due of the whole fleet. Raises: MaintenanceError: not one host could be looked at."""
    verdicts = [judge_due(each, policy.due, since, now) for each in candidates]
    if blind := unseen(candidates, verdicts):
        raise _saw_nothing(blind, candidates)
    return verdicts + unknown_names(policy.due, candidates)


def find_candidates(
    policy: Policy,
    deployment: Deployment,
    nova: Nova,
    ssh_conn_id: str,
    *,
    hosts: Collection[str] | None = None,
    limit: Limit | None = None,
) -> list[Candidate]:
    """Every compute host as it is now; one that cannot be read says why in its ``unreadable``.

    ``hosts``: of these only, where Nova knows them; each is one SSH round trip. ``limit``: others
    are not looked at.

    Raises: CheckFailed, where there is no compute host at all; Blocked, where Nova does not know a
    name of the limit; HostError, where the SSH connection is missing or cannot be used for any
    host; CloudError; PolicyError.
    """
    everything = nova.services()
    services = _computes(everything)
    if hosts is not None:
        services = [each for each in services if each.host in hosts]
    hypervisors = nova.hypervisors()
    bare_metal = _bare_metal(hypervisors)
    names = {each.host: each.hostname for each in hypervisors}
    aggregates, maintained = nova.aggregates(), find_last_maintenances(policy)
    outside = _outside(limit or Limit(), services, aggregates)
    of_guests = [each for each in services if each.host not in bare_metal | outside.keys()]
    addresses = _addresses(policy, hypervisors, of_guests)
    looks = asyncio.run(_look(addresses, deployment, ssh_conn_id))
    return [
        Candidate(
            service,
            aggregates.get(service.host, frozenset()),
            is_bare_metal=service.host in bare_metal,
            outside=outside.get(service.host),
        )
        if service.host in bare_metal | outside.keys()
        else _candidate(
            service,
            looks,
            aggregates.get(service.host, frozenset()),
            maintained.get(file_name(service.host)),
            partial(_unfit, service, names.get(service.host, ""), policy, everything),
        )
        for service in services
    ]


def _outside(
    limit: Limit, services: Sequence[ComputeService], aggregates: Mapping[str, frozenset[str]]
) -> dict[str, str]:
    """Why hosts are none of this run's, by host. Raises: Blocked."""
    names = frozenset[str]().union(*aggregates.values())
    unknown = limit.unknown({each.host for each in services}, {s.zone for s in services}, names)
    if unknown:
        first = unknown[0]
        raise Blocked(first.subject, first.reason, f"{first.remedy} No host was touched.")
    found = {
        each.host: limit.why_outside(each.host, each.zone, aggregates.get(each.host, frozenset()))
        for each in services
    }
    return {host: why for host, why in found.items() if why is not None}


def _saw_nothing(blind: Sequence[Verdict], candidates: Iterable[Candidate]) -> MaintenanceError:
    """Asked again for a while, where somebody may answer then."""
    # Brings asyncssh: not while a DAG file is parsed.
    from openstack_maintenance.adapters.shell import HostUnreachable

    kinds: list[type[MaintenanceError]] = [CheckFailed]
    for each in candidates:
        kinds += [CloudError] if each.service.is_unknown else []
        kinds += [HostUnreachable] if each.is_silent else []
    first, others = blind[0], len(blind) - 1
    more = f" (and {others} more)" if others else ""
    return kinds[-1](
        "nightly maintenance",
        f"not one compute host could be looked at, so nothing is known of them: {first.host}"
        f"{more}: {first.reason.rstrip('.')}",
        "Put that right, then clear this task. No host was touched.",
    )


def _computes(everything: Iterable[ComputeService]) -> list[ComputeService]:
    services = [each for each in everything if each.binary == COMPUTE]
    if not services:
        raise CheckFailed(
            "nightly maintenance",
            "Nova knows no nova-compute service",
            "See `openstack compute service list`.",
        )
    return services


async def _look(addresses: dict[str, str], deployment: Deployment, ssh_conn_id: str) -> HostLooks:
    # What is wrong with the connection itself is a fault, not a reason to pass over every host.
    await check_connection(ssh_conn_id)
    return await read_hosts(addresses, deployment, ssh_conn_id)


def _addresses(
    policy: Policy, hypervisors: Sequence[Hypervisor], services: list[ComputeService]
) -> dict[str, str]:
    """Where the SSH of each host listens that is worth asking."""
    known = {each.host: each.host_ip for each in hypervisors} | policy.addresses
    asked = [each.host for each in services if (each.is_enabled or each.is_closed) and each.is_up]
    return {host: known[host] for host in asked if known.get(host)}


def _bare_metal(hypervisors: Iterable[Hypervisor]) -> frozenset[str]:
    """The hosts all of whose hypervisors are Ironic's nodes."""
    kinds: dict[str, set[str]] = defaultdict(set)
    for each in hypervisors:
        kinds[each.host].add(each.hypervisor_type)
    return frozenset(host for host, found in kinds.items() if found == {IRONIC})


def _candidate(
    service: ComputeService,
    looks: HostLooks,
    aggregates: frozenset[str],
    maintained: dict[str, Any] | None,
    unfit: Callable[[HostFacts], str | None],
) -> Candidate:
    ended = read_moment(maintained["ended_at"]) if maintained else None
    rebooted = ended if maintained and maintained.get("rebooted", True) else None
    facts = looks.facts.get(service.host)
    if facts is None:
        why = looks.unread.get(service.host, "Nova has no address for it")
        silent = service.host in looks.silent
        return Candidate(service, aggregates, unreadable=why, maintained=ended, is_silent=silent)
    return Candidate(
        service,
        aggregates,
        booted=facts.booted,
        reboot_required="; ".join(facts.reboot_reasons) or None,
        maintained=ended,
        rebooted=rebooted,
        reboot_unread=facts.reboot_unread,
        boot_id=facts.boot_id,
        unfit=unfit(facts),
    )


def _unfit(
    service: ComputeService,
    hypervisor: str,
    policy: Policy,
    everything: Sequence[ComputeService],
    facts: HostFacts,
) -> str | None:
    """What its own run's first step would refuse it for."""
    blockers = [
        find_wrong_host(facts, service.host, hypervisor),
        controller_blocker(service.host, policy, everything),
        *check_rights(facts, service.host),
        *check_nova_compute(service, facts.nova_compute),
    ]
    found = [each for each in blockers if each is not None]
    if not found:
        return None
    more = f" (and {len(found) - 1} more in the way)" if len(found) > 1 else ""
    return f"{found[0].reason}{more}. {found[0].remedy}"
