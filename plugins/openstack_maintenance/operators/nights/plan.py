"""The plan of a night: which host goes when, and where the instances go."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow.configuration import conf

from openstack_maintenance.domain.errors import CheckFailed
from openstack_maintenance.domain.nights.bound import Bound, bound_of
from openstack_maintenance.domain.nights.due import Verdict
from openstack_maintenance.domain.nights.fleet_facts import compose_fleet
from openstack_maintenance.domain.nights.pace import learnt_pace
from openstack_maintenance.domain.nights.plan import (
    LeftOver,
    NightLimits,
    NightPace,
    NightPlan,
    PlannedHost,
    plan_night,
)
from openstack_maintenance.domain.nights.plan_in_words import plan_in_words
from openstack_maintenance.hooks.fleet_now import read_cloud
from openstack_maintenance.operators.clock import utc_now
from openstack_maintenance.operators.nights.base import (
    NIGHT_KEY,
    SELECT,
    WORDS_KEY,
    NightlyOperator,
)
from openstack_maintenance.records.last_maintenance import (
    find_last_maintenances,
    left_last_night,
)

if TYPE_CHECKING:
    from openstack_maintenance.adapters.nova import Nova
    from openstack_maintenance.domain.cloud import ComputeService
    from openstack_maintenance.domain.policy import Policy


class PlanNightOperator(NightlyOperator):
    """Plan the night from the fleet as it is now; changes nothing.

    Returns: one dict a host, in their order: host, zone, starts_seconds, seconds, destinations (by
    instance id); nothing in a dry run, whose plan is in the log and in the record. XCom ``night``:
    planned (the same), left (host, reason), instances, migrations, seconds. XCom ``words``: the
    plan as a person reads it.
    """

    def perform(self) -> list[dict[str, Any]]:
        """Read the fleet, plan, tell."""
        verdicts = [Verdict(**each) for each in self.result_of(SELECT)]
        begins, until = self._span(utc_now())
        plan, bound = plan_from_cloud(self.policy, self.nova, verdicts, begins, until)
        zone = self.policy.window.timezone
        words = plan_in_words(plan, bound, begins, until, zone)
        self.log.info("\n%s", words)
        self.tell(WORDS_KEY, words)
        hosts = [_turn(each) for each in plan.hosts]
        night = {**_night(plan, bound, verdicts), "planned": hosts}
        self.tell(NIGHT_KEY, night)
        return [] if self.request.dry_run else hosts

    def _span(self, now: datetime) -> tuple[datetime, datetime | None]:
        """From when to when hosts may be out: nothing is left of a window that has closed."""
        if self.request.ignore_window:
            return now, None
        if self.request.dry_run:
            opens, closes = coming_window(self.policy, now)
            return max(now, opens), closes
        span = self.policy.window.current(now)
        return now, span[1] if span else now


def coming_window(policy: Policy, now: datetime) -> tuple[datetime, datetime]:
    """The window that is open, or else the next one. Raises: CheckFailed, where there is none."""
    opening = policy.window.next_opening(now)
    span = policy.window.current(now) or (opening and policy.window.current(opening))
    if not span:
        raise CheckFailed(
            "maintenance window",
            f"{policy.window} does not open within a year",
            "Fix the policy's window.",
        )
    return span


def plan_from_cloud(
    policy: Policy,
    nova: Nova,
    verdicts: Iterable[Verdict],
    begins: datetime,
    until: datetime | None,
) -> tuple[NightPlan, Bound]:
    """Plan the due hosts on the cloud as it is now; with it, what no plan could do better.

    ``until``: when the window ends; None where it is ignored. Raises: CheckFailed, where as many
    hosts as may be out are out already; CloudError; PolicyError.
    """
    facts = read_cloud(nova)
    fleet = compose_fleet(
        facts, verdicts, left_last_night(policy), policy.on_blocked, policy.affinity_filter
    )
    time = until - begins if until else None
    limits = NightLimits(_slots(policy, facts.services), policy.reserve_hosts, time)
    pace = pace_of(policy)
    plan = _as_many_as_airflow_maps(plan_night(fleet, limits, pace))
    return plan, bound_of(plan, fleet, limits, pace)


def pace_of(policy: Policy) -> NightPace:
    """How long maintenance takes here, by what earlier runs have left. Raises: PolicyError."""
    assumed = NightPace(in_flight=policy.migrations_per_host)
    return learnt_pace(assumed, find_last_maintenances(policy).values())


def _slots(policy: Policy, services: Iterable[ComputeService]) -> int:
    """How many hosts may be out beside those that are.

    One at least, as those that are under way will be back. Raises: CheckFailed, where as many
    as may be out have failed, and stay out until a person has fixed them.
    """
    marks = {each.host: each.out_by for each in services if each.out_by is not None}
    out = [host for host, mark in marks.items() if mark.has_failed]
    if len(out) >= policy.max_hosts_out:
        raise CheckFailed(
            "nightly maintenance",
            f"{len(out)} of at most {policy.max_hosts_out} hosts (max_hosts_out) are out "
            f"already: {', '.join(out)}",
            "Finish these first (see their disabled_reason), or raise max_hosts_out.",
        )
    return max(1, policy.max_hosts_out - len(marks))


def _as_many_as_airflow_maps(plan: NightPlan) -> NightPlan:
    most = conf.getint("core", "max_map_length")
    why = f"Airflow maps at most {most} tasks (core.max_map_length)"
    left = [LeftOver(each.host, why) for each in plan.hosts[most:]]
    return replace(plan, hosts=plan.hosts[:most], left=(*plan.left, *left))


def _turn(planned: PlannedHost) -> dict[str, Any]:
    return {
        "host": planned.host,
        "zone": planned.zone,
        "starts_seconds": planned.starts.total_seconds(),
        "seconds": (planned.ends - planned.starts).total_seconds(),
        "destinations": {move.instance_id: move.to for move in planned.moves},
    }


def _night(plan: NightPlan, bound: Bound, verdicts: Iterable[Verdict]) -> dict[str, Any]:
    """What the report says of the plan; who is left, with the reason."""
    passed_over = [
        LeftOver(each.host, each.reason) for each in verdicts if each.kind == "passed_over"
    ]
    return {
        "left": [asdict(each) for each in (*plan.left, *passed_over)],
        "instances": bound.instances,
        "migrations": plan.migrations,
        "seconds": plan.makespan.total_seconds(),
    }
