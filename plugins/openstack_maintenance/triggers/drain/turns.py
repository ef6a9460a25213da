"""Whose turn it is: who may start now, by what Nova lists as in flight and by the server groups."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from openstack_maintenance.domain.drain.claim import Claim, name_of, open_claims
from openstack_maintenance.domain.drain.group_peace import restless_because
from openstack_maintenance.domain.drain.slots import busy_because
from openstack_maintenance.triggers.drain.ledger import MigrationLedger, stand_in
from openstack_maintenance.triggers.drain.move import Move

if TYPE_CHECKING:
    from openstack_maintenance.adapters.nova import Nova
    from openstack_maintenance.domain.cloud import Migration


class Turns:
    """Reads nothing but the server groups, and only when a turn comes.

    ``waiting``: the moves that have not ended. Losing this loses nothing.
    """

    def __init__(
        self, nova: Nova, ledger: MigrationLedger, waiting: Callable[[], Sequence[Move]]
    ) -> None:
        self._nova = nova
        self._ledger = ledger
        self._waiting = waiting
        self._groups: dict[str, str] = {}
        self._groups_at: datetime | None = None
        self._flying: Sequence[Migration] | None = None
        self._off: Sequence[Migration] = ()
        self._alone: dict[str, Move] = {}
        self._claims: Sequence[Claim] = ()
        self._claimed: Sequence[Migration] = ()

    @property
    def claims(self) -> Sequence[Claim]:
        """What was claimed when that was looked at last, of whatever triggerer."""
        return self._claims

    @claims.setter
    def claims(self, seen: Sequence[Claim]) -> None:
        self._claims = seen
        self.look_again()

    def claimed_elsewhere(self, holder: str) -> bool:
        """Whether another watch has claimed something that Nova does not list yet."""
        others = [each for each in self._claims if each.holder != holder]
        return bool(others) and bool(self._open(others))

    def _open(self, claims: Sequence[Claim]) -> list[Migration]:
        return open_claims(claims, list(self._ledger.rows()), self._nova.now())

    def look_again(self) -> None:
        """Something has changed: what Nova lists, what it was asked for, or a guest's state."""
        self._flying = None

    def busy(self, move: Move, *, is_live: bool) -> str | None:
        """Why a move cannot start, by what Nova listed last and what was asked for since."""
        if self._flying is None:
            waiting = self._waiting()
            self._flying = self._ledger.in_flight(waiting)
            self._claimed = self._unlisted_claims()
            self._off = [stand_in(each) for each in waiting if each.is_off]
            self._alone = {each.order.source: each for each in waiting if each.needs_room}
        # Its own instance's claim is no other slot; a claim of an earlier try may still be there.
        me = name_of(move.order.instance_id) if self._claimed else ""
        flying = [*self._flying, *(each for each in self._claimed if each.instance_id != me)]
        # Whose guest was stopped for its move goes before all others.
        if not move.is_off:
            flying += self._off
        alone = self._alone.get(move.order.source)
        if alone is not None and alone is not move and not move.is_off:
            return f"the migration of {alone.subject} comes no nearer to its end beside others"
        return busy_because(flying, move.order.source, is_live, move.request.limits)

    def _unlisted_claims(self) -> Sequence[Migration]:
        """What was claimed, and is not among what is in flight anyway."""
        found = self._open(self._claims) if self._claims else []
        flying = {name_of(each.instance_id) for each in self._flying or ()} if found else set()
        return [each for each in found if each.instance_id not in flying]

    def has_come(self) -> bool:
        """Whether anybody could start now."""
        return any(self._begins(each) is None for each in self._waiting())

    def held_up(self, move: Move) -> str | None:
        """Why a move that has not begun cannot begin now; its instance need not be read then."""
        if move.memory.posted_at or self._ledger.of(move.order.instance_id):
            return None
        return self._begins(move)

    def _begins(self, move: Move) -> str | None:
        return self.busy(move, is_live=move.order.method == "live")

    async def read_groups(self) -> None:
        """Read the server groups when a turn comes: members are only added when created."""
        turns = (each.entered_at for each in self._waiting() if self.held_up(each) is None)
        newest = max(turns, default=None)
        if newest is not None and (self._groups_at is None or self._groups_at < newest):
            asked_at = datetime.now(UTC)
            self._groups = await asyncio.to_thread(self._nova.anti_affinity_groups)
            self._groups_at = asked_at

    def is_member(self, move: Move) -> bool:
        """Whether the instance is in an anti-affinity group."""
        return move.order.instance_id in self._groups

    def restless(self, move: Move) -> str | None:
        """Why a move must wait for its server group."""
        if self._groups_at is None or self._groups_at < move.entered_at:
            return "its server group is not known yet"  # its place became free in this very beat
        return restless_because(
            move.order.instance_id, self._groups, self._ledger.rows(), self._nova.now()
        )
