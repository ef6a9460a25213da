"""One watch per cloud and triggerer: starts, follows and ends all moves that wait here.

The watch lists Nova's migrations once a beat, whatever the number of waiting instances, and
alone performs the steps that `domain.move_step` decides. It keeps nothing that matters: after
a restart it reads from Nova where each move stands.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from openstack_maintenance.adapters.secrets_in_text import cleaned
from openstack_maintenance.domain.drain.beat import next_beat
from openstack_maintenance.domain.drain.debt import Debt
from openstack_maintenance.domain.drain.group_peace import ASKS_AGAIN_AFTER, mistaken_refusals
from openstack_maintenance.domain.drain.move_step import (
    Decision,
    Memory,
    Step,
    may_be_forgotten,
    next_step,
    timeout,
)
from openstack_maintenance.domain.errors import CloudError, MaintenanceError, MigrationFailed
from openstack_maintenance.triggers.drain.ledger import MigrationLedger
from openstack_maintenance.triggers.drain.move import Move, MoveRequest
from openstack_maintenance.triggers.drain.room import check_room_for_cold
from openstack_maintenance.triggers.drain.setbacks import (
    failure_of,
    is_refusal,
    is_worth_a_look,
    step_failed,
    unexpected,
)
from openstack_maintenance.triggers.drain.settlement import Settlement
from openstack_maintenance.triggers.drain.source_health import SourceHealth
from openstack_maintenance.triggers.drain.tries import try_step
from openstack_maintenance.triggers.drain.turns import Turns

if TYPE_CHECKING:
    from openstack_maintenance.adapters.nova import Nova
    from openstack_maintenance.domain.cloud import Migration

log = logging.getLogger(__name__)

# Facts about an instance older than this are read again before anything is started.
_FRESH = timedelta(seconds=60)
# These wait in Nova, and do not move yet.
_WAITS = frozenset({"accepted", "queued"})
# While Nova is busy with an instance it is read again this often.
_BUSY = timedelta(seconds=3)
# Tasks that defer together arrive within moments: they are taken in one beat.
_ARRIVAL_SECONDS = 0.3


class DrainWatch:
    """Moves instances of one cloud; shared by all triggers of a triggerer process."""

    def __init__(self, open_nova: Callable[[], Awaitable[Nova]]) -> None:
        self._open_nova = open_nova
        # Each move by itself: two runs may have one instance, on two hosts.
        self._moves: list[Move] = []
        self._task: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._silent_since: datetime | None = None
        self._is_clock_known = False
        self._last_defect = ""
        self._unlisted: set[str] = set()

    def enter(self, request: MoveRequest) -> Move:
        """Take over one instance's move: read its ``lines()``, then its ``done`` result.

        The result may raise MigrationFailed, or CloudError when Nova stays silent too long.
        """
        return self._take(Move(request, asyncio.get_running_loop().create_future()))

    def settle(self, request: MoveRequest, debt: Debt) -> Move:
        """Start the guest of a move whose task is gone; it goes on when nobody waits any more."""
        move = Move(request, asyncio.get_running_loop().create_future(), is_alone=True)
        move.debt, move.is_debt_known = debt, True
        move.stop_unsure_at = datetime.now(UTC)  # the request to stop it may still be on its way
        move.fail(MigrationFailed(move.subject, "its task was ended by a person", "Clear it."))
        return self._take(move)

    def _take(self, move: Move) -> Move:
        for each in list(self._moves):
            if each.is_alone and each.order.instance_id == move.order.instance_id:
                self.leave(each)  # whoever comes takes its debt over
        self._moves.append(move)
        self._wake.set()
        if self._task is None or self._task.done():
            # Its own context: the watch logs to the triggerer's log, not to one task's.
            self._task = asyncio.create_task(self._run(), context=contextvars.Context())
        return move

    def is_unseen(self, move: Move) -> bool:
        """Whether Nova was asked for a move's migration, and does not list it yet."""
        memory = move.memory
        if memory.posted_at is None:
            return False
        known = self._ledger.of(move.order.instance_id)
        return not known or known[-1].id <= memory.posted_after

    def leave(self, move: Move) -> None:
        """Stop following a move. What Nova does goes on."""
        if move in self._moves:
            self._moves.remove(move)
        move.cancel()  # a beat that is under way must not start it any more

    async def _run(self) -> None:
        self._silent_since = None
        try:
            self._nova = await self._open_nova()
            self._ledger = MigrationLedger(self._nova)
            self._turns = Turns(self._nova, self._ledger, self._waiting)
            self._health = SourceHealth(self._nova)
            self._settlement = Settlement(self._nova, self._ledger.of)
            await self._watch()
        except MaintenanceError as error:
            self._end_all(error)
        except Exception as error:  # a defect must end the moves, not leave them waiting
            log.exception("the drain watch ended")
            self._end_all(unexpected("the watch over all moves", error))

    def _end_all(self, error: MaintenanceError) -> None:
        """The next move that comes finds the watch ended, and starts it again."""
        for move in self._waiting():
            move.abandon(error)

    async def _watch(self) -> None:
        self._is_clock_known = False
        while self._moves:
            self._wake.clear()
            try:
                await self._look()
            except Exception as error:
                self._unanswered(self._in_our_words("the cloud's list of migrations", error))
            else:
                self._silent_since = None
                await self._beat()
            for move in [each for each in self._moves if each.is_alone and each.done.done()]:
                self._end_alone(move)
            await self._until_next_beat()

    def _end_alone(self, move: Move) -> None:
        """Nobody waits for its result: this log alone tells it."""
        self.leave(move)
        if not move.done.cancelled() and (error := move.done.exception()) is not None:
            log.warning("%s", error)

    async def _look(self) -> None:
        """What all moves share, asked once. Raises: CloudError."""
        if not self._is_clock_known:
            await asyncio.to_thread(self._nova.read_clock)
            self._is_clock_known = True
        await self._refresh_ledger()
        await self._health.look(self._waiting())
        await self._turns.read_groups()

    def _in_our_words(self, subject: str, error: Exception) -> CloudError:
        """An error of a look or a step; an unexpected one is logged for developers."""
        if isinstance(error, CloudError):
            return error
        told = unexpected(subject, error)
        if told.found != self._last_defect:  # else it is the same, beat after beat
            self._last_defect = told.found
            log.error("%s", told, exc_info=error)
        return told

    async def _until_next_beat(self) -> None:
        """Wait until Nova is to be asked again: sooner when somebody comes and may start."""
        clock = asyncio.get_running_loop().time
        pace = self._ledger.pace(self._moves)
        ends = clock() + next_beat(pace, self._nova.now())
        while (left := ends - clock()) > 0:
            try:
                await asyncio.wait_for(self._wake.wait(), left)
            except TimeoutError:
                return  # the ordinary case: nobody came
            self._wake.clear()
            if self._turns.has_come():
                await asyncio.sleep(_ARRIVAL_SECONDS)
                return

    def _unanswered(self, error: CloudError) -> None:
        """A cloud that does not answer is waited for, with patience."""
        now = datetime.now(UTC)
        self._silent_since = self._silent_since or now
        for move in self._waiting():
            if now - self._silent_since > move.request.api_patience or is_refusal(error):
                move.abandon(error)
            else:
                move.say(f"Nova does not answer, trying again: {error}")

    async def _refresh_ledger(self) -> None:
        ended = {each.instance_id for each in await self._ledger.refresh(self._waiting())}
        for move in self._moves:
            move.stale = move.stale or move.order.instance_id in ended
        self._turns.look_again()

    async def _beat(self) -> None:
        self._unlisted.clear()
        await self._read_debts()
        for move in self._waiting():
            try:
                await self._advance(move)
            except CloudError as error:
                step_failed(move, error)
            except MaintenanceError as error:
                move.fail(error)
            except Exception as error:  # one move's: the others go on
                step_failed(move, self._in_our_words(move.subject, error))
            else:
                if move.ending is None:  # a settlement counts its own setbacks
                    move.failing_since = None

    async def _read_debts(self) -> None:
        """Whether earlier tries or other runs have shut guests down: one look for all who came.

        Nothing is begun for a move before that is known.
        """
        new = [each for each in self._waiting() if not each.is_debt_known]
        books = [each.request.debts for each in new if each.request.debts is not None]
        if not books:
            return
        try:
            found = {each.instance_id: each for each in await asyncio.to_thread(books[0].all)}
            for move in new:
                await self._take_over(move, found.get(move.order.instance_id))
        except MaintenanceError as error:
            for move in new:
                if datetime.now(UTC) - move.entered_at > move.request.api_patience:
                    move.fail(error)
                move.say(f"the notes beside the records cannot be read, trying again: {error}")

    async def _take_over(self, move: Move, debt: Debt | None) -> None:
        """From now on this run's report pays it. Raises: PolicyError."""
        debts, owner = move.request.debts, move.request.owner
        if debt is None or debts is None:
            move.is_debt_known = True
            return
        move.say(f"run {debt.run_id}: {debt.what}")
        if owner is not None:
            ours = replace(debt, dag_id=owner.dag_id, run_id=owner.run_id, host=move.order.source)
            await asyncio.to_thread(debts.write, ours)
            debt = ours
        move.debt, move.is_debt_known = debt, True

    async def _advance(self, move: Move) -> None:
        if move.ending is not None:
            await self._settlement.advance(move)
            return
        if move.request.debts is not None and not move.is_debt_known:
            return
        if busy := self._turns.held_up(move):
            self._wait(move, f"waits for its turn: {busy}")
            return
        await self._refresh(move)
        if move.done.done():
            return  # its task was killed while Nova was asked
        decision = self._decide(move)
        if decision.step is Step.WAIT:
            # Nova is busy with the instance itself: no migration will tell when that ends.
            move.stale = move.stale or decision.migration is None
            self._wait(move, decision.why, decision.migration)
        elif decision.step is Step.DONE:
            await self._finish(move, decision)
        elif decision.step is Step.FAIL:
            move.fail(await failure_of(self._nova, move, decision))
        elif decision.step is Step.STOP and (why := self._must_wait(move, is_live=False)):
            self._wait(move, f"waits for its turn: {why}")  # and its guest runs on meanwhile
        elif decision.step in (Step.START_LIVE, Step.START_COLD):
            await self._start(move, decision)
        else:
            await self._perform(move, decision)

    async def _finish(self, move: Move, decision: Decision) -> None:
        is_elsewhere = move.instance is not None and move.instance.host is not None
        if decision.migration is None and is_elsewhere and not self._ledger.is_sure(move):
            move.say("it is elsewhere: looks once more for the migration that took it there")
            move.stale = False
            return
        move.finish(decision.why, decision.migration)
        if move.ending is not None:
            move.stale = False  # it was read in this very beat
            await self._settlement.advance(move)

    def _decide(self, move: Move) -> Decision:
        # The order's time is the worker's; Nova's stamps are Nova's, cut to the second.
        shift = timedelta(seconds=self._nova.clock_offset_seconds - 2)
        order = replace(move.order, since=move.order.since + shift)
        migrations = self._ledger.in_step(order.instance_id)
        now = self._nova.now()
        last = migrations[-1] if migrations else None
        is_member = self._turns.is_member(move)
        mistaken = mistaken_refusals(migrations, order.since) if is_member else ()
        if mistaken:
            migrations = [each for each in migrations if each not in mistaken]
            if last is not None and last == mistaken[-1] and last.id > move.memory.posted_after:
                if now - last.updated_at < ASKS_AGAIN_AFTER:
                    return Decision(Step.WAIT, "no host was found; Nova's scheduler is asked again")
                move.memory = Memory()
        if last and last.is_moving and last.status not in _WAITS and not move.memory.running_since:
            move.memory = replace(move.memory, running_since=now)
        if last is not None and last.id > move.memory.posted_after:
            move.unsure_since = None
        is_passed_by = last is not None and self._ledger.has_passed(last)
        memory = replace(move.memory, is_passed_by=is_passed_by)
        return next_step(order, move.instance, migrations, memory, now, move.is_owed)

    async def _refresh(self, move: Move) -> None:
        """Read the instance again where the last reading may no longer hold."""
        migrations = self._ledger.of(move.order.instance_id)
        if migrations and migrations[-1].is_moving:
            if not may_be_forgotten(migrations[-1], self._nova.now()):
                return  # nothing about the instance decides anything now
            move.stale = True
        now = datetime.now(UTC)
        if move.read_at is None or (not move.stale and now - move.read_at >= _FRESH):
            await self._try_source(move)
        busy = move.instance is not None and move.instance.task_state is not None
        if move.read_at is not None and busy and now - move.read_at < _BUSY:
            return
        if move.stale:
            instance = await asyncio.to_thread(self._nova.find_instance, move.order.instance_id)
            move.knows(instance, datetime.now(UTC))
            self._turns.look_again()

    async def _try_source(self, move: Move) -> None:
        """Read the whole source, once a beat; where that fails, the move's own record must do.

        One instance that cannot be read makes the whole list unreadable, but stops no other move;
        and what is refused for good is refused to the move's own record, too.
        """
        host = move.order.source
        if host not in self._unlisted:
            try:
                await self._read_source(host)
                return
            except Exception as error:
                told = self._in_our_words(f"the instances on {host}", error)
                self._unlisted.add(host)
                move.say(f"Nova does not answer, trying again: {told}")
        move.stale = True

    async def _read_source(self, host: str) -> None:
        """Read all instances of a host at once, for every move that waits there."""
        now = datetime.now(UTC)
        found = {each.id: each for each in await asyncio.to_thread(self._nova.instances_on, host)}
        self._turns.look_again()
        for move in self._waiting():
            if move.order.source != host:
                continue
            if move.order.instance_id in found:
                move.knows(found[move.order.instance_id], now)
            else:
                move.stale = True  # only its own record tells where it is

    def _must_wait(self, move: Move, *, is_live: bool) -> str | None:
        """Why nothing is begun for a move now: neither a migration nor the stop of its guest.

        Raises: MigrationFailed, OwnershipLost: nothing is to be begun any more.
        """
        # A guest that was stopped for its move is moved and started, whatever the time.
        held = None if move.is_off else move.request.may_start(datetime.now(UTC))
        if held is not None:
            raise MigrationFailed(move.subject, held, "Clear this task when the window is open.")
        if lost := self._health.lost(move):
            raise lost
        return self._turns.busy(move, is_live=is_live) or self._turns.restless(move)

    async def _start(self, move: Move, decision: Decision) -> None:
        request, order = move.request, move.order
        is_live = decision.step is Step.START_LIVE
        if move.memory.is_unsure:  # Nova did not take it: it holds no slot
            move.memory = replace(move.memory, posted_at=None, is_unsure=False)
            self._turns.look_again()
        if why := self._must_wait(move, is_live=is_live) or self._is_asked_for(move):
            self._wait(move, f"waits for its turn: {why}")
            return
        known = self._ledger.of(order.instance_id)
        move.memory = Memory(self._nova.now(), posted_after=known[-1].id if known else 0)
        self._turns.look_again()
        move.waiting_since = datetime.now(UTC)
        move.say(f"asks Nova for a {'live' if is_live else 'cold'} migration: {decision.why}")
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
            if not is_refusal(error) and not is_worth_a_look(error):
                move.memory = replace(move.memory, is_unsure=True)
                move.unsure_since = move.unsure_since or datetime.now(UTC)
            raise

    def _is_asked_for(self, move: Move) -> str | None:
        """Two moves of one instance: the second one sees first what becomes of the first."""
        same = (each for each in self._moves if each.order.instance_id == move.order.instance_id)
        if any(each is not move and self._ledger.is_unseen(each) for each in same):
            return "another run has just asked Nova to migrate it"
        return None

    def _destination(self, move: Move) -> str | None:
        """Where to; a plan's suggestion is tried once, then Nova's scheduler chooses."""
        if not move.request.is_suggestion:
            return move.request.destination
        tried = any(
            each.source == move.order.source and each.created_at >= move.order.since
            for each in self._ledger.of(move.order.instance_id)
        )
        return None if tried or move.is_suggestion_refused else move.request.destination

    def _wait(self, move: Move, why: str, migration: Migration | None = None) -> None:
        """Nothing waits forever: neither for its turn, nor in Nova's queue, nor for a task.

        What is on its way, and inside its own limit, does not wait: it is followed.
        """
        if migration is not None and self._is_followed(move, migration):
            move.waiting_since = datetime.now(UTC)
        if datetime.now(UTC) - move.waiting_since > move.request.turn_patience:
            raise MigrationFailed(
                move.subject,
                f"nothing happened within the policy's turn_patience: {cleaned(why)}",
                "See `openstack server migration list` and `openstack server event list "
                f"{move.order.instance_id}`, then clear this task.",
            )
        move.say(why)

    def _is_followed(self, move: Move, migration: Migration) -> bool:
        since = move.memory.running_since
        is_late = since is not None and self._nova.now() - since > timeout(move.order)
        return migration.status not in _WAITS and not move.was_stuck and not is_late

    async def _perform(self, move: Move, decision: Decision) -> None:
        """One action; what ended or changed in this very moment is looked at once more."""
        from openstack_maintenance.adapters.cloud_errors import Conflict, Refused

        move.stale = True
        if not await try_step(self._nova, move, decision):
            self._wait(move, f"waits before the next try to {decision.step.value}")
            return
        move.say(f"{decision.step.value.replace('_', ' ')}: {decision.why}")
        before = move.memory
        try:
            await self._act(move, decision)
        except Refused as error:
            raise Conflict(error.subject, error.found, error.remedy) from error
        except Exception:
            move.memory = before  # not known whether it was heard: looked at, and asked again
            raise
        move.asked[decision.step] += 1
        move.asked_at = datetime.now(UTC)

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
            move.memory = replace(move.memory, running_since=self._nova.now())
            move.was_stuck = True
            await asyncio.to_thread(action, decision.migration)

    async def _stop(self, move: Move) -> None:
        """Shut its guest down, once it can go elsewhere and its debt is written.

        Raises: MigrationFailed, PolicyError: it was not shut down.
        """
        if move.request.debts is not None:
            await asyncio.to_thread(check_room_for_cold, self._nova, move)
            await self._write_debt(move)
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

    async def _write_debt(self, move: Move) -> None:
        """A guest that was off already, in ERROR, is owed nothing."""
        debts, instance = move.request.debts, move.instance
        if debts is None or instance is None or not instance.may_be_running:
            return
        move.debt = move.debt or self._new_debt(move)
        await asyncio.to_thread(debts.write, move.debt)

    def _new_debt(self, move: Move) -> Debt:
        order, owner = move.order, move.request.owner
        seen = (move.read_at or datetime.now(UTC)) - timedelta(seconds=2)
        return Debt(
            instance_id=order.instance_id,
            name=order.name,
            host=order.source,
            dag_id=owner.dag_id if owner else "",
            run_id=owner.run_id if owner else "",
            since=seen + timedelta(seconds=self._nova.clock_offset_seconds),
        )

    def _waiting(self) -> Sequence[Move]:
        """Moves in the order of their turns: guests that are off for it, then largest RAM first."""
        waiting = (each for each in self._moves if not each.done.done())
        return sorted(
            waiting,
            key=lambda each: (not each.is_off, -each.order.ram_mib, each.order.instance_id),
        )
