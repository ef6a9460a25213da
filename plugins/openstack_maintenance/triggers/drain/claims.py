"""Before Nova is asked to migrate: the slot is claimed, and nobody else has claimed it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

from openstack_maintenance.domain.drain.claim import Claim, is_over, name_of
from openstack_maintenance.domain.errors import MaintenanceError
from openstack_maintenance.triggers.drain.ledger import MigrationLedger
from openstack_maintenance.triggers.drain.move import ClaimBook, Move
from openstack_maintenance.triggers.drain.turns import Turns

if TYPE_CHECKING:
    from openstack_maintenance.adapters.nova import Nova

# How long one that came first waits until a later one has withdrawn, and how often it looks.
_WITHDRAWS_WITHIN = 0.3
_LOOKS = 3
# Nova's list must be newer than any claim that is no longer there.
_FRESH = timedelta(seconds=30)


class Slots:
    """Claims slots for the moves of one watch, among all watches that share the records.

    Whoever claims writes first and lists then, so of two at least one sees the other. Nobody asks
    Nova who sees its slot claimed: the later one withdraws, the first one waits for that a moment.
    """

    def __init__(self, nova: Nova, ledger: MigrationLedger, turns: Turns) -> None:
        self._nova = nova
        self._ledger = ledger
        self._turns = turns
        self._holder = uuid4().hex[:12]

    async def look(self, moves: Sequence[Move]) -> None:
        """What others had claimed is looked at again, so that it holds nobody up for long."""
        books = [each.request.claims for each in moves if each.request.claims is not None]
        if books and self._turns.claimed_elsewhere(self._holder):
            try:
                self._turns.claims = await asyncio.to_thread(books[0].all)
            except MaintenanceError:
                return  # what was seen last counts on, until it is over

    async def take(self, move: Move, *, is_live: bool) -> str | None:
        """Claim a slot for a move; or why it has none."""
        book = move.request.claims
        if book is None:
            return None
        if self._ledger.is_older_than(_FRESH):
            return "Nova's migrations are listed again first"
        claim = self._new_claim(move, is_live)
        try:
            why = await self._contended(move, claim, book)
            if why is None and not move.done.done():
                move.claim = claim
                return None
            await asyncio.to_thread(book.strike, claim)
        except MaintenanceError as error:  # the one that was written holds until it is over
            return f"its slot cannot be claimed, trying again: {error}"
        return why or "its task was ended"

    async def give_back(self, move: Move) -> None:
        """Nova has refused: nothing comes of it."""
        claim, move.claim = move.claim, None
        if claim is None or move.request.claims is None:
            return
        try:
            await asyncio.to_thread(move.request.claims.strike, claim)
        except MaintenanceError as error:
            move.say(f"its claim of a slot stays for some minutes: {error}")

    async def _contended(self, move: Move, claim: Claim, book: ClaimBook) -> str | None:
        seen = await asyncio.to_thread(_write_and_list, book, claim)
        for _ in range(_LOOKS):
            self._turns.claims = [each for each in seen if each != claim]
            why = self._turns.busy(move, is_live=claim.is_live)
            if why is None:
                break
            self._turns.claims = [each for each in seen if each < claim]
            is_first = self._turns.busy(move, is_live=claim.is_live) is None
            self._turns.claims = [each for each in seen if each != claim]
            if not is_first:
                break
            await asyncio.sleep(_WITHDRAWS_WITHIN)
            seen = await asyncio.to_thread(book.all)
        await self._strike_old(seen, book)
        return why

    async def _strike_old(self, seen: Sequence[Claim], book: ClaimBook) -> None:
        """Whoever wrote them may be gone."""
        now = self._nova.now()
        for each in seen:
            if is_over(each, now):
                await asyncio.to_thread(book.strike, each)

    def _new_claim(self, move: Move, is_live: bool) -> Claim:
        known = self._ledger.of(move.order.instance_id)
        return Claim(
            at=self._nova.now(),
            instance=name_of(move.order.instance_id),
            host=name_of(move.order.source),
            holder=self._holder,
            after=known[-1].id if known else 0,
            is_live=is_live,
        )


def _write_and_list(book: ClaimBook, claim: Claim) -> list[Claim]:
    book.write(claim)
    return book.all()
