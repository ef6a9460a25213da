"""The schedule of nightly DAGs, in the policy's time zone."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING

from airflow.sdk import CronTriggerTimetable

from openstack_maintenance.adapters.policy_file import read_policy
from openstack_maintenance.domain.errors import PolicyError
from openstack_maintenance.operators.clock import utc_now

if TYPE_CHECKING:
    from openstack_maintenance.domain.policy import Policy


def hosts_at_a_time() -> int:
    """How many hosts of a night are under way at a time: the policy's ``max_hosts_out``."""
    try:
        return read_policy().max_hosts_out
    except PolicyError:
        return 1


def at_window_start() -> CronTriggerTimetable:
    """Every night when the policy's window opens, at 01:00 where the policy cannot be read.

    Where daylight saving changes the clocks around that time, some hours earlier: the night waits.
    """
    try:
        at, _ = bell(read_policy(), utc_now())
    except PolicyError:
        return nightly("0 1 * * *")
    return nightly(f"{at.minute} {at.hour} * * *")


def bell(policy: Policy, now: datetime) -> tuple[time, timedelta]:
    """When the schedule begins a night, and how long before its window. Raises: PolicyError."""
    return policy.window.bell(now.date(), policy.length("window_patience"))


def nightly(cron: str) -> CronTriggerTimetable:
    """A cron schedule in the time zone of the policy's window.

    A policy that cannot be read leaves it at UTC: the DAG must not vanish from the UI for it,
    and its first task says what is wrong.
    """
    try:
        zone = read_policy().window.timezone
    except PolicyError:
        zone = "UTC"
    return CronTriggerTimetable(cron, timezone=zone)
