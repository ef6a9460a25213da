"""A move that waits in this triggerer: what was asked, what is known, what was said."""

from __future__ import annotations

import asyncio
import copy
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from openstack_maintenance.domain.cloud import Instance, Migration
from openstack_maintenance.domain.drain.claim import Claim
from openstack_maintenance.domain.drain.debt import Debt
from openstack_maintenance.domain.drain.move_order import Memory, Order, Step
from openstack_maintenance.domain.drain.sighting import Look
from openstack_maintenance.domain.drain.slots import Limits
from openstack_maintenance.domain.errors import MaintenanceError
from openstack_maintenance.domain.foreign_text import in_short
from openstack_maintenance.domain.mark import Mark


class DebtBook(Protocol):
    """Where debts are kept: `records.debts`. Every call may raise a MaintenanceError."""

    def write(self, debt: Debt) -> None:
        """Note a debt."""

    def find(self, instance_id: str) -> Debt | None:
        """What is owed to an instance."""

    def all(self) -> list[Debt]:
        """Every open debt."""

    def strike(self, instance_id: str) -> None:
        """It is owed no more."""


class ClaimBook(Protocol):
    """Where slots are claimed: `records.claims`. Every call may raise a MaintenanceError."""

    def write(self, claim: Claim) -> None:
        """Claim a slot."""

    def all(self) -> list[Claim]:
        """What everybody claims."""

    def strike(self, claim: Claim) -> None:
        """It is claimed no more."""


class Sight(Protocol):
    """How a host is looked at for a guest: `triggers.drain.sight`."""

    async def look(self, nova: Any, host: str, guest: str) -> Look:
        """See whether a guest's process runs there; never an error."""


class RepairBook(Protocol):
    """What the run has set right already: `records.repairs`. May raise a MaintenanceError."""

    def is_noted(self, instance_id: str) -> bool:
        """Whether the state of an instance was set right before."""

    def note(self, instance_id: str, at: datetime) -> None:
        """Note it."""


@dataclass(frozen=True)
class MoveRequest:
    """One instance's move, with everything that decides when it may start.

    ``may_start`` answers why nothing may be started now, or None; it is asked with the time.
    ``owner``: the run that must own the source; None where a trigger of an older release is.
    ``is_suggestion``: the destination is a plan's, and Nova has the last word.
    ``debts``: None where a trigger of an older release is, which kept none. ``sight``: None where
    it is, which looked at no host. ``repairs``: None where the policy does not let the run set an
    instance's state right. ``claims``: None where no other watch can be at work.
    """

    order: Order
    destination: str | None
    block_migration: str
    limits: Limits
    turn_patience: timedelta
    api_patience: timedelta
    may_start: Callable[[datetime], str | None]
    owner: Mark | None = None
    is_suggestion: bool = False
    debts: DebtBook | None = None
    sight: Sight | None = None
    repairs: RepairBook | None = None
    claims: ClaimBook | None = None


# What a move ends with once its debt is paid: an error, or why it is done and by which migration.
Ending = MaintenanceError | tuple[str, Migration | None]


@dataclass
class Move:
    """The state of one move in this process. Losing it loses nothing.

    ``debt``: what its guest is owed. ``ending``: the move is over, and only its debt is open.
    ``is_alone``: its task is gone, nobody waits for the result. ``asked``: how often Nova took a
    step that a guest must follow, and ``asked_at`` when; ``unsure_since``: since when it is not
    known whether Nova took the request to move it, and ``stop_unsure_at`` the one to stop it.
    ``needs_room``: nothing else is to start beside its migration. ``claim``: of the slot for what
    Nova was asked for last. ``steps``: what was done and why, for the record.
    """

    request: MoveRequest
    done: asyncio.Future[dict[str, Any]]
    instance: Instance | None = None
    read_at: datetime | None = None
    stale: bool = True
    memory: Memory = field(default_factory=Memory)
    entered_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    is_suggestion_refused: bool = False
    is_stopping: bool = False
    waiting_since: datetime = field(default_factory=lambda: datetime.now(UTC))
    failing_since: datetime | None = None
    debt: Debt | None = None
    is_debt_known: bool = False
    ending: Ending | None = None
    is_alone: bool = False
    asked: Counter[Step] = field(default_factory=Counter)
    asked_at: datetime | None = None
    unsure_since: datetime | None = None
    stop_unsure_at: datetime | None = None
    was_stuck: bool = False
    progress_at: datetime | None = None
    needs_room: bool = False
    looks: asyncio.Future[list[Look]] | None = None
    steps: list[dict[str, str]] = field(default_factory=list)
    posting: asyncio.Task[None] | None = None
    claim: Claim | None = None
    doubted_at: int | None = None
    _lines: asyncio.Queue[str | None] = field(default_factory=asyncio.Queue)
    _last_line: str = ""

    @property
    def order(self) -> Order:
        """What the move was asked to be."""
        return self.request.order

    @property
    def subject(self) -> str:
        """The instance, for messages."""
        return f"instance {in_short(self.order.name)} ({self.order.instance_id})"

    @property
    def is_off(self) -> bool:
        """Whether its guest is off on the source for this move: its tenant waits for it."""
        order, has_debts = self.order, self.request.debts is not None
        is_inferred = order.was_running and order.may_stop and order.method != "cold"
        if self.ending is not None or not (self.is_owed if has_debts else is_inferred):
            return False
        there = self.instance if self.instance and self.instance.host == self.order.source else None
        return self.is_stopping or (there is not None and there.vm_state == "stopped")

    def say(self, line: str) -> None:
        """Tell the person who reads the task's log; each thing once."""
        if line != self._last_line:
            self._last_line = line
            self._lines.put_nowait(line)

    def note(self, step: str, why: str, at: datetime) -> None:
        """Keep a step for the record, once while it goes on or is asked again. ``at``: Nova's."""
        last = self.steps[-1] if self.steps else {}
        if (last.get("step"), last.get("why")) != (step, why):
            self.steps.append({"at": at.isoformat(timespec="seconds"), "step": step, "why": why})

    async def lines(self) -> AsyncIterator[str]:
        """What is said, as it is said, until the move has ended."""
        while (line := await self._lines.get()) is not None:
            yield line

    def knows(self, instance: Instance | None, read_at: datetime) -> None:
        """Take note of what Nova showed."""
        self.is_stopping = instance is not None and instance.task_state == "powering-off"
        self.instance, self.read_at, self.stale = instance, read_at, False
        if instance is None or instance.vm_state == "stopped":
            self.stop_unsure_at = None

    @property
    def is_owed(self) -> bool | None:
        """Whether its guest is owed its start; None where no debts are kept."""
        if self.request.debts is None:
            return None
        return self.debt is not None and self.debt.starts

    def fail(self, error: MaintenanceError) -> None:
        """End with an error; the first ending counts. A debt is paid before that."""
        if self.debt is not None:
            self._end_after_payment(error)
        else:
            self.close(error)

    def finish(self, why: str, migration: Migration | None) -> None:
        """End in success. A debt is paid before that."""
        if self.debt is not None:
            self._end_after_payment((why, migration))
        else:
            self._succeed(why, migration)

    def _end_after_payment(self, ending: Ending) -> None:
        if self.ending is None:
            self.ending, self.stale = ending, True
            self.waiting_since, self.failing_since = datetime.now(UTC), None
            self.asked.clear()

    def paid(self, how: str) -> None:
        """Its debt is struck out: it ends as it was about to, and says what became of its guest."""
        self.debt = None
        if isinstance(self.ending, tuple):
            why, migration = self.ending
            self._succeed(f"{why}; {how}", migration)
        elif self.ending is not None:
            told = copy.copy(self.ending)  # one error may be several moves'
            told.found = f"{told.found.rstrip('.')}; {how}"
            self.close(told)

    def abandon(self, error: MaintenanceError) -> None:
        """End at once although its debt is open: the run's report, or the next run, pays it."""
        if self.debt is not None:
            why = ""
            if isinstance(self.ending, MaintenanceError):  # it tells more than a silent cloud
                error, why = self.ending, f" ({error.found.rstrip('.')})"
            error = copy.copy(error)
            error.found = f"{error.found.rstrip('.')}; {self.debt.what}, and {self.debt.fear}{why}"
            error.remedy = f"{error.remedy} Then run {self.debt.command}."
        self.close(error)

    def cancel(self) -> None:
        """Nobody follows it any more."""
        self.done.cancel()
        if self.looks is not None:
            self.looks.cancel()
        self._lines.put_nowait(None)

    def close(self, error: MaintenanceError) -> None:
        """End with an error, now."""
        if not self.done.done():
            self.done.set_exception(error)
            self._lines.put_nowait(None)

    def _succeed(self, why: str, migration: Migration | None) -> None:
        """The outcome is plain JSON: it becomes the task's XCom."""
        if self.done.done():
            return
        instance = self.instance
        self.done.set_result(
            {
                "instance_id": self.order.instance_id,
                "name": self.order.name,
                "source": self.order.source,
                "host": instance.host if instance else None,
                "status": instance.status if instance else "DELETED",
                "method": self.order.method,
                "outcome": why,
                "migration": migration.uuid if migration else None,
                "started_at": migration.created_at.isoformat() if migration else None,
                "ended_at": migration.updated_at.isoformat() if migration else None,
                "steps": self.steps,
            }
        )
        self._lines.put_nowait(None)
