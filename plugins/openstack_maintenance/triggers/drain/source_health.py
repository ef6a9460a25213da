"""Notices hosts whose nova-compute died during their drain, or that somebody else took.

Nova leaves the migrations of a dead nova-compute `running` until it is started again: neither
their state nor an abort would ever tell.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from openstack_maintenance.domain.errors import MigrationFailed, OwnershipLost
from openstack_maintenance.domain.ownership import ownership_lost
from openstack_maintenance.triggers.drain.move import Move

if TYPE_CHECKING:
    from openstack_maintenance.adapters.nova import Nova
    from openstack_maintenance.domain.cloud import ComputeService

# One request each time, whatever waits; a broker's restart must not look like a death.
_EVERY = timedelta(seconds=60)


class SourceHealth:
    """Looks at the nova-computes of a cloud now and then, while something moves off them."""

    def __init__(self, nova: Nova) -> None:
        self._nova = nova
        self._looked_at: datetime | None = None
        self._services: dict[str, ComputeService] = {}
        self._down: set[str] = set()

    async def look(self, moves: Iterable[Move]) -> None:
        """Look when it is time, and end the moves whose source was down in two looks in a row.

        Raises: CloudError.
        """
        now = datetime.now(UTC)
        if self._looked_at and now - self._looked_at < _EVERY:
            return
        services = await asyncio.to_thread(self._nova.services, "nova-compute")
        self._looked_at = now
        self._services = {each.host: each for each in services}
        # One whose cell is silent may be up: its moves wait for the cell, others go on.
        down = {each.host for each in services if not each.is_up and not each.is_unknown}
        dead, self._down = down & self._down, down
        for move in moves:
            if move.order.source in dead:
                move.fail(_stranded(move))

    def lost(self, move: Move) -> OwnershipLost | None:
        """Why a move must not start any more, by the last look; None while its run owns the host.

        A look from before the move came says nothing: its run may just have taken the host.
        Raises: CloudError, where the cell of its source does not answer.
        """
        owner, service = move.request.owner, self._services.get(move.order.source)
        if owner is None or service is None:
            return None
        if self._looked_at is None or self._looked_at < move.entered_at:
            return None
        return ownership_lost(service, owner)


def _stranded(move: Move) -> MigrationFailed:
    return MigrationFailed(
        move.subject,
        f"nova-compute on {move.order.source} is down, so nothing moves it any more",
        "Start nova-compute there; when `openstack compute service list` shows it as up, "
        "clear this task with Downstream.",
    )
