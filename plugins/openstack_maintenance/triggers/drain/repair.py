"""Ends moves that a dying control plane left in a wrong state: where the guest is, is looked up.

By the policy's ``repair_error_state`` the state is set right, and the move goes on.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from openstack_maintenance.domain.drain.move_order import Decision, Memory
from openstack_maintenance.domain.drain.move_trouble import may_be_forgotten
from openstack_maintenance.domain.drain.sighting import (
    Look,
    remedy_for,
    seen_in_words,
    why_not_repaired,
)
from openstack_maintenance.domain.errors import MaintenanceError
from openstack_maintenance.triggers.drain.move import Move
from openstack_maintenance.triggers.drain.setbacks import failure_of

if TYPE_CHECKING:
    from openstack_maintenance.adapters.nova import Nova
    from openstack_maintenance.domain.cloud import Instance

STEP = "repair_error_state"
_RECENT = timedelta(days=1)


class Repair:
    """Looks before it lets a move fail. Losing it loses nothing."""

    def __init__(self, nova: Nova) -> None:
        self._nova = nova

    def drop(self, move: Move) -> None:
        """It goes on: what was seen of its guest says nothing any more."""
        if move.looks is not None:
            move.looks.cancel()
            move.looks = None

    async def fail(self, move: Move, decision: Decision) -> None:
        """End a move that has failed; one whose guest may run only after a look at the hosts.

        The look takes its time in a task of its own: the other moves go on meanwhile.
        """
        sight, instance = move.request.sight, move.instance
        if not decision.sought or sight is None or instance is None:
            move.fail(await failure_of(self._nova, move, decision))
        elif move.looks is None:
            move.say(f"{decision.why}; looks for its guest on {' and '.join(decision.sought)}")
            move.looks = asyncio.gather(
                *(sight.look(self._nova, each, instance.guest_name) for each in decision.sought)
            )
        elif move.looks.done():
            looks, move.looks = move.looks.result(), None
            await self._seen(move, decision, instance, looks)

    async def _seen(
        self, move: Move, decision: Decision, before: Instance, looks: list[Look]
    ) -> None:
        """Decide by what the hosts showed, and by what Nova shows at this very moment."""
        now = await asyncio.to_thread(self._nova.find_instance, before.id)
        if now is None or _state(now) != _state(before):
            move.stale = True  # somebody has acted meanwhile
            return
        seen = seen_in_words(looks)
        move.note("look", f"{decision.why}; {seen}", self._nova.now())
        why_not = await self._why_not(move, now, looks)
        if why_not is None and not (why_not := await self._set_right(move, now, seen)):
            return
        if move.request.repairs is not None:
            seen = f"{seen}. Its state was not set right by the run: {why_not}"
        remedy = f"{decision.first} {remedy_for(now, looks)}".strip()
        move.fail(await failure_of(self._nova, move, replace(decision, remedy=remedy), seen))

    async def _why_not(self, move: Move, instance: Instance, looks: list[Look]) -> str | None:
        repairs = move.request.repairs
        if repairs is None:
            return "the policy's repair_error_state is off"
        now = self._nova.now()
        rows = await asyncio.to_thread(self._nova.migrations, now - _RECENT)
        moving = (each for each in rows if each.is_moving and each.instance_id == instance.id)
        under_way = [each for each in moving if not may_be_forgotten(each, now)]
        if why := why_not_repaired(instance, looks, under_way):
            return why
        try:
            if await asyncio.to_thread(repairs.is_noted, instance.id):
                return "it was set right once in this run already"
            await asyncio.to_thread(repairs.note, instance.id, now)
        except MaintenanceError as error:
            return str(error)
        return None

    async def _set_right(self, move: Move, instance: Instance, seen: str) -> str | None:
        """Have Nova show it as active; why that could not be done."""
        if move.done.done():
            return "its task was ended"
        try:
            await asyncio.to_thread(self._nova.reset_state, instance.id)
        except MaintenanceError as error:
            return f"{error.found.rstrip('.')} ({error.remedy.rstrip('.')})"
        why = f"{seen}: Nova was told that it is active there"
        move.say(f"set its state right: {why}")
        move.note(STEP, why, self._nova.now())
        move.stale = True
        if instance.host == move.order.source:
            move.memory = Memory()  # the migration that it waited for never comes
        return None


def _state(instance: Instance) -> tuple[str | None, str, str | None, int]:
    return instance.host, instance.vm_state, instance.task_state, instance.power_state
