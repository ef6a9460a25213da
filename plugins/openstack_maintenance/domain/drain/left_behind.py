"""Migrations that a nova-compute has left behind: Nova lists them for ever, nobody works on them.

A nova-compute that is killed loses its queue. When it starts again it takes the task off every
instance that it finds MIGRATING, and ends only records that say `running`: one that is `queued` or
`preparing` stays so (`_reset_live_migration` in nova/compute/manager.py, read in Nova 34). The
record of an instance that was deleted meanwhile it does not end, whatever that says.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from openstack_maintenance.domain.cloud import Instance, Migration

# So long its instance must be seen without a task. A rollback also takes the task off first, and
# writes the status last; and a person may have reset the state of one that Nova works on still:
# a queue goes on, and what is prepared ends within Nova's long_rpc_timeout.
IDLE = timedelta(minutes=5)
_PREPARED_WITHIN = timedelta(minutes=30)
_LONGEST = {"accepted": IDLE, "queued": IDLE, "preparing": _PREPARED_WITHIN}
# Before that nothing but its own record is looked at. What is copied live is touched every few
# seconds; a cold copy says nothing until its end.
_UNTOUCHED = timedelta(minutes=1)
_COPIES = timedelta(minutes=5)
_IN_A_SLOT = frozenset({"preparing", "running", "post-migrating"})


def may_be_left_behind(row: Migration, now: datetime) -> bool:
    """Whether its instance is worth a look. One that has no destination is nova-conductor's."""
    if not row.is_moving or row.destination is None:
        return False
    return now - row.updated_at > (_UNTOUCHED if row.is_before_copy else _COPIES)


def is_idle(row: Migration, instance: Instance | None) -> bool:
    """Whether Nova is busy with its instance no more: without a task where it was, or deleted.

    ``instance`` None: Nova no longer has it.
    """
    if instance is None:
        return True
    return row.is_before_copy and instance.task_state is None and instance.host == row.source


def is_left_behind(
    row: Migration, instance: Instance | None, idle_for: timedelta, rows: Iterable[Migration]
) -> bool:
    """Whether surely nobody works on it. ``idle_for``: so long its instance was seen idle.

    A nova-compute that still had it in its queue would have begun it: as soon as nothing else was
    migrated off its host, or before what was asked for later. ``rows``: all that are known.
    """
    if instance is None:
        return idle_for >= IDLE
    if idle_for < _LONGEST.get(row.status, timedelta.max):
        return False
    if row.status == "preparing":
        return True
    others = [each for each in rows if each.source == row.source and each.is_live]
    is_passed = any(
        each.created_at > row.created_at and each.status in _IN_A_SLOT | {"completed"}
        for each in others
    )
    return is_passed or not any(each.status in _IN_A_SLOT for each in others)


def in_words(row: Migration, instance: Instance | None) -> str:
    """What the record says of it."""
    shows = f"Nova shows its instance on {row.source} without a task"
    if instance is None:
        shows = "its instance was deleted"
    return (
        f"migration {row.uuid} stays {row.status} in Nova's list, but nobody works on it: {shows}; "
        "nova-compute was killed meanwhile. It is neither waited for nor counted"
    )
