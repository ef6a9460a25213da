"""The schedule of nightly DAGs, in the policy's time zone."""

from __future__ import annotations

from datetime import time

from airflow.sdk import CronTriggerTimetable

from openstack_maintenance.adapters.policy_file import read_policy
from openstack_maintenance.domain.errors import PolicyError


def hosts_at_a_time() -> int:
    """How many hosts of a night are under way at a time: the policy's ``max_hosts_out``."""
    try:
        return read_policy().max_hosts_out
    except PolicyError:
        return 1


def at_window_start() -> CronTriggerTimetable:
    """Every night when the policy's window opens, at 01:00 where the policy cannot be read."""
    try:
        start = time.fromisoformat(read_policy().window.start)
    except PolicyError:
        return nightly("0 1 * * *")
    return nightly(f"{start.minute} {start.hour} * * *")


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
