"""What one triggerer knows of a cloud's migrations, brought up to date by one list a beat."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from openstack_maintenance.domain.cloud import Migration, is_superseded
from openstack_maintenance.domain.drain.beat import Pace
from openstack_maintenance.domain.drain.move_order import Order
from openstack_maintenance.domain.drain.move_trouble import is_forgotten
from openstack_maintenance.triggers.drain.move import Move

if TYPE_CHECKING:
    from openstack_maintenance.adapters.nova import Nova

# The first list reaches back this far, to find what was under way before.
_LOOK_BACK = timedelta(days=1)
# Clocks and Nova's second-wide time stamps: later lists overlap by this much.
_OVERLAP = timedelta(seconds=30)
# The clock that stamps migrations may lag behind the one that answers: then a change is older than
# it is, and a list of what changed lately misses it. So every minute a list reaches back an hour,
# and also while something that Nova was asked for does not show.
_WIDE = timedelta(hours=1)
_WIDE_EVERY = timedelta(seconds=60)
_SHOWS_WITHIN = timedelta(seconds=5)
# From here on a migration has one of Nova's slots until it has ended.
_IN_A_SLOT = frozenset({"preparing", "running", "pre-migrating", "migrating"})


class MigrationLedger:
    """All migrations of a cloud that changed lately. Losing it loses nothing."""

    def __init__(self, nova: Nova) -> None:
        self._nova = nova
        # By uuid: the cells of a cloud count their ids each for itself.
        self._rows: dict[str, Migration] = {}
        self._listed_at: datetime | None = None
        self._widely_at: datetime | None = None
        self._in_doubt = False
        self._wide_lists = 0
        self.lag = timedelta(0)
        self._running: dict[str, datetime] = {}
        self._took: list[timedelta] = []
        # The status in which nobody works on a migration any more; it counts again once it changes.
        self._left: dict[str, str] = {}

    async def refresh(self, moves: Collection[Move] = ()) -> Sequence[Migration]:
        """Ask Nova once, whatever waits; returns what has ended since. Raises: CloudError."""
        asked_at = self._nova.now()
        rows = await asyncio.to_thread(self._nova.migrations, self._since(asked_at, moves))
        ended = [row for row in rows if not row.is_moving and self._was_moving(row)]
        for row in rows:
            self._note_duration(row, ended)
            self._rows[_key(row)] = row
        self._listed_at = asked_at
        self._learn_lag(moves)
        return ended

    def _since(self, now: datetime, moves: Collection[Move]) -> datetime:
        if self._listed_at is None or self._widely_at is None:
            self._widely_at = now
            return now - _LOOK_BACK
        unseen = (each.memory.posted_at for each in moves if self.is_unseen(each))
        is_late = any(at is not None and now - at > _SHOWS_WITHIN for at in unseen)
        if is_late or self._in_doubt or now - self._widely_at >= _WIDE_EVERY:
            self._widely_at, self._in_doubt = now, False
            self._wide_lists += 1
            return now - _WIDE - self.lag
        return self._listed_at - _OVERLAP - self.lag

    def _learn_lag(self, moves: Collection[Move]) -> None:
        """What was asked for is stamped later: where it is not, by so much the stamps lag."""
        for move in moves:
            rows, memory = self.of(move.order.instance_id), move.memory
            if rows and memory.posted_at is not None and rows[-1].id > memory.posted_after:
                behind = memory.posted_at - rows[-1].created_at
                if behind < _WIDE:  # else it is an old one that has changed just now
                    self.lag = max(self.lag, behind)

    def is_sure(self, move: Move) -> bool:
        """Whether Nova was asked for all that changed lately since this was first in question."""
        if move.doubted_at is None:
            move.doubted_at = self._wide_lists
        self._in_doubt = self._wide_lists == move.doubted_at
        return not self._in_doubt

    def has_passed(self, row: Migration) -> bool:
        """Whether one that was asked for later has gone on: nobody works on this one any more."""
        return any(
            each.created_at > row.created_at and each.destination is not None
            for each in self._rows.values()
        )

    def is_older_than(self, age: timedelta) -> bool:
        """Whether Nova was listed longer ago than that, or never."""
        return self._listed_at is None or self._nova.now() - self._listed_at > age

    def rows(self) -> Collection[Migration]:
        """All that is known."""
        return self._rows.values()

    def of(self, instance_id: str) -> list[Migration]:
        """One instance's migrations, oldest first."""
        rows = (each for each in self._rows.values() if each.instance_id == instance_id)
        return sorted(rows, key=lambda each: each.id)

    def in_step(self, instance_id: str) -> list[Migration]:
        """The same, as if they had been stamped by the clock that answers."""
        if self.lag <= _OVERLAP:  # requests and seconds cut off
            return self.of(instance_id)
        lag = self.lag
        return [
            replace(each, created_at=each.created_at + lag, updated_at=each.updated_at + lag)
            for each in self.of(instance_id)
        ]

    def since(self, order: Order) -> datetime:
        """When a move was asked for, as Nova would have stamped it: the order's time is the
        worker's, and Nova cuts its own to the second.
        """
        return order.since + timedelta(seconds=self._nova.clock_offset_seconds - 2)

    def was_tried(self, order: Order) -> bool:
        """Whether Nova was asked for a migration of this move before."""
        return any(
            each.source == order.source and each.created_at >= self.since(order)
            for each in self.in_step(order.instance_id)
        )

    def in_flight(self, moves: Collection[Move]) -> Sequence[Migration]:
        """What Nova lists as moving, and what ``moves`` asked for but Nova does not list yet."""
        now = self._nova.now()
        moving = (each for each in self._rows.values() if each.is_moving)
        listed = [each for each in moving if not self._is_dead(each, now)]
        return listed + [stand_in(move) for move in moves if self.is_unseen(move)]

    def _is_dead(self, row: Migration, now: datetime) -> bool:
        if self.is_left_behind(row) or is_forgotten(row, now):
            return True
        return is_superseded(row, self._rows.values())

    def leave_behind(self, row: Migration) -> None:
        """Nobody works on it: it no longer counts, unless it changes."""
        self._left[_key(row)] = row.status

    def is_left_behind(self, row: Migration) -> bool:
        """Whether nobody works on it, as far as was found out."""
        return self._left.get(_key(row)) == row.status

    def pace(self, moves: Collection[Move]) -> Pace:
        """How soon something of these moves may end."""
        slots = {move.order.source: move.request.limits.per_host for move in moves}
        rows = [each for each in self.in_flight(moves) if each.source in slots]
        queued = sum(row.status == "queued" for row in rows)
        return Pace(
            running_since=[self._running[_key(row)] for row in rows if _key(row) in self._running],
            took=self._took,
            is_unsettled=any(row.status == "accepted" for row in rows),
            # What is more than there are slots will be queued as soon as Nova has looked at it.
            queued=max(queued, len(rows) - sum(slots.values())),
        )

    def is_unseen(self, move: Move) -> bool:
        """Whether Nova was asked to migrate its instance, and does not list that yet."""
        memory, rows = move.memory, self.of(move.order.instance_id)
        if move.done.done() or move.ending is not None or memory.posted_at is None:
            return False
        return not rows or rows[-1].id <= memory.posted_after

    def _was_moving(self, row: Migration) -> bool:
        known = self._rows.get(_key(row))
        return known is None or known.is_moving

    def _note_duration(self, row: Migration, ended: Sequence[Migration]) -> None:
        """Learn how long a migration takes: since its slot was free, or since it was seen in one.

        Looks may be far apart while Nova refills by itself, so what Nova noted counts first.
        """
        key = _key(row)
        if row.status in _IN_A_SLOT and key not in self._running:
            freed = [each.updated_at for each in ended if each.source == row.source]
            # Also one that was asked for after the last look: it waited in Nova's queue meanwhile.
            since = max(min(freed), row.created_at) if freed else self._nova.now()
            self._running[key] = since
        elif not row.is_moving and key in self._running:
            since = self._running.pop(key)
            if row.status == "completed":
                self._took.append(max(row.updated_at - since, timedelta(0)))


def _key(row: Migration) -> str:
    return row.uuid or f"{row.instance_id} {row.id}"


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
