"""The lower bound that a plan is measured by: no night can be faster."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from openstack_maintenance.domain.nights.fleet import Fleet
from openstack_maintenance.domain.nights.plan import NightLimits, NightPace, NightPlan


@dataclass(frozen=True)
class Bound:
    """The least that the planned hosts take: each of ``instances`` moves once, no host waits."""

    instances: int
    makespan: timedelta


def bound_of(plan: NightPlan, fleet: Fleet, limits: NightLimits, pace: NightPace) -> Bound:
    """The lower bound of a plan: of the hosts that it does, as ``fleet`` has them before it."""
    count, ram_mib = Counter[str](), Counter[str]()
    for instance in fleet.instances:
        count[instance.host] += 1
        ram_mib[instance.host] += instance.size.ram_mib
    hosts = [each.host for each in plan.hosts]
    lengths = [pace.maintenance(count[host], ram_mib[host]) for host in hosts]
    return Bound(sum(count[host] for host in hosts), _least_time(lengths, limits.hosts_out))


def _least_time(lengths: Sequence[timedelta], slots: int) -> timedelta:
    """In no order can all be done sooner, so many at a time.

    Of any ``k * slots + 1`` hosts, some ``k + 1`` follow each other in one slot.
    """
    longest_first = sorted(lengths, reverse=True)
    rows = (
        sum(longest_first[k * slots - k : k * slots + 1], timedelta(0))
        for k in range((len(lengths) - 1) // slots + 1)
    )
    return max(sum(lengths, timedelta(0)) / slots, *rows, timedelta(0))
