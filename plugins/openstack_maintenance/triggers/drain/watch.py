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
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from openstack_maintenance.domain.drain.beat import next_beat
from openstack_maintenance.domain.drain.debt import Debt
from openstack_maintenance.domain.drain.group_peace import ASKS_AGAIN_AFTER, mistaken_refusals
from openstack_maintenance.domain.drain.move_order import Decision, Memory, Step
from openstack_maintenance.domain.drain.move_step import next_step
from openstack_maintenance.domain.errors import CloudError, MaintenanceError, MigrationFailed
from openstack_maintenance.triggers.drain.actions import Actions
from openstack_maintenance.triggers.drain.claims import Slots
from openstack_maintenance.triggers.drain.closed_hosts import ClosedHosts
from openstack_maintenance.triggers.drain.debtor import Debtor
from openstack_maintenance.triggers.drain.ledger import MigrationLedger
from openstack_maintenance.triggers.drain.left_behind import LeftBehind
from openstack_maintenance.triggers.drain.move import Move, MoveRequest
from openstack_maintenance.triggers.drain.patience import WAITS_IN_NOVA, Patience
from openstack_maintenance.triggers.drain.progress import Progress
from openstack_maintenance.triggers.drain.readings import Readings
from openstack_maintenance.triggers.drain.repair import Repair
from openstack_maintenance.triggers.drain.setbacks import is_refusal, step_failed, unexpected
from openstack_maintenance.triggers.drain.settlement import Settlement
from openstack_maintenance.triggers.drain.source_health import SourceHealth
from openstack_maintenance.triggers.drain.turns import Turns

if TYPE_CHECKING:
    from openstack_maintenance.adapters.nova import Nova

log = logging.getLogger(__name__)

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
            self._patience = Patience(self._nova, self._turns, self._health)
            self._debtor = Debtor(self._nova)
            self._slots = Slots(self._nova, self._ledger, self._turns)
            self._actions = Actions(self._nova, self._ledger, self._turns, self._slots, self._same)
            self._left = LeftBehind(self._nova, self._ledger)
            self._readings = Readings(
                self._nova, self._ledger, self._turns, self._left, self._in_our_words
            )
            self._closed = ClosedHosts(self._nova)
            self._progress = Progress(self._nova)
            self._repair = Repair(self._nova)
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
        await self._left.look(self._waiting())
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
        self._readings.begin_beat(self._waiting())
        await self._debtor.read(self._waiting())
        await self._slots.look(self._waiting())
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

    async def _advance(self, move: Move) -> None:
        if move.ending is not None:
            await self._settlement.advance(move)
            return
        if move.request.debts is not None and not move.is_debt_known:
            return
        if busy := self._turns.held_up(move):
            self._patience.wait(move, f"waits for its turn: {busy}")
            return
        await self._readings.refresh(move)
        if move.done.done():
            return  # its task was killed while Nova was asked
        await self._closed.look(move, self._ledger.in_step(move.order.instance_id))
        decision = await self._decide_late(move, self._decide(move))
        self._give_room(move, decision)
        if decision.step is Step.FAIL:
            await self._repair.fail(move, decision)
            return
        self._repair.drop(move)
        if decision.step in (Step.WAIT, Step.FEWER):
            # Nova is busy with the instance itself: no migration will tell when that ends.
            move.stale = move.stale or decision.migration is None
            self._patience.wait(move, decision.why, decision.migration)
        elif decision.step is Step.DONE:
            await self._finish(move, decision)
        elif why := await self._actions.perform(move, decision, self._patience.must_wait):
            self._patience.wait(move, why)

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

    async def _decide_late(self, move: Move, decision: Decision) -> Decision:
        """What is left to copy is read of a late migration alone, and decides then."""
        seen = move.memory.left
        await self._progress.read(move, decision.migration)
        return decision if move.memory.left == seen else self._decide(move)

    def _give_room(self, move: Move, decision: Decision) -> None:
        """Whether others may start beside its migration."""
        needs_room = decision.step is Step.FEWER
        if needs_room:
            move.note(decision.step.value, decision.why, self._nova.now())
        if needs_room != move.needs_room:
            move.needs_room = needs_room
            self._turns.look_again()

    def _decide(self, move: Move) -> Decision:
        self._left.judge(move)
        order = replace(move.order, since=self._ledger.since(move.order))
        migrations = self._ledger.in_step(order.instance_id)
        now = self._nova.now()
        last = migrations[-1] if migrations else None
        is_member = self._turns.is_member(move)
        mistaken = mistaken_refusals(migrations, order.since) if is_member else []
        mistaken = mistaken or self._closed.excused(migrations)
        if mistaken:
            migrations = [each for each in migrations if each not in mistaken]
            if last is not None and last == mistaken[-1] and last.id > move.memory.posted_after:
                if now - last.updated_at < ASKS_AGAIN_AFTER:
                    return Decision(Step.WAIT, "no host was found; Nova's scheduler is asked again")
                move.memory = Memory()
        if (
            last
            and last.is_moving
            and last.status not in WAITS_IN_NOVA
            and not move.memory.running_since
        ):
            move.memory = replace(move.memory, running_since=now)
        if last is not None and last.id > move.memory.posted_after:
            move.unsure_since = None
        is_passed_by = last is not None and self._ledger.has_passed(last)
        is_left = last is not None and self._ledger.is_left_behind(last)
        left_behind = last.id if last is not None and is_left else 0
        memory = replace(move.memory, is_passed_by=is_passed_by, left_behind=left_behind)
        return next_step(order, move.instance, migrations, memory, now, move.is_owed)

    def _same(self, move: Move) -> list[Move]:
        """The other moves of an instance, of other runs."""
        its = (each for each in self._moves if each.order.instance_id == move.order.instance_id)
        return [each for each in its if each is not move]

    def _waiting(self) -> Sequence[Move]:
        """Moves in the order of their turns: guests that are off for it, then largest RAM first."""
        waiting = (each for each in self._moves if not each.done.done())
        return sorted(
            waiting,
            key=lambda each: (not each.is_off, -each.order.ram_mib, each.order.instance_id),
        )
