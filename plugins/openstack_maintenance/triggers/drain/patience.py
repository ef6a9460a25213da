"""Why a move must wait, and for how long at most."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from openstack_maintenance.adapters.secrets_in_text import cleaned
from openstack_maintenance.domain.drain.move_order import timeout
from openstack_maintenance.domain.errors import MigrationFailed
from openstack_maintenance.triggers.drain.move import Move
from openstack_maintenance.triggers.drain.source_health import SourceHealth
from openstack_maintenance.triggers.drain.turns import Turns

if TYPE_CHECKING:
    from openstack_maintenance.adapters.nova import Nova
    from openstack_maintenance.domain.cloud import Migration

# These wait in Nova, and do not move yet.
WAITS_IN_NOVA = frozenset({"accepted", "queued"})


class Patience:
    """Nothing waits forever: neither for its turn, nor in Nova's queue, nor for a task."""

    def __init__(self, nova: Nova, turns: Turns, health: SourceHealth) -> None:
        self._nova = nova
        self._turns = turns
        self._health = health

    def must_wait(self, move: Move, *, is_live: bool) -> str | None:
        """Why nothing is begun for a move now: neither a migration nor the stop of its guest.

        Raises: MigrationFailed, OwnershipLost: nothing is to be begun any more.
        """
        # A guest that was stopped for its move is moved and started, whatever the time.
        held = None if move.is_off else move.request.may_start(datetime.now(UTC))
        if held is not None:
            raise MigrationFailed(move.subject, held, "Clear this task when the window is open.")
        if lost := self._health.lost(move):
            raise lost
        return self._turns.busy(move, is_live=is_live) or self._turns.restless(move)

    def wait(self, move: Move, why: str, migration: Migration | None = None) -> None:
        """Say why it waits. What is on its way, and inside its own limit, is followed instead.

        Raises: MigrationFailed, after the policy's turn_patience.
        """
        if migration is not None and self._is_followed(move, migration):
            move.waiting_since = datetime.now(UTC)
        if datetime.now(UTC) - move.waiting_since > move.request.turn_patience:
            raise MigrationFailed(
                move.subject,
                f"nothing happened within the policy's turn_patience: {cleaned(why)}",
                "See `openstack server migration list` and `openstack server event list "
                f"{move.order.instance_id}`, then clear this task.",
            )
        move.say(why)

    def _is_followed(self, move: Move, migration: Migration) -> bool:
        since = move.memory.running_since
        is_late = since is not None and self._nova.now() - since > timeout(move.order)
        return migration.status not in WAITS_IN_NOVA and not move.was_stuck and not is_late
