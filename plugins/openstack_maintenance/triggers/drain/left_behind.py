"""Watches whether what Nova lists as under way was left behind by its host."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from openstack_maintenance.domain.cloud import Instance, Migration
from openstack_maintenance.domain.drain.left_behind import (
    in_words,
    is_idle,
    is_left_behind,
    may_be_left_behind,
)
from openstack_maintenance.domain.drain.move_order import Memory
from openstack_maintenance.domain.errors import MaintenanceError
from openstack_maintenance.triggers.drain.ledger import MigrationLedger
from openstack_maintenance.triggers.drain.move import Move

if TYPE_CHECKING:
    from openstack_maintenance.adapters.nova import Nova

log = logging.getLogger(__name__)

_NEVER = datetime.min.replace(tzinfo=UTC)
_LOOKS_A_BEAT = 5
_LOOKS_EVERY = timedelta(seconds=20)
_LOOKS_AT_COPIES_EVERY = timedelta(minutes=1)


class LeftBehind:
    """Judges what has long been under way: of the moves that wait here, and of anybody else's.

    Whoever asked for it: it takes the place that a move waits for.
    """

    def __init__(self, nova: Nova, ledger: MigrationLedger) -> None:
        self._nova = nova
        self._ledger = ledger
        self._idle_since: dict[str, datetime] = {}
        self._looked_at: dict[str, datetime] = {}

    async def look(self, moves: Collection[Move]) -> None:
        """Read the instances that no move is of: what is left of those may keep others waiting."""
        here = {each.order.instance_id for each in moves}
        others = [each for each in self._ledger.in_flight(()) if each.instance_id not in here]
        due = [each for each in others if self._is_due(each, self._looked_at.get(each.instance_id))]
        # A few a beat, as each is a request: whose turn was longest ago first.
        due.sort(key=lambda each: self._looked_at.get(each.instance_id, _NEVER))
        for row in due[:_LOOKS_A_BEAT]:
            self._looked_at[row.instance_id] = now = datetime.now(UTC)
            try:
                instance = await asyncio.to_thread(self._nova.find_instance, row.instance_id)
            except MaintenanceError as error:
                log.info("migration %s counts as under way: %s", row.uuid, error)
            else:
                if self._is_left(row, instance, now):
                    log.warning("%s", in_words(row, instance))

    def is_worth_a_look(self, move: Move) -> bool:
        """Whether the instance is to be read now, although a migration is under way."""
        return self._is_due(self._ledger.of(move.order.instance_id)[-1], move.read_at)

    def judge(self, move: Move) -> None:
        """Tell the move what was left behind; from then on it does not count."""
        rows = self._ledger.of(move.order.instance_id)
        row = rows[-1] if rows else None
        if row is None or move.read_at is None or self._ledger.is_left_behind(row):
            return
        if self._is_left(row, move.instance, move.read_at):
            move.memory = Memory()
            said = in_words(row, move.instance)
            move.say(said)
            move.note("left behind", said, self._nova.now())

    def _is_due(self, row: Migration, last: datetime | None) -> bool:
        if not may_be_left_behind(row, self._nova.now()):
            return False
        every = _LOOKS_EVERY if row.is_before_copy else _LOOKS_AT_COPIES_EVERY
        return last is None or datetime.now(UTC) - last >= every

    def _is_left(self, row: Migration, instance: Instance | None, read_at: datetime) -> bool:
        """Whether it was left behind, by all that was seen until now; noted in the ledger."""
        if not may_be_left_behind(row, self._nova.now()) or not is_idle(row, instance):
            self._idle_since.pop(row.uuid, None)
            return False
        # What was read counts, not what may have come since.
        idle_for = read_at - self._idle_since.setdefault(row.uuid, read_at)
        if not is_left_behind(row, instance, idle_for, self._ledger.rows()):
            return False
        self._ledger.leave_behind(row)
        return True
