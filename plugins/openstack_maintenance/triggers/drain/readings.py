"""What is known of the moves' instances, read again where it may no longer hold."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from openstack_maintenance.domain.drain.move_trouble import may_be_forgotten
from openstack_maintenance.domain.errors import CloudError
from openstack_maintenance.triggers.drain.ledger import MigrationLedger
from openstack_maintenance.triggers.drain.left_behind import LeftBehind
from openstack_maintenance.triggers.drain.move import Move
from openstack_maintenance.triggers.drain.turns import Turns

if TYPE_CHECKING:
    from openstack_maintenance.adapters.nova import Nova

# Facts about an instance older than this are read again before anything is started.
_FRESH = timedelta(seconds=60)
# While Nova is busy with an instance it is read again this often.
_BUSY = timedelta(seconds=3)


class Readings:
    """Reads instances: all of a source at once where it can. ``in_our_words``: of an error."""

    def __init__(
        self,
        nova: Nova,
        ledger: MigrationLedger,
        turns: Turns,
        left: LeftBehind,
        in_our_words: Callable[[str, Exception], CloudError],
    ) -> None:
        self._nova = nova
        self._ledger = ledger
        self._turns = turns
        self._left = left
        self._in_our_words = in_our_words
        self._moves: Sequence[Move] = ()
        self._unlisted: set[str] = set()

    def begin_beat(self, moves: Sequence[Move]) -> None:
        """A source that could not be listed is tried again. ``moves``: all that wait."""
        self._moves = moves
        self._unlisted.clear()

    async def refresh(self, move: Move) -> None:
        """Read the instance again where the last reading may no longer hold."""
        migrations = self._ledger.of(move.order.instance_id)
        if migrations and migrations[-1].is_moving:
            is_odd = may_be_forgotten(migrations[-1], self._nova.now())
            if not is_odd and not self._left.is_worth_a_look(move):
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
        for move in self._moves:
            if move.order.source != host:
                continue
            if move.order.instance_id in found:
                move.knows(found[move.order.instance_id], now)
            else:
                move.stale = True  # only its own record tells where it is
