"""Guests that drains have shut down and not started yet: told to who lists, paid by who ends."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from openstack_maintenance.domain.cloud import instance_facts
from openstack_maintenance.domain.drain.debt import Debt, owed_facts, payment_step
from openstack_maintenance.domain.drain.move_order import Decision, Step
from openstack_maintenance.domain.errors import CloudError, MaintenanceError
from openstack_maintenance.operators.clock import utc_now
from openstack_maintenance.records.debts import Debts

if TYPE_CHECKING:
    from openstack_maintenance.adapters.nova import Nova
    from openstack_maintenance.domain.cloud import Instance
    from openstack_maintenance.domain.drain.movability import Movement
    from openstack_maintenance.domain.mark import Mark
    from openstack_maintenance.domain.policy import Policy

_log = logging.getLogger(__name__)

# A report has a worker slot while it pays.
_PAYS_WITHIN = timedelta(minutes=5)
_EVERY_SECONDS = 3.0
_BETWEEN_STARTS = timedelta(seconds=20)
_MOST_STARTS = 3


def planned_moves(moves: Iterable[Movement], debts: dict[str, Debt]) -> list[dict[str, Any]]:
    """Each move as plain JSON; a guest that is off and owed its start counts as running."""
    return [
        {
            **instance_facts(each.instance),
            "method": each.method,
            **owed_facts(debts.get(each.instance.id) if _is_off(each.instance) else None),
        }
        for each in moves
    ]


def owed_in_words(moves: Iterable[Movement], debts: dict[str, Debt]) -> dict[str, str]:
    """What a plan says besides of each guest that is off and owed its start, by its id."""
    owed = {each for each, debt in debts.items() if debt.starts}
    ids = {each.instance.id for each in moves if _is_off(each.instance)} & owed
    return {each: f", and start it there: run {debts[each].run_id} shut it down" for each in ids}


def _is_off(instance: Instance) -> bool:
    return instance.vm_state == "stopped"


def debts_by_instance(policy: Policy) -> dict[str, Debt]:
    """Every open debt. Raises: RecordUnreadable; PolicyError."""
    return {each.instance_id: each for each in Debts(policy).all()}


def owed_elsewhere(
    nova: Nova, policy: Policy, host: str, debts: dict[str, Debt], listed: Iterable[Instance]
) -> list[dict[str, Any]]:
    """Guests that were shut down on a host, have left it, and do not run yet.

    Their moves are listed once more: confirmed and started where they are. Raises: CloudError.
    """
    here = {each.id for each in listed}
    found = []
    for debt in debts.values():
        if debt.host != host or debt.instance_id in here:
            continue
        instance = nova.find_instance(debt.instance_id)
        if payment_step(debt, instance, [], None).step is Step.DONE:
            Debts(policy).strike(debt.instance_id)
        elif instance is not None:
            found.append({**instance_facts(instance), "method": "cold", **owed_facts(debt)})
    return found


@dataclass
class _Payment:
    """One debt while it is paid. ``words``: how it stands, for people."""

    debt: Debt
    words: str = ""
    is_over: bool = False
    starts: int = 0
    next_start: datetime = field(default_factory=utc_now)

    def __str__(self) -> str:
        return f"instance {self.debt.label}: {self.debt.what}; {self.words}"

    def unpaid(self, why: str, *, is_over: bool = True) -> None:
        self.words, self.is_over = f"{self.debt.fear}: {why}. Run {self.debt.command}", is_over


class Payer:
    """Starts guests that a run has shut down, at the run's end. Raises nothing: it tells."""

    def __init__(self, open_nova: Callable[[], Nova], policy: Policy) -> None:
        self._open_nova = open_nova
        self._debts = Debts(policy)

    def pay(self, host: str | None, mark: Mark) -> list[str]:
        """What became of each guest, a sentence each.

        ``host``: the host that the run has, whose debts of earlier runs it pays, too.
        """
        try:
            found = self._debts.all()
        except MaintenanceError as error:
            return [str(error)]
        payments = [_Payment(each) for each in found if each.host == host or each.is_of(mark)]
        until = utc_now() + _PAYS_WITHIN
        while still := [each for each in payments if not each.is_over]:
            for each in still:
                self._advance(each)
            if utc_now() > until:
                break
            if not all(each.is_over for each in still):
                time.sleep(_EVERY_SECONDS)
        return [str(each) for each in payments]

    def _advance(self, payment: _Payment) -> None:
        try:
            self._step(payment)
        except CloudError as error:
            payment.unpaid(error.found.rstrip("."), is_over=False)
        except MaintenanceError as error:
            payment.unpaid(error.found.rstrip("."))
        except Exception as error:  # a defect must not cost the run's record
            _log.exception("a guest could not be started")
            payment.unpaid(f"something unexpected happened: {type(error).__name__}")

    def _step(self, payment: _Payment) -> None:
        debt, nova = payment.debt, self._open_nova()
        decision = _decide(nova, debt)
        if decision.step is Step.DONE:
            self._debts.strike(debt.instance_id)
            was_started = payment.starts > 0 and "runs on" in decision.why
            payment.words = f"it was started again, {decision.why}" if was_started else decision.why
            payment.is_over = True
            return
        payment.unpaid(decision.why, is_over=decision.step is Step.FAIL)
        if decision.step is Step.CONFIRM:
            nova.confirm(debt.instance_id)
        elif decision.step is Step.START_GUEST and utc_now() >= payment.next_start:
            _start(nova, payment)


def _start(nova: Nova, payment: _Payment) -> None:
    instance_id = payment.debt.instance_id
    if payment.starts >= _MOST_STARTS:
        why = nova.why_it_failed(instance_id)
        reason = f": {why}" if why else ""
        payment.unpaid(f"Nova took {payment.starts} requests to start it, in vain{reason}")
        return
    payment.next_start = utc_now() + _BETWEEN_STARTS
    nova.start_guest(instance_id)
    payment.starts += 1


def _decide(nova: Nova, debt: Debt) -> Decision:
    since = utc_now() - timedelta(days=1)
    rows = [each for each in nova.migrations(since) if each.instance_id == debt.instance_id]
    instance = nova.find_instance(debt.instance_id)
    decision = payment_step(debt, instance, rows, None)
    if decision.step is not Step.START_GUEST:
        return decision
    return payment_step(debt, instance, rows, _acted(nova, debt))


def _acted(nova: Nova, debt: Debt) -> str | None:
    """What its owner did since; where that may not be known, it is started."""
    from openstack_maintenance.adapters.cloud_errors import Refused

    try:
        return nova.acted_since(debt.instance_id, debt.since)
    except Refused:
        return None
