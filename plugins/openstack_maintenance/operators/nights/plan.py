"""The plan of a night: which host goes when, and where the instances go."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.configuration import conf

from openstack_maintenance.domain.errors import CheckFailed
from openstack_maintenance.domain.moment import read_moment
from openstack_maintenance.domain.nights.bound import Bound, bound_of
from openstack_maintenance.domain.nights.due import Verdict
from openstack_maintenance.domain.nights.experience import Experience
from openstack_maintenance.domain.nights.limit import Limit
from openstack_maintenance.domain.nights.outlook import Outlook, outlook_of
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
from openstack_maintenance.domain.nights.rehearsal import NIGHTS, Rehearsal, Rules, rehearse
from openstack_maintenance.domain.nights.rehearsal_in_words import (
    rehearsal_as_json,
    rehearsal_in_words,
)
from openstack_maintenance.domain.nights.tonight import Tonight, compose_tonight
from openstack_maintenance.domain.record_name import file_name
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
    find_left,
)
from openstack_maintenance.records.past_runs import find_past_runs

if TYPE_CHECKING:
    from openstack_maintenance.adapters.nova import Nova
    from openstack_maintenance.domain.policy import Policy


# What ends a phase that fails: the field of the policy.
_TIMEOUTS = {"stop": "stop_timeout", "boot": "reboot_timeout", "proofs": "nova_compute_timeout"}
_A_NIGHT = timedelta(days=1)
# To read the records, where nobody waits for an answer within seconds.
_READ_SECONDS = 60.0


class PlanNightOperator(NightlyOperator):
    """Plan the night from the fleet as it is now; changes nothing.

    Returns: one dict a host, in their order: host, zone, starts_seconds, seconds, destinations (by
    instance id); nothing in a dry run, whose plan is in the log and in the record. XCom ``night``:
    planned (the same), left (host, reason), instances, migrations, seconds, outlook; in a dry run
    also rehearsal (see `rehearsal_as_json`). XCom ``words``: the plan as a person reads it.
    """

    def perform(self) -> list[dict[str, Any]]:
        """Read the fleet, plan, tell."""
        verdicts = [Verdict(**each) for each in self.result_of(SELECT)]
        begins, until = self._span(utc_now())
        tonight = read_tonight(self.policy, self.nova, verdicts)
        most = self.request.at_most
        plan, bound = plan_tonight(self.policy, tonight, begins, until, most)
        zone = self.policy.window.timezone
        words = plan_in_words(plan, bound, begins, until, zone)
        outlook = self._outlook(tonight, plan)
        if outlook and (said := outlook.in_words()):
            words = f"{words}\n\n{said}"
        self.log.info("\n%s", words)
        self.tell(WORDS_KEY, words)
        hosts = [_turn(each) for each in plan.hosts]
        night = {
            **_night(plan, bound, verdicts),
            "planned": hosts,
            "outlook": outlook and outlook.as_json(),
        }
        if self.request.dry_run:
            night["rehearsal"] = self._rehearse(tonight, plan, begins, until)
        self.tell(NIGHT_KEY, night)
        return [] if self.request.dry_run else hosts

    def _outlook(self, tonight: Tonight, plan: NightPlan) -> Outlook | None:
        """Of a night as the schedule makes them: one that a person limited says nothing."""
        request = self.request
        if request.at_most is not None or request.limit != Limit() or request.ignore_window:
            return None
        return outlook_of(tonight, plan, self.policy.due.days_since_boot)

    def _rehearse(
        self, tonight: Tonight, plan: NightPlan, begins: datetime, until: datetime | None
    ) -> dict[str, Any]:
        """Play the night as often as a task has time for; the same as `make rehearse`."""
        found = rehearse_tonight(self.policy, tonight, plan, begins, until, patience_seconds=4)
        zone = self.policy.window.timezone
        self.log.info("\n%s", rehearsal_in_words(found, begins, until, zone))
        return rehearsal_as_json(found)

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
    return plan_tonight(policy, read_tonight(policy, nova, verdicts), begins, until)


def read_tonight(policy: Policy, nova: Nova, verdicts: Iterable[Verdict]) -> Tonight:
    """The fleet as it is now. Raises: CloudError; PolicyError."""
    facts = read_cloud(nova)
    now, done = utc_now(), find_last_maintenances(policy)
    left = {
        host: now - since if since else _A_NIGHT
        for host, since in find_left(policy).items()
        if not _was_done_since(done.get(file_name(host)), since)
    }
    return compose_tonight(facts, verdicts, left, policy.on_blocked, policy.affinity_filter)


def _was_done_since(told: Mapping[str, Any] | None, since: datetime | None) -> bool:
    """Whether a run of its own has maintained a host that a night had left."""
    ended = read_moment(told.get("ended_at")) if told else None
    return ended is not None and since is not None and ended > since


def plan_tonight(
    policy: Policy,
    tonight: Tonight,
    begins: datetime,
    until: datetime | None,
    at_most: int | None = None,
) -> tuple[NightPlan, Bound]:
    """The same, of a fleet that was read. ``at_most``: so many hosts.

    Raises: CheckFailed; PolicyError.
    """
    limits, pace = limits_of(policy, tonight, begins, until), pace_of(policy)
    plan = _as_many_as_airflow_maps(plan_night(tonight.fleet, limits, pace))
    if at_most is not None:
        plan = _first(plan, at_most, f"this run does at most {at_most} hosts (at_most)")
    return plan, bound_of(plan, tonight.fleet, limits, pace)


def limits_of(
    policy: Policy, tonight: Tonight, begins: datetime, until: datetime | None
) -> NightLimits:
    """What the night keeps to. Raises: CheckFailed, where no host may go out."""
    length = until - begins if until else None
    return NightLimits(_slots(policy, tonight), policy.reserve_hosts, length)


def pace_of(policy: Policy) -> NightPace:
    """How long maintenance takes here, by what earlier runs have left. Raises: PolicyError."""
    assumed = NightPace(in_flight=policy.migrations_per_host)
    return learnt_pace(assumed, find_last_maintenances(policy).values())


def _slots(policy: Policy, tonight: Tonight) -> int:
    """How many hosts may be out beside those that are.

    One at least, as those that are under way will be back. Raises: CheckFailed, where as many
    as may be out have failed, and stay out until a person has fixed them.
    """
    if len(tonight.failed) >= policy.max_hosts_out:
        raise CheckFailed(
            "nightly maintenance",
            f"{len(tonight.failed)} of at most {policy.max_hosts_out} hosts (max_hosts_out) are "
            f"out already: {', '.join(tonight.failed)}",
            "Finish these first (see their disabled_reason), or raise max_hosts_out.",
        )
    return max(1, policy.max_hosts_out - len(tonight.failed) - len(tonight.working))


def rehearse_tonight(
    policy: Policy,
    tonight: Tonight,
    plan: NightPlan,
    begins: datetime,
    until: datetime | None,
    *,
    seed: int = 1,
    nights: int = NIGHTS,
    patience_seconds: float | None = None,
) -> Rehearsal:
    """Play the plan, with what the records teach.

    ``patience_seconds``: to read, and again to play; then what there is has to do. None plays
    every night. Raises: CheckFailed; PolicyError.
    """
    pace = pace_of(policy)
    experience = Experience(
        find_past_runs(policy, patience_seconds or _READ_SECONDS),
        pace,
        {phase: policy.length(name).total_seconds() for phase, name in _TIMEOUTS.items()},
    )
    rules = Rules(limits_of(policy, tonight, begins, until), pace, policy.failure_budget)
    ends = time.monotonic() + patience_seconds if patience_seconds else math.inf
    return rehearse(
        tonight.fleet,
        plan,
        rules,
        experience,
        seed=seed,
        nights=nights,
        blocking=tonight.blocking,
        is_time_up=lambda: time.monotonic() > ends,
    )


def _as_many_as_airflow_maps(plan: NightPlan) -> NightPlan:
    most = conf.getint("core", "max_map_length")
    return _first(plan, most, f"Airflow maps at most {most} tasks (core.max_map_length)")


def _first(plan: NightPlan, most: int, why: str) -> NightPlan:
    """The first hosts of a plan; the others are left."""
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
