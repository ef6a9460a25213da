"""The next step of one instance's move, decided from what Nova shows right now.

Nothing is remembered between steps but what the move was asked to be and when it began: after
any death the same facts lead to the same next step, so a move is never done twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from openstack_maintenance.domain.cloud import FAILED, POWER_NAMES, SHUTDOWN, Instance, Migration
from openstack_maintenance.domain.drain.movability import Method

# How long Nova may take to show a migration it accepted.
_UNSEEN = timedelta(seconds=60)
# Whether Nova took a request whose answer was an error shows by then: the API itself sets the
# task_state of what it takes, and refuses a second request while it is set.
_ASKS_AGAIN = timedelta(seconds=10)
# How long the source may take to tell Nova where an instance went, once Nova says completed.
_TELLS_ITS_HOST = timedelta(minutes=5)
# A migration that nobody works on any more: nova-conductor took it off its queue, and died.
_FORGOTTEN = timedelta(minutes=5)
_FORGOTTEN_FOR_SURE = timedelta(minutes=10)
_BEFORE_ANY_HOST = frozenset({"accepted", "pre-migrating"})
# So far back a migration may have been asked for by this run's earlier tries.
_EARLIER = timedelta(days=1)


class Step(Enum):
    """What to do for one instance now."""

    WAIT = "wait"
    START_LIVE = "start_live"
    START_COLD = "start_cold"
    CONFIRM = "confirm"
    STOP = "stop"
    START_GUEST = "start_guest"
    ABORT = "abort"
    FORCE_COMPLETE = "force_complete"
    DONE = "done"
    FAIL = "fail"


@dataclass(frozen=True)
class Order:
    """What a move was asked to be. ``since``: when the drain began, by Nova's clock (UTC).

    ``copied_gib``: the disks that a block migration copies besides its RAM.
    """

    instance_id: str
    name: str
    source: str
    method: Method
    was_running: bool
    ram_mib: int
    since: datetime
    retries: int
    timeout_per_gib: timedelta
    on_stuck: Step
    may_stop: bool
    copied_gib: float = 0.0


@dataclass(frozen=True)
class Decision:
    """A step and, for people, why; for FAIL also what to do."""

    step: Step
    why: str = ""
    remedy: str = ""
    migration: Migration | None = None


@dataclass(frozen=True)
class Memory:
    """What this process remembers of a move. All of it may be lost at any time.

    ``posted_at``: when it last asked Nova to move the instance; ``posted_after``: the id of the
    newest migration it knew of then; ``is_unsure``: Nova's answer to it was an error, and it may
    have taken it all the same; ``running_since``: when it first saw the migration beyond Nova's
    queue; ``is_passed_by``: migrations that were asked for later have gone on meanwhile.
    """

    posted_at: datetime | None = None
    posted_after: int = 0
    running_since: datetime | None = None
    is_unsure: bool = False
    is_passed_by: bool = False


def timeout(order: Order) -> timedelta:
    """How long one running migration may take: by RAM, at least 2 GiB, and the disks to be copied.

    Source: _live_migration_data_gb in nova/virt/libvirt/driver.py.
    """
    return order.timeout_per_gib * (max(2.0, order.ram_mib / 1024) + order.copied_gib)


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


def next_step(
    order: Order,
    instance: Instance | None,
    migrations: Sequence[Migration],
    memory: Memory,
    now: datetime,
    is_owed: bool | None = None,
) -> Decision:
    """Decide one step. ``migrations``: this instance's, oldest first. Times by Nova's clock.

    ``instance`` None means that Nova no longer has it. ``is_owed``: whether its guest is owed its
    start; whoever ends the move pays that. None where an older release stored the move and kept no
    debts: then it is inferred, and the start is a step of the move.
    """
    ours = [each for each in migrations if each.source == order.source]
    last = ours[-1] if ours else None
    if last is not None and last.is_moving:
        if not _is_lost(last, memory, now):
            return _under_way(order, last, memory, now)
        if instance is not None and (instance.task_state or instance.vm_state == "error"):
            return _lost(instance, last, now)
        ours = ours[:-1]  # it was ended by hand: its record alone stays as it was
        last = ours[-1] if ours else None
    if instance is None:
        return Decision(Step.DONE, "was deleted meanwhile: nothing to move")
    if instance.vm_state == "soft-delete":
        return Decision(Step.DONE, "was deleted meanwhile (it can be restored): nothing to move")
    if instance.status == "VERIFY_RESIZE":
        return _verify_resize(order, instance, last)
    if last is not None and last is migrations[-1] and _is_misplaced(order, instance, last):
        return _misplaced(order, instance, last, now)
    if instance.task_state is not None:
        return Decision(Step.WAIT, f"Nova is busy with it ({instance.task_state})")
    if instance.host != order.source:
        return _elsewhere(order, instance, last, memory, is_owed)
    if _is_awaited(last, memory, now):
        return _unseen(memory, now)
    return _start(order, instance, ours, is_owed)


def _under_way(order: Order, last: Migration, memory: Memory, now: datetime) -> Decision:
    since = memory.running_since
    # Nova cannot abort a cold migration, and its disk decides how long it takes.
    if not last.is_live or since is None or now - since <= timeout(order):
        return Decision(Step.WAIT, f"migration {last.status}", migration=last)
    limit = int(timeout(order).total_seconds())
    by = "RAM and disks" if order.copied_gib else "RAM"
    why = f"is {last.status} for longer than {limit} s, its limit by {by}"
    return Decision(order.on_stuck, why, migration=last)


def _is_lost(last: Migration, memory: Memory, now: datetime) -> bool:
    return is_forgotten(last, now) or (memory.is_passed_by and may_be_forgotten(last, now))


def _lost(instance: Instance, last: Migration, now: datetime) -> Decision:
    minutes = int((now - last.updated_at).total_seconds() // 60)
    off = (
        f", then `openstack server stop {instance.id}`" if instance.power_state == SHUTDOWN else ""
    )
    return Decision(
        Step.FAIL,
        f"Nova accepted its migration {minutes} minutes ago, but nobody works on it "
        "(no destination was chosen: nova-conductor may have been restarted meanwhile). "
        f"{_seen(instance)}",
        f"Check that nova-conductor runs. Run `openstack server set --state active {instance.id}`"
        f"{off}, then clear this task.",
    )


def _seen(instance: Instance) -> str:
    """Where a guest is, as far as Nova shows it."""
    power = POWER_NAMES.get(instance.power_state, str(instance.power_state))
    return f"Nova shows its guest on {instance.host}, power_state {power}"


def _is_misplaced(order: Order, instance: Instance, newest: Migration) -> bool:
    """Whether Nova says that its newest migration is completed, and yet shows it on the source."""
    is_elsewhere = newest.destination not in (None, order.source)
    is_recent = newest.created_at > order.since - _EARLIER
    is_done = newest.is_live and newest.status == "completed"
    return is_done and is_elsewhere and is_recent and instance.host == order.source


def _misplaced(order: Order, instance: Instance, newest: Migration, now: datetime) -> Decision:
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


def _verify_resize(order: Order, instance: Instance, last: Migration | None) -> Decision:
    if last is None or last.is_live or last.kind != "migration":
        if instance.host not in (None, order.source):
            why = f"was resized by its owner and is on {instance.host} now: nothing to move"
            return Decision(Step.DONE, why)
        return Decision(
            Step.FAIL,
            "waits for its owner to confirm a resize",
            f"Confirm the resize (`openstack server resize confirm {instance.id}`) or revert it, "
            "then clear this task.",
        )
    if instance.host == order.source:
        return Decision(
            Step.FAIL,
            f"was migrated, but Nova still shows it on {order.source}",
            "See `openstack server migration list`, then clear this task.",
        )
    if last.status in {"confirming", "confirmed"}:
        # Nova takes one confirm a migration, and answers 400 to a second.
        return Decision(Step.WAIT, "arrived cold, Nova is confirming it")
    return Decision(Step.CONFIRM, "arrived cold", migration=last)


def _elsewhere(
    order: Order,
    instance: Instance,
    last: Migration | None,
    memory: Memory,
    is_owed: bool | None,
) -> Decision:
    if instance.host is None:
        if instance.vm_state == "shelved_offloaded":
            return Decision(Step.DONE, "is no longer on a host (shelved): nothing to move")
        return Decision(Step.WAIT, f"Nova shows it {instance.status} but on no host")
    if instance.vm_state == "stopped" and is_owed is None and _was_stopped(order, last):
        return Decision(Step.START_GUEST, "arrived; was running before")
    if last is None:
        return Decision(Step.DONE, f"was moved to {instance.host} by someone else")
    if instance.vm_state == "error":
        fault = f" ({instance.fault})" if instance.fault else ""
        why = f"arrived on {instance.host} but is in ERROR{fault}"
        return _in_error(order, instance, last, why)
    off = ""
    if instance.vm_state == "stopped" and order.was_running and is_owed is False:
        off = "; it was shut down by its owner meanwhile and stays off"
    if memory.posted_at is None:
        # Somebody else's migration, or this run's own from before its triggerer died.
        why = f"moved to {instance.host} by a migration that was under way already{off}"
        return Decision(Step.DONE, why, migration=last)
    return Decision(Step.DONE, f"moved to {instance.host}{off}", migration=last)


def _was_stopped(order: Order, last: Migration | None) -> bool:
    """Where no debts are kept: whether a guest that is off had to be stopped for this move."""
    if not order.was_running or order.method == "cold":
        return False
    moved_cold = last is not None and not last.is_live
    return order.method == "stop" or (order.may_stop and moved_cold)


def _is_awaited(last: Migration | None, memory: Memory, now: datetime) -> bool:
    """Whether Nova was asked for a migration that it does not show, and may still show."""
    if memory.posted_at is None or (last is not None and last.id > memory.posted_after):
        return False
    return not memory.is_unsure or now - memory.posted_at < _ASKS_AGAIN


def _unseen(memory: Memory, now: datetime) -> Decision:
    if memory.is_unsure:
        return Decision(Step.WAIT, "whether Nova took the request for its migration is not known")
    if memory.posted_at is None or now - memory.posted_at < _UNSEEN:
        return Decision(Step.WAIT, "Nova accepted the migration, but does not list it yet")
    return Decision(
        Step.FAIL,
        "Nova was asked to migrate it, but shows no migration",
        "Check that nova-conductor and the message broker work, then clear this task.",
    )


def _start(
    order: Order, instance: Instance, ours: Sequence[Migration], is_owed: bool | None
) -> Decision:
    failures = [each for each in ours if each.status in FAILED | {"completed", "confirmed"}]
    tried = [each for each in failures if each.created_at >= order.since]
    live_failed = sum(each.is_live for each in tried)
    cold_failed = len(tried) - live_failed
    if instance.vm_state in {"active", "paused"} and order.method != "stop":
        if live_failed <= order.retries:
            return Decision(Step.START_LIVE, _once_more(tried))
        if order.may_stop and instance.vm_state == "active" and cold_failed <= order.retries:
            return Decision(Step.STOP, "cannot move live")
        return _gave_up(order, tried)
    if cold_failed > order.retries:
        is_off = instance.vm_state == "stopped"
        if is_off and is_owed is None and _was_stopped(order, ours[-1]):
            return Decision(Step.START_GUEST, "cannot move cold; was running before")
        return _gave_up(order, tried)
    if instance.vm_state == "stopped":
        return Decision(Step.START_COLD, _once_more(tried))
    if order.method == "stop" and instance.vm_state in {"active", "error"}:
        return Decision(Step.STOP, "cannot move live")
    if instance.vm_state == "error":
        return _went_to_error(order, instance, tried)
    return Decision(
        Step.FAIL,
        f"became {instance.status} and cannot be migrated",
        "Bring it to ACTIVE or SHUTOFF, then clear this task.",
    )


def _went_to_error(order: Order, instance: Instance, tried: Sequence[Migration]) -> Decision:
    last = tried[-1] if tried else None
    when = ""
    if last is not None:
        to = f" to {last.destination}" if last.destination else ""
        when = f" when its migration{to} ended as {last.status}"
    fault = f" ({instance.fault})" if instance.fault else ""
    why = f"became ERROR on {instance.host}{when}{fault}"
    return _in_error(order, instance, last, why)


def _in_error(order: Order, instance: Instance, last: Migration | None, why: str) -> Decision:
    ends = [order.source, instance.host, last.destination if last else None]
    hosts = " and ".join(dict.fromkeys(each for each in ends if each))
    return Decision(
        Step.FAIL,
        why,
        f"{_seen(instance)}. Look for it on {hosts} (`virsh list --all`). If it runs on "
        f"{instance.host}, run "
        f"`openstack server set --state active {instance.id}`, then clear this task. If it runs "
        "elsewhere, have its host in Nova's record set right first.",
        migration=last,
    )


def _once_more(tried: Sequence[Migration]) -> str:
    return f"the last try ended as {tried[-1].status}" if tried else "first try"


def _gave_up(order: Order, tried: Sequence[Migration]) -> Decision:
    last = tried[-1]
    to = f" to {last.destination}" if last.destination else ""
    logs = " and ".join(each for each in (order.source, last.destination) if each)
    return Decision(
        Step.FAIL,
        f"its migration{to} ended as {last.status} ({len(tried)} tries)",
        f"Fix the cause (nova-compute's log on {logs} tells more), then clear this task with "
        "Downstream.",
        migration=last,
    )
