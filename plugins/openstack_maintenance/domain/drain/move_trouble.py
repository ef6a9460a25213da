"""What a dying control plane leaves of a move, and what a person is told about it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from openstack_maintenance.domain.cloud import POWER_NAMES, SHUTDOWN, Instance, Migration
from openstack_maintenance.domain.drain.move_order import Decision, Memory, Order, Step

# How long the source may take to tell Nova where an instance went, once Nova says completed.
_TELLS_ITS_HOST = timedelta(minutes=5)
# A migration that nobody works on any more: nova-conductor took it off its queue, and died.
_FORGOTTEN = timedelta(minutes=5)
_FORGOTTEN_FOR_SURE = timedelta(minutes=10)
_CONDUCTOR = "Check that nova-conductor runs."
_BEFORE_ANY_HOST = frozenset({"accepted", "pre-migrating"})
# So far back a migration may have been asked for by this run's earlier tries.
_EARLIER = timedelta(days=1)


def is_forgotten(migration: Migration, now: datetime) -> bool:
    """Whether surely nobody works on a migration any more, although Nova lists it as moving."""
    return _untouched_for(migration, now) > _FORGOTTEN_FOR_SURE


def may_be_forgotten(migration: Migration, now: datetime) -> bool:
    """Whether nobody may work on it any more: what its instance shows tells."""
    return _untouched_for(migration, now) > _FORGOTTEN


def _untouched_for(migration: Migration, now: datetime) -> timedelta:
    """How long a migration has waited for nova-conductor to choose its host."""
    if migration.status not in _BEFORE_ANY_HOST or migration.destination is not None:
        return timedelta(0)
    return now - migration.updated_at


def _is_unheard(migration: Migration, now: datetime) -> bool:
    """Whether the order to the source was lost on its way: whoever takes it writes `queued`.

    A source that is down would read it later; but then its moves have ended before.
    """
    is_ordered = migration.status == "accepted" and migration.destination is not None
    return is_ordered and migration.is_live and now - migration.updated_at > _FORGOTTEN_FOR_SURE


def is_lost(last: Migration, memory: Memory, now: datetime) -> bool:
    if is_forgotten(last, now) or _is_unheard(last, now):
        return True
    return memory.is_passed_by and may_be_forgotten(last, now)


def lost(order: Order, instance: Instance, last: Migration, now: datetime) -> Decision:
    minutes = int((now - last.updated_at).total_seconds() // 60)
    why = "no destination was chosen: nova-conductor may have been restarted meanwhile"
    check = _CONDUCTOR
    if last.destination is not None:
        check = f"See nova-compute's log on {order.source}."
        why = f"{order.source} has not taken the order: its message may have been lost"
    off = (
        f", then `openstack server stop {instance.id}`" if instance.power_state == SHUTDOWN else ""
    )
    return Decision(
        Step.FAIL,
        f"Nova accepted its migration {minutes} minutes ago, but nobody works on it "
        f"({why}). {_seen(instance)}",
        f"{check} Run `openstack server set --state active {instance.id}`{off}, then clear "
        "this task.",
        sought=_ends(order, instance, last) if last.is_live else (),
        first=check,
    )


def _seen(instance: Instance) -> str:
    """Where a guest is, as far as Nova shows it."""
    power = POWER_NAMES.get(instance.power_state, str(instance.power_state))
    return f"Nova shows its guest on {instance.host}, power_state {power}"


def is_misplaced(order: Order, instance: Instance, newest: Migration) -> bool:
    """Whether Nova says that its newest migration is completed, and yet shows it on the source."""
    is_elsewhere = newest.destination not in (None, order.source)
    is_recent = newest.created_at > order.since - _EARLIER
    is_done = newest.is_live and newest.status == "completed"
    return is_done and is_elsewhere and is_recent and instance.host == order.source


def misplaced(order: Order, instance: Instance, newest: Migration, now: datetime) -> Decision:
    to, source = newest.destination, order.source
    if now - newest.updated_at < _TELLS_ITS_HOST:
        return Decision(Step.WAIT, f"arrived on {to}, but Nova still shows it on {source}")
    return Decision(
        Step.FAIL,
        f"Nova says the migration to {to} is completed but still shows the instance on {source} "
        f"(task_state {instance.task_state or 'none'}): its guest runs on {to}",
        f"See nova-compute's log on {source} (post-live-migration). Do not run `openstack server "
        f"set --state active {instance.id}` alone: {source} may then stop the guest. Have the host "
        f"in Nova's record of the instance set to {to}, then clear this task.",
    )


def went_to_error(order: Order, instance: Instance, tried: Sequence[Migration]) -> Decision:
    last = tried[-1] if tried else None
    when = ""
    if last is not None:
        to = f" to {last.destination}" if last.destination else ""
        when = f" when its migration{to} ended as {last.status}"
    fault = f" ({instance.fault})" if instance.fault else ""
    why = f"became ERROR on {instance.host}{when}{fault}"
    return in_error(order, instance, last, why)


def in_error(order: Order, instance: Instance, last: Migration | None, why: str) -> Decision:
    sought = _ends(order, instance, last)
    return Decision(
        Step.FAIL,
        why,
        f"{_seen(instance)}. Look for it on {' and '.join(sought)} (`virsh list --all`). If it "
        "runs on "
        f"{instance.host}, run "
        f"`openstack server set --state active {instance.id}`, then clear this task. If it runs "
        "elsewhere, have its host in Nova's record set right first.",
        migration=last,
        sought=sought if last is not None and last.is_live else (),
    )


def _ends(order: Order, instance: Instance, last: Migration | None) -> tuple[str, ...]:
    """The hosts on which its guest may be."""
    ends = [order.source, instance.host, last.destination if last else None]
    return tuple(dict.fromkeys(each for each in ends if each))
