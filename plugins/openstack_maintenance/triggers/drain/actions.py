"""What a move asks of Nova: its migration, the stop of its guest, a confirm, an abort."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Protocol

from openstack_maintenance.domain.drain.move_order import Decision, Memory, Step
from openstack_maintenance.triggers.drain.claims import Slots
from openstack_maintenance.triggers.drain.debtor import Debtor
from openstack_maintenance.triggers.drain.ledger import MigrationLedger
from openstack_maintenance.triggers.drain.move import Move
from openstack_maintenance.triggers.drain.room import check_room_for_cold
from openstack_maintenance.triggers.drain.setbacks import is_refusal, is_worth_a_look
from openstack_maintenance.triggers.drain.tries import try_step
from openstack_maintenance.triggers.drain.turns import Turns

if TYPE_CHECKING:
    from openstack_maintenance.adapters.nova import Nova


class MustWait(Protocol):
    """Why nothing may be begun for a move now; None when it may."""

    def __call__(self, move: Move, *, is_live: bool) -> str | None: ...


class Actions:
    """Performs steps. ``same``: the other moves of a move's instance."""

    def __init__(
        self,
        nova: Nova,
        ledger: MigrationLedger,
        turns: Turns,
        slots: Slots,
        same: Callable[[Move], list[Move]],
    ) -> None:
        self._nova = nova
        self._ledger = ledger
        self._turns = turns
        self._slots = slots
        self._same = same
        self._debtor = Debtor(nova)

    async def perform(self, move: Move, decision: Decision, must_wait: MustWait) -> str | None:
        """Perform a step, or say why that must wait. Raises: MaintenanceError."""
        is_live = decision.step is Step.START_LIVE
        if is_live or decision.step is Step.START_COLD:
            if move.memory.is_unsure:  # Nova did not take it: it holds no slot
                move.memory = replace(move.memory, posted_at=None, is_unsure=False)
                self._turns.look_again()
                await self._slots.give_back(move)
            if why := must_wait(move, is_live=is_live) or self._is_asked_for(move):
                return f"waits for its turn: {why}"
            if why := await self._slots.take(move, is_live=is_live):
                return f"waits for its turn: {why}"
            await self._start(move, decision)
            return None
        if decision.step is Step.STOP and (why := must_wait(move, is_live=False)):
            return f"waits for its turn: {why}"  # and its guest runs on meanwhile
        return await self._perform(move, decision)

    async def _start(self, move: Move, decision: Decision) -> None:
        request, order = move.request, move.order
        is_live = decision.step is Step.START_LIVE
        known = self._ledger.of(order.instance_id)
        move.memory = Memory(self._nova.now(), posted_after=known[-1].id if known else 0)
        self._turns.look_again()
        move.waiting_since = datetime.now(UTC)
        move.say(f"asks Nova for a {'live' if is_live else 'cold'} migration: {decision.why}")
        move.note(decision.step.value, decision.why, self._nova.now())
        to = self._destination(move)
        if is_live:
            post = partial(self._nova.live_migrate, order.instance_id, to, request.block_migration)
        else:
            post = partial(self._nova.cold_migrate, order.instance_id, to)
        await self._post(move, post)

    async def _post(self, move: Move, post: Callable[[], None]) -> None:
        """Ask; an answer that is an error says nothing about whether Nova took it."""
        try:
            move.posting = asyncio.create_task(asyncio.to_thread(post))
            await asyncio.shield(move.posting)
        except Exception as error:
            if is_refusal(error) or is_worth_a_look(error):
                await self._slots.give_back(move)
            else:
                move.memory = replace(move.memory, is_unsure=True)
                move.unsure_since = move.unsure_since or datetime.now(UTC)
            raise

    def _is_asked_for(self, move: Move) -> str | None:
        """Two moves of one instance: the second one sees first what becomes of the first."""
        if any(map(self._ledger.is_unseen, self._same(move))):
            return "another run has just asked Nova to migrate it"
        return None

    def _destination(self, move: Move) -> str | None:
        """Where to; a plan's suggestion is tried once, then Nova's scheduler chooses."""
        if not move.request.is_suggestion:
            return move.request.destination
        tried = self._ledger.was_tried(move.order)
        return None if tried or move.is_suggestion_refused else move.request.destination

    async def _perform(self, move: Move, decision: Decision) -> str | None:
        """One action; what ended or changed in this very moment is looked at once more."""
        from openstack_maintenance.adapters.cloud_errors import Conflict, Refused

        move.stale = True
        if not await try_step(self._nova, move, decision):
            return f"waits before the next try to {decision.step.value.replace('_', ' ')}"
        move.say(f"{decision.step.value.replace('_', ' ')}: {decision.why}")
        move.note(decision.step.value, decision.why, self._nova.now())
        before = move.memory
        try:
            await self._act(move, decision)
        except Refused as error:
            if decision.step is Step.FORCE_COMPLETE and decision.migration is not None:
                # It has ended in this moment, or Nova never will: then it is aborted.
                move.memory = replace(before, forced=decision.migration.id)
                move.note("refused", error.found, self._nova.now())
                return f"Nova refused to complete it by force: {error.found}"
            raise Conflict(error.subject, error.found, error.remedy) from error
        except Exception:
            move.memory = before  # not known whether it was heard: looked at, and asked again
            raise
        move.asked[decision.step] += 1
        move.asked_at = datetime.now(UTC)
        return None

    async def _act(self, move: Move, decision: Decision) -> None:
        instance_id = move.order.instance_id
        if decision.step is Step.CONFIRM:
            await asyncio.to_thread(self._nova.confirm, instance_id)
        elif decision.step is Step.STOP:
            await self._stop(move)
        elif decision.step is Step.START_GUEST:
            await asyncio.to_thread(self._nova.start_guest, instance_id)
        elif decision.migration is not None:
            is_abort = decision.step is Step.ABORT
            action = self._nova.abort if is_abort else self._nova.force_complete
            # Asked once per time-out: it gets as long again before it is asked once more.
            forced = move.memory.forced if is_abort else decision.migration.id
            move.memory = replace(
                move.memory, running_since=self._nova.now(), forced=forced, left=None
            )
            move.was_stuck = True
            await asyncio.to_thread(action, decision.migration)

    async def _stop(self, move: Move) -> None:
        """Shut its guest down, once it can go elsewhere and its debt is written.

        Raises: MigrationFailed, PolicyError: it was not shut down.
        """
        if move.request.debts is not None:
            await asyncio.to_thread(check_room_for_cold, self._nova, move)
            await self._debtor.write(move)
        if move.done.done():
            return  # its task was killed meanwhile: its guest is not stopped
        move.is_stopping = True
        self._turns.look_again()
        try:
            await asyncio.to_thread(self._nova.stop_guest, move.order.instance_id)
        except Exception as error:
            if not is_refusal(error) and not is_worth_a_look(error):
                move.stop_unsure_at = datetime.now(UTC)
            raise
        move.stop_unsure_at = None
