"""Ends moves that owe a guest its start: it is started where it is, and seen to run, first."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from openstack_maintenance.domain.cloud import Migration
from openstack_maintenance.domain.drain.debt import Debt, payment_step
from openstack_maintenance.domain.drain.move_order import Decision, Step
from openstack_maintenance.domain.drain.move_trouble import may_be_forgotten
from openstack_maintenance.domain.errors import CloudError, MaintenanceError, MigrationFailed
from openstack_maintenance.triggers.drain.move import Move
from openstack_maintenance.triggers.drain.setbacks import is_refusal, is_worth_a_look
from openstack_maintenance.triggers.drain.tries import try_step

if TYPE_CHECKING:
    from openstack_maintenance.adapters.nova import Nova

# A stop whose answer was lost may still reach the guest: until then it counts as running by chance.
_STOP_MAY_COME = timedelta(seconds=60)


class Settlement:
    """Pays what moves owe. ``migrations``: an instance's, oldest first."""

    def __init__(self, nova: Nova, migrations: Callable[[str], list[Migration]]) -> None:
        self._nova = nova
        self._migrations = migrations

    async def advance(self, move: Move) -> None:
        """One step of the payment; the move ends once its guest was seen to run, or cannot."""
        try:
            await self._advance(move)
        except CloudError as error:
            self._failed(move, error)
        except MaintenanceError as error:
            _unpaid(move, str(error))

    async def _advance(self, move: Move) -> None:
        if (debt := move.debt) is None:
            return
        if move.stale:
            found = await asyncio.to_thread(self._nova.find_instance, move.order.instance_id)
            move.knows(found, datetime.now(UTC))
        move.stale = True
        decision = await self._decide(move, debt)
        if decision.step is Step.WAIT:
            self._wait(move, debt, decision)
        elif decision.step is Step.DONE:
            await self._strike(move, decision.why)
        elif decision.step is Step.FAIL:
            _unpaid(move, decision.why)
        else:
            await self._act(move, decision)

    async def _decide(self, move: Move, debt: Debt) -> Decision:
        instance, rows = move.instance, self._migrations(debt.instance_id)
        decision = payment_step(debt, instance, rows, None)
        if decision.step is Step.DONE and _stop_may_come(move):
            return Decision(Step.WAIT, "whether Nova took the request to stop it is not known")
        if decision.step is Step.START_GUEST and not move.asked[Step.START_GUEST]:
            acted = await asyncio.to_thread(self._acted, debt.instance_id, debt.since)
            decision = payment_step(debt, instance, rows, acted)
        return decision

    def _acted(self, instance_id: str, since: datetime) -> str | None:
        try:
            return self._nova.acted_since(instance_id, since)
        except CloudError as error:
            if is_refusal(error):
                return None  # it may not be known: then it is started
            raise

    async def _act(self, move: Move, decision: Decision) -> None:
        act = self._nova.confirm if decision.step is Step.CONFIRM else self._nova.start_guest
        if await try_step(self._nova, move, decision):
            move.say(f"{decision.step.value.replace('_', ' ')}: {decision.why}")
            await asyncio.to_thread(act, move.order.instance_id)
            move.asked[decision.step] += 1
            move.asked_at = datetime.now(UTC)
        move.failing_since = None

    def _wait(self, move: Move, debt: Debt, decision: Decision) -> None:
        move.failing_since = None
        moves = decision.migration
        if moves is not None and not may_be_forgotten(moves, self._nova.now()):
            move.waiting_since = datetime.now(UTC)  # Nova cannot abort it: it arrives
        elif datetime.now(UTC) - move.waiting_since > max(
            move.request.api_patience, _STOP_MAY_COME * 2
        ):
            _unpaid(move, decision.why)
            return
        move.say(f"{debt.what}: {decision.why}")

    async def _strike(self, move: Move, why: str) -> None:
        if move.debt is None or move.request.debts is None:
            return
        await asyncio.to_thread(move.request.debts.strike, move.debt.instance_id)
        instance = move.instance
        if instance is not None and instance.vm_state in {"active", "paused"}:
            started = move.asked[Step.START_GUEST] > 0
            why = f"its guest {'was started again' if started else 'runs'} on {instance.host}"
        move.paid(why)

    def _failed(self, move: Move, error: CloudError) -> None:
        now = datetime.now(UTC)
        move.failing_since = move.failing_since or now
        may_pass = is_worth_a_look(error) or not is_refusal(error)
        if not may_pass or now - move.failing_since > move.request.api_patience:
            _unpaid(move, str(error))
        else:
            move.say(f"Nova does not answer, trying again: {error}")


def _stop_may_come(move: Move) -> bool:
    since = move.stop_unsure_at
    return since is not None and datetime.now(UTC) - since < _STOP_MAY_COME


def _unpaid(move: Move, why: str) -> None:
    """It ends, and its debt stays open for the run's report and for whoever lists anew."""
    debt, ending = move.debt, move.ending
    if debt is None:
        return
    where = move.instance.host if move.instance else debt.host
    before = ending[0] if isinstance(ending, tuple) else ending.found if ending else "it ended"
    remedy = "" if ending is None or isinstance(ending, tuple) else f" {ending.remedy}"
    move.close(
        MigrationFailed(
            move.subject,
            f"{before.rstrip('.')}; {debt.what}, and on {where} {debt.fear}: {why.rstrip('.')}",
            f"Run {debt.command}.{remedy}",
        )
    )
