"""What moves owe their guests: read when they come, written before a guest is shut down."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from openstack_maintenance.domain.cloud import Instance
from openstack_maintenance.domain.drain.debt import Debt
from openstack_maintenance.domain.errors import MaintenanceError
from openstack_maintenance.triggers.drain.move import Move

if TYPE_CHECKING:
    from openstack_maintenance.adapters.nova import Nova


class Debtor:
    """Reads and writes debts for the moves of one watch."""

    def __init__(self, nova: Nova) -> None:
        self._nova = nova

    async def read(self, waiting: Sequence[Move]) -> None:
        """Whether earlier tries or other runs have shut guests down: one look for all who came.

        Nothing is begun for a move before that is known.
        """
        new = [each for each in waiting if not each.is_debt_known]
        books = [each.request.debts for each in new if each.request.debts is not None]
        if not books:
            return
        try:
            found = {each.instance_id: each for each in await asyncio.to_thread(books[0].all)}
            for move in new:
                await self._take_over(move, found.get(move.order.instance_id))
        except MaintenanceError as error:
            for move in new:
                if datetime.now(UTC) - move.entered_at > move.request.api_patience:
                    move.fail(error)
                move.say(f"the notes beside the records cannot be read, trying again: {error}")

    async def _take_over(self, move: Move, debt: Debt | None) -> None:
        """From now on this run's report pays it. Raises: PolicyError."""
        debts, owner = move.request.debts, move.request.owner
        if debt is None or debts is None:
            move.is_debt_known = True
            return
        move.say(f"run {debt.run_id}: {debt.what}")
        if owner is not None:
            ours = replace(debt, dag_id=owner.dag_id, run_id=owner.run_id, host=move.order.source)
            await asyncio.to_thread(debts.write, ours)
            debt = ours
        move.debt, move.is_debt_known = debt, True

    async def write(self, move: Move) -> None:
        """Before a guest is shut down; one that was off already is owed nothing."""
        debts, instance = move.request.debts, move.instance
        if debts is None or instance is None or not instance.may_be_running:
            return
        if move.debt is None and await self._is_off(move, instance):
            move.say(f"its guest is off already, though Nova shows it {instance.status}: stays off")
            return
        move.debt = move.debt or self._new_debt(move)
        await asyncio.to_thread(debts.write, move.debt)

    async def _is_off(self, move: Move, instance: Instance) -> bool:
        """Whether its owner has shut it down from within, and Nova has not noticed yet.

        Only guests of libvirt's QEMU are processes that can be seen, or seen to be missing.
        """
        sight, host = move.request.sight, instance.host
        if sight is None or host is None:
            return False
        hypervisor = await asyncio.to_thread(self._nova.find_hypervisor, host)
        if hypervisor is None or hypervisor.hypervisor_type != "QEMU":
            return False
        return (await sight.look(self._nova, host, instance.guest_name)).runs is False

    def _new_debt(self, move: Move) -> Debt:
        order, owner = move.order, move.request.owner
        seen = (move.read_at or datetime.now(UTC)) - timedelta(seconds=2)
        return Debt(
            instance_id=order.instance_id,
            name=order.name,
            host=order.source,
            dag_id=owner.dag_id if owner else "",
            run_id=owner.run_id if owner else "",
            since=seen + timedelta(seconds=self._nova.clock_offset_seconds),
        )
