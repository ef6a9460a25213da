"""Steps that Nova takes (202) and that then fail: tried a few times, further and further apart."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from openstack_maintenance.adapters.secrets_in_text import cleaned
from openstack_maintenance.domain.drain.move_order import Decision, Step
from openstack_maintenance.domain.errors import CloudError, MigrationFailed
from openstack_maintenance.triggers.drain.move import Move

if TYPE_CHECKING:
    from openstack_maintenance.adapters.nova import Nova

_PAUSES = [timedelta(seconds=seconds) for seconds in (5, 20, 60)]
_LONGEST = 300
_WORDS = {
    Step.STOP: ("stop", "does not stop", "openstack server stop"),
    Step.START_GUEST: ("start", "does not start", "openstack server start"),
    Step.CONFIRM: ("confirm its move", "waits for it still", "openstack server resize confirm"),
}


async def try_step(nova: Nova, move: Move, decision: Decision) -> bool:
    """Whether to ask now; not yet, while the last try is fresh.

    Raises: MigrationFailed, with Nova's own reason, when it was tried often enough.
    """
    step, tried = decision.step, move.asked[decision.step]
    if step not in _WORDS or not tried or move.asked_at is None:
        return True
    if tried > len(_PAUSES):
        raise await _gave_up(nova, move, step, tried)
    return datetime.now(UTC) - move.asked_at >= _PAUSES[tried - 1]


async def _gave_up(nova: Nova, move: Move, step: Step, tried: int) -> MigrationFailed:
    try:
        why = await asyncio.to_thread(nova.why_it_failed, move.order.instance_id)
    except CloudError as error:
        why = f"the reason could not be read: {error.found}"
    wanted, found, command = _WORDS[step]
    reason = f": {cleaned(why, longest=_LONGEST)}" if why else ""
    return MigrationFailed(
        move.subject,
        f"Nova took the request to {wanted} {tried} times, but it {found}{reason}",
        f"Fix the cause (`openstack server event list {move.order.instance_id}` tells more), run "
        f"`{command} {move.order.instance_id}`, then clear this task.",
    )
