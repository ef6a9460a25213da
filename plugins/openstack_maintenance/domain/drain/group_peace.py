"""When a member of an anti-affinity group may move: not right after another one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from openstack_maintenance.domain.cloud import Migration

# Nova's scheduler learns where a live migration went only when the hosts next tell it what they
# have: scheduler_instance_sync_interval, 120 s. Until then it refuses hosts that are free of the
# group, and chooses one that is not; the pre-check there finds out, and Nova sets the instance to
# ERROR. Source: nova.compute.manager _sync_scheduler_instance_info, Nova 34 on the lab.
LEARNS_WITHIN = timedelta(seconds=130)
# A host that was rebooted empty tells the scheduler two minutes after its start, whenever that was:
# so long a refusal may be a mistake, and is asked about again.
FORGIVES_WITHIN = timedelta(seconds=150)
ASKS_AGAIN_AFTER = timedelta(seconds=20)


def mistaken_refusals(migrations: Iterable[Migration], since: datetime) -> list[Migration]:
    """A member's migrations that no host was found for, and that need not mean anything.

    ``migrations``: the instance's, oldest first; those before ``since`` do not count. From the
    first refusal on, the scheduler gets some minutes to learn better.
    """
    refused = [each for each in migrations if each.created_at >= since and found_no_host(each)]
    return [each for each in refused if each.created_at - refused[0].created_at < FORGIVES_WITHIN]


def found_no_host(migration: Migration) -> bool:
    """Whether it ended before the scheduler had a host for it."""
    return migration.status == "error" and migration.destination is None


def restless_because(
    instance_id: str, groups: Mapping[str, str], migrations: Iterable[Migration], now: datetime
) -> str | None:
    """Why a member must wait for its group; None when it may move, or is in none.

    ``groups``: the id of each instance's anti-affinity group. ``migrations``: of the last minutes
    at least. ``now`` is by Nova's clock.
    """
    group = groups.get(instance_id)
    if group is None:
        return None
    others = [
        each
        for each in migrations
        if each.instance_id != instance_id and groups.get(each.instance_id) == group
    ]
    if any(each.is_moving for each in others):
        return f"another member of its server group {group} is being migrated"
    moved = [each.updated_at for each in others if each.is_live and each.status == "completed"]
    if moved and now - max(moved) < LEARNS_WITHIN:
        return (
            f"another member of its server group {group} has just moved, and Nova's scheduler "
            "may not know yet where it is"
        )
    return None
