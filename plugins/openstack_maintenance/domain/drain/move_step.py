"""The next step of one instance's move, decided from what Nova shows right now.

Nothing is remembered between steps but what the move was asked to be and when it began: after
any death the same facts lead to the same next step, so a move is never done twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from openstack_maintenance.domain.cloud import FAILED, Instance, Migration
from openstack_maintenance.domain.drain.movability import Method

# So is an instance that Nova places on a host: one without a host is misread, not shelved.
_ON_A_HOST = frozenset({"active", "paused", "suspended", "rescued", "resized"})
# How long Nova may take to show a migration it accepted.
_UNSEEN = timedelta(seconds=60)


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
    """What a move was asked to be. ``since``: when the drain began, by Nova's clock (UTC)."""

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
    newest migration it knew of then; ``running_since``: when it first saw the migration beyond
    Nova's queue.
    """

    posted_at: datetime | None = None
    posted_after: int = 0
    running_since: datetime | None = None


def timeout(order: Order) -> timedelta:
    """How long one running migration may take: by RAM, at least 2 GiB, as in Nova."""
    return order.timeout_per_gib * max(2.0, order.ram_mib / 1024)


def next_step(
    order: Order,
    instance: Instance | None,
    migrations: Sequence[Migration],
    memory: Memory,
    now: datetime,
) -> Decision:
    """Decide one step. ``migrations``: this instance's, oldest first. Times by Nova's clock.

    ``instance`` None means that Nova no longer has it.
    """
    ours = [each for each in migrations if each.source == order.source]
    last = ours[-1] if ours else None
    if last is not None and last.is_moving:
        return _under_way(order, last, memory, now)
    if instance is None:
        return Decision(Step.DONE, "was deleted meanwhile: nothing to move")
    if instance.status == "VERIFY_RESIZE":
        return _verify_resize(order, instance, last)
    if instance.task_state is not None:
        return Decision(Step.WAIT, f"Nova is busy with it ({instance.task_state})")
    if instance.host != order.source:
        return _elsewhere(order, instance, last, memory)
    if memory.posted_at is not None and (last is None or last.id <= memory.posted_after):
        return _unseen(memory.posted_at, now)
    return _start(order, instance, ours)


def _under_way(order: Order, last: Migration, memory: Memory, now: datetime) -> Decision:
    since = memory.running_since
    # Nova cannot abort a cold migration, and its disk decides how long it takes.
    if not last.is_live or since is None or now - since <= timeout(order):
        return Decision(Step.WAIT, f"migration {last.status}", migration=last)
    limit = int(timeout(order).total_seconds())
    why = f"is {last.status} for longer than {limit} s, its limit by RAM"
    return Decision(order.on_stuck, why, migration=last)


def _verify_resize(order: Order, instance: Instance, last: Migration | None) -> Decision:
    if last is None or last.is_live or last.kind != "migration":
        return Decision(
            Step.FAIL,
            "waits for its owner to confirm a resize",
            "Confirm or revert the resize, then clear this task.",
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
    order: Order, instance: Instance, last: Migration | None, memory: Memory
) -> Decision:
    if instance.host is None and instance.vm_state in _ON_A_HOST:
        return Decision(Step.WAIT, f"Nova shows it {instance.status} but on no host")
    if instance.vm_state == "stopped" and _was_stopped_for_this(order, last):
        return Decision(Step.START_GUEST, "arrived; was running before")
    if instance.host is None:
        return Decision(Step.DONE, "is no longer on a host (shelved): nothing to move")
    if last is None:
        return Decision(Step.DONE, f"was moved to {instance.host} by someone else")
    if instance.vm_state == "error":
        fault = f" ({instance.fault})" if instance.fault else ""
        return Decision(
            Step.FAIL,
            f"arrived on {instance.host} but is in ERROR{fault}",
            "Check whether its guest runs there and fix its state, then clear this task.",
        )
    if memory.posted_at is None:
        # Somebody else's migration, or this run's own from before its triggerer died.
        why = f"moved to {instance.host} by a migration that was under way already"
        return Decision(Step.DONE, why, migration=last)
    return Decision(Step.DONE, f"moved to {instance.host}", migration=last)


def _was_stopped_for_this(order: Order, last: Migration | None) -> bool:
    """Whether a guest that is off had to be stopped for this move, and so must run again."""
    if not order.was_running or order.method == "cold":
        return False
    moved_cold = last is not None and not last.is_live
    return order.method == "stop" or (order.may_stop and moved_cold)


def _unseen(posted_at: datetime, now: datetime) -> Decision:
    if now - posted_at < _UNSEEN:
        return Decision(Step.WAIT, "Nova accepted the migration, but does not list it yet")
    return Decision(
        Step.FAIL,
        "Nova was asked to migrate it, but shows no migration",
        "Check that nova-conductor and the message broker work, then clear this task.",
    )


def _start(order: Order, instance: Instance, ours: Sequence[Migration]) -> Decision:
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
        if instance.vm_state == "stopped" and _was_stopped_for_this(order, ours[-1]):
            return Decision(Step.START_GUEST, "cannot move cold; was running before")
        return _gave_up(order, tried)
    if instance.vm_state == "stopped":
        return Decision(Step.START_COLD, _once_more(tried))
    if order.method == "stop" and instance.vm_state in {"active", "error"}:
        return Decision(Step.STOP, "cannot move live")
    return Decision(
        Step.FAIL,
        f"became {instance.status} and cannot be migrated",
        "Bring it to ACTIVE or SHUTOFF, then clear this task.",
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
