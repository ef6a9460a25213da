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


# A night closes hosts again with each turn that it gives; a move does not wait for all of them.
_MOST = 3


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
        closed = [each.host for each in services if each.is_closed]
        # Before any is opened: also where an answer is lost then, this refusal means nothing.
        self._judged[key] = bool(closed) and self._excuses(last.instance_id) < _MOST
        if not self._judged[key]:
            return
        names = ", ".join(closed)
        move.say(f"no host was found while {names} stayed closed until its turn: they are opened")
        for host in closed:
            await asyncio.to_thread(self._open, host)

    def _open(self, host: str) -> None:
        """Its turn may have come since: then its own run has it, and nobody else enables it."""
        service = self._nova.find_service(host)
        if service is not None and service.is_closed:
            self._nova.enable(service)

    def _excuses(self, instance_id: str) -> int:
        return sum(self._judged[key] for key in self._judged if key[0] == instance_id)

    def excused(self, migrations: Sequence[Migration]) -> list[Migration]:
        """Those for which a host may be found now."""
        return [each for each in migrations if self._judged.get((each.instance_id, each.id))]
