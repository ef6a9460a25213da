"""What one triggerer knows of a cloud's migrations, brought up to date by one list a beat."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from openstack_maintenance.domain.cloud import Migration
from openstack_maintenance.domain.drain.beat import Pace
from openstack_maintenance.triggers.drain.move import Move

if TYPE_CHECKING:
    from openstack_maintenance.adapters.nova import Nova

# The first list reaches back this far, to find what was under way before.
_LOOK_BACK = timedelta(days=1)
# Clocks and Nova's second-wide time stamps: later lists overlap by this much.
_OVERLAP = timedelta(seconds=30)
# From here on a migration has one of Nova's slots until it has ended.
_IN_A_SLOT = frozenset({"preparing", "running", "pre-migrating", "migrating"})


class MigrationLedger:
    """All migrations of a cloud that changed lately. Losing it loses nothing."""

    def __init__(self, nova: Nova) -> None:
        self._nova = nova
        self._rows: dict[int, Migration] = {}
        self._listed_at: datetime | None = None
        self._running: dict[int, datetime] = {}
        self._took: list[timedelta] = []

    async def refresh(self) -> Sequence[Migration]:
        """Ask Nova once, whatever waits; returns what has ended since. Raises: CloudError."""
        asked_at = self._nova.now()
        since = self._listed_at - _OVERLAP if self._listed_at else asked_at - _LOOK_BACK
        rows = await asyncio.to_thread(self._nova.migrations, since)
        ended = [row for row in rows if not row.is_moving and self._was_moving(row)]
        for row in rows:
            self._note_duration(row, ended)
            self._rows[row.id] = row
        self._listed_at = asked_at
        return ended

    def rows(self) -> Collection[Migration]:
        """All that is known."""
        return self._rows.values()

    def of(self, instance_id: str) -> list[Migration]:
        """One instance's migrations, oldest first."""
        rows = (each for each in self._rows.values() if each.instance_id == instance_id)
        return sorted(rows, key=lambda each: each.id)

    def in_flight(self, moves: Collection[Move]) -> Sequence[Migration]:
        """What Nova lists as moving, and what ``moves`` asked for but Nova does not list yet."""
        listed = [each for each in self._rows.values() if each.is_moving]
        return listed + [stand_in(move) for move in moves if self._is_unseen(move)]

    def pace(self, moves: Collection[Move]) -> Pace:
        """How soon something of these moves may end."""
        slots = {move.order.source: move.request.limits.per_host for move in moves}
        rows = [each for each in self.in_flight(moves) if each.source in slots]
        queued = sum(row.status == "queued" for row in rows)
        return Pace(
            running_since=[self._running[row.id] for row in rows if row.id in self._running],
            took=self._took,
            is_unsettled=any(row.status == "accepted" for row in rows),
            # What is more than there are slots will be queued as soon as Nova has looked at it.
            queued=max(queued, len(rows) - sum(slots.values())),
        )

    def _is_unseen(self, move: Move) -> bool:
        memory, rows = move.memory, self.of(move.order.instance_id)
        if move.done.done() or memory.posted_at is None:
            return False
        return not rows or rows[-1].id <= memory.posted_after

    def _was_moving(self, row: Migration) -> bool:
        known = self._rows.get(row.id)
        return known is None or known.is_moving

    def _note_duration(self, row: Migration, ended: Sequence[Migration]) -> None:
        """Learn how long a migration takes: since its slot was free, or since it was seen in one.

        Looks may be far apart while Nova refills by itself, so what Nova noted counts first.
        """
        if row.status in _IN_A_SLOT and row.id not in self._running:
            freed = [each.updated_at for each in ended if each.source == row.source]
            # Also one that was asked for after the last look: it waited in Nova's queue meanwhile.
            since = max(min(freed), row.created_at) if freed else self._nova.now()
            self._running[row.id] = since
        elif not row.is_moving and row.id in self._running:
            since = self._running.pop(row.id)
            if row.status == "completed":
                self._took.append(max(row.updated_at - since, timedelta(0)))


def stand_in(move: Move) -> Migration:
    """For the record that Nova is about to write, or will be asked for next."""
    at = move.memory.posted_at or move.entered_at
    return Migration(
        id=0,
        uuid="",
        instance_id=move.order.instance_id,
        kind="live-migration" if move.order.method == "live" else "migration",
        status="accepted",
        source=move.order.source,
        destination=None,
        created_at=at,
        updated_at=at,
    )
