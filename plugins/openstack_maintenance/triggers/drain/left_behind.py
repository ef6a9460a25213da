"""Watches whether what Nova lists as under way for an instance was left behind by its host."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from openstack_maintenance.domain.drain.left_behind import (
    in_words,
    is_idle,
    is_left_behind,
    may_be_left_behind,
)
from openstack_maintenance.domain.drain.move_order import Memory
from openstack_maintenance.triggers.drain.ledger import MigrationLedger
from openstack_maintenance.triggers.drain.move import Move

if TYPE_CHECKING:
    from openstack_maintenance.adapters.nova import Nova

_LOOKS_EVERY = timedelta(seconds=20)


class LeftBehind:
    """Judges the newest migration of moves that wait."""

    def __init__(self, nova: Nova, ledger: MigrationLedger) -> None:
        self._nova = nova
        self._ledger = ledger

    def is_worth_a_look(self, move: Move) -> bool:
        """Whether the instance is to be read now, although a migration is under way."""
        row = self._ledger.of(move.order.instance_id)[-1]
        if not may_be_left_behind(row, self._nova.now()):
            return False
        return move.read_at is None or datetime.now(UTC) - move.read_at >= _LOOKS_EVERY

    def judge(self, move: Move) -> None:
        """Note in the move what was left behind; from then on it does not count."""
        rows, now = self._ledger.of(move.order.instance_id), self._nova.now()
        row = rows[-1] if rows else None
        if row is None or row.id == move.left_behind:
            return
        if not may_be_left_behind(row, now) or not is_idle(row, move.instance):
            move.idle_since = None
            return
        if move.idle_since is None:
            move.idle_since = move.read_at
        # What was read counts, not what may have come since.
        idle_for = (move.read_at or datetime.now(UTC)) - (move.idle_since or datetime.now(UTC))
        if is_left_behind(row, idle_for, self._ledger.rows()):
            move.left_behind, move.memory, move.idle_since = row.id, Memory(), None
            move.say(in_words(row))
            move.note("left behind", in_words(row), now)
