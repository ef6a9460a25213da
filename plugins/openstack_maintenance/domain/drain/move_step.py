"""The next step of one instance's move, decided from what Nova shows right now.

Nothing is remembered between steps but what the move was asked to be and when it began: after
any death the same facts lead to the same next step, so a move is never done twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from openstack_maintenance.domain.cloud import FAILED, Instance, Migration
from openstack_maintenance.domain.drain.ladder import Climb, Rung, next_rung
from openstack_maintenance.domain.drain.move_order import Decision, Memory, Order, Step, timeout
from openstack_maintenance.domain.drain.move_trouble import (
    in_error,
    is_lost,
    is_misplaced,
    lost,
    misplaced,
    went_to_error,
)

# How long Nova may take to show a migration it accepted.
_UNSEEN = timedelta(seconds=60)
# Whether Nova took a request whose answer was an error shows by then: the API itself sets the
# task_state of what it takes, and refuses a second request while it is set.
_ASKS_AGAIN = timedelta(seconds=10)


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
    if ours and ours[-1].is_moving:
        is_left = ours[-1].id == memory.left_behind
        decision = None if is_left else _moving(order, instance, ours[-1], memory, now)
        if decision:
            return decision
        ours = ours[:-1]  # nobody works on it: its record alone stays as it was
    last = ours[-1] if ours else None
    if instance is None:
        return Decision(Step.DONE, "was deleted meanwhile: nothing to move")
    if instance.vm_state == "soft-delete":
        return Decision(Step.DONE, "was deleted meanwhile (it can be restored): nothing to move")
    if instance.status == "VERIFY_RESIZE":
        return _verify_resize(order, instance, last)
    if last is not None and last is migrations[-1] and is_misplaced(order, instance, last):
        return misplaced(order, instance, last, now)
    if instance.task_state is not None:
        return Decision(Step.WAIT, f"Nova is busy with it ({instance.task_state})")
    if instance.host != order.source:
        return _elsewhere(order, instance, last, memory, is_owed)
    if _is_awaited(last, memory, now):
        return _unseen(memory, now)
    return _start(order, instance, ours, is_owed)


def _moving(
    order: Order, instance: Instance | None, last: Migration, memory: Memory, now: datetime
) -> Decision | None:
    """What to do while Nova lists its migration as moving; None where nobody works on that."""
    if not is_lost(last, memory, now):
        return _under_way(order, last, memory, now)
    if instance is not None and (instance.task_state or instance.vm_state == "error"):
        return lost(order, instance, last, now)
    return None


def _under_way(order: Order, last: Migration, memory: Memory, now: datetime) -> Decision:
    since = memory.running_since
    # Nova cannot abort a cold migration, and its disk decides how long it takes.
    if not last.is_live or since is None:
        return Decision(Step.WAIT, f"migration {last.status}", migration=last)
    limit = timeout(order)
    climb = Climb(
        status=last.status,
        ran_for=now - since,
        limit=limit,
        still_for=now - memory.left.since if memory.left else None,
        may_force=order.on_stuck is Step.FORCE_COMPLETE,
        is_forced=memory.forced == last.id,
    )
    rung = next_rung(climb)
    why = f"migration {last.status}"
    if rung is Rung.FEWER:
        why = f"{why}, but comes no nearer to its end: nothing else starts beside it"
    elif climb.ran_for > limit:
        by = "RAM and disks" if order.copied_gib else "RAM"
        why = f"is {last.status} for longer than {int(limit.total_seconds())} s, its limit by {by}"
        if climb.is_forced:
            why = f"{why}, also after Nova was asked to complete it by force"
    return Decision(Step(rung.value), why, migration=last)


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
        return in_error(order, instance, last, why)
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
        return went_to_error(order, instance, tried)
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
