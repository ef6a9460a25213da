"""What a late migration still has to copy; of those that are in time nobody asks it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from openstack_maintenance.domain.drain.ladder import is_worth_reading, lower
from openstack_maintenance.domain.drain.move_order import timeout
from openstack_maintenance.domain.errors import CloudError
from openstack_maintenance.triggers.drain.move import Move
from openstack_maintenance.triggers.drain.setbacks import is_refusal

if TYPE_CHECKING:
    from openstack_maintenance.adapters.nova import Nova
    from openstack_maintenance.domain.cloud import Migration

# Nova itself notes it every 5 s.
_EVERY = timedelta(seconds=10)


class Progress:
    """Reads it from Nova. Losing what was read loses nothing."""

    def __init__(self, nova: Nova) -> None:
        self._nova = nova
        self._is_refused = False

    async def read(self, move: Move, migration: Migration | None) -> None:
        """Lower the move's watermark, where its migration is past half of its limit."""
        now = self._nova.now()
        if migration is None or not self._is_due(move, migration, now):
            return
        move.progress_at = now
        try:
            left = await asyncio.to_thread(self._nova.left_to_copy, migration)
        except CloudError as error:
            self._is_refused = is_refusal(error)
            move.say(f"what its migration has left to copy cannot be read: {error}")
            return
        if left is not None:
            move.memory = replace(move.memory, left=lower(move.memory.left, left, now))

    def _is_due(self, move: Move, migration: Migration, now: datetime) -> bool:
        since = move.memory.running_since
        if self._is_refused or since is None or not migration.is_live:
            return False
        if migration.status != "running" or not is_worth_reading(now - since, timeout(move.order)):
            return False
        return move.progress_at is None or now - move.progress_at >= _EVERY
