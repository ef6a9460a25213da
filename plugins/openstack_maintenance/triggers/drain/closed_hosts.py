"""Hosts that a night keeps closed for new instances, and that an instance cannot do without."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from openstack_maintenance.domain.cloud import Migration
from openstack_maintenance.domain.drain.group_peace import found_no_host
from openstack_maintenance.triggers.drain.move import Move

if TYPE_CHECKING:
    from openstack_maintenance.adapters.nova import Nova


class ClosedHosts:
    """Opens them when Nova's scheduler has found no host for a move.

    A night closes what its plan can do without, and no plan knows all that keeps an instance where
    it is: cells, and filters that ask for more than room, no API tells.
    """

    def __init__(self, nova: Nova) -> None:
        self._nova = nova
        self._judged: dict[tuple[str, int], bool] = {}

    async def look(self, move: Move, migrations: Sequence[Migration]) -> None:
        """Judge the last of a move's migrations (oldest first), once. Raises: CloudError."""
        last, memory = (migrations[-1] if migrations else None), move.memory
        if last is None or memory.posted_at is None or last.id <= memory.posted_after:
            return
        is_named = move.request.destination is not None and not move.request.is_suggestion
        key = (last.instance_id, last.id)
        if is_named or key in self._judged or not found_no_host(last):
            return
        services = await asyncio.to_thread(self._nova.services, "nova-compute")
        closed = [each for each in services if each.is_closed]
        for each in closed:
            await asyncio.to_thread(self._nova.enable, each)
        self._judged[key] = bool(closed)
        if closed:
            names = ", ".join(each.host for each in closed)
            move.say(f"no host was found while {names} stayed closed until its turn: opened")

    def excused(self, migrations: Sequence[Migration]) -> list[Migration]:
        """Those for which a host may be found now."""
        return [each for each in migrations if self._judged.get((each.instance_id, each.id))]
