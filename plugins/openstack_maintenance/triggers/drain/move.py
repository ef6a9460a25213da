"""A move that waits in this triggerer: what was asked, what is known, what was said."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from openstack_maintenance.domain.cloud import Instance, Migration
from openstack_maintenance.domain.drain.move_step import Memory, Order
from openstack_maintenance.domain.drain.slots import Limits
from openstack_maintenance.domain.errors import MaintenanceError
from openstack_maintenance.domain.foreign_text import in_short
from openstack_maintenance.domain.mark import Mark


@dataclass(frozen=True)
class MoveRequest:
    """One instance's move, with everything that decides when it may start.

    ``may_start`` answers why nothing may be started now, or None; it is asked with the time.
    ``owner``: the run that must own the source; None where a trigger of an older release is.
    ``is_suggestion``: the destination is a plan's, and Nova has the last word.
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


@dataclass
class Move:
    """The state of one move in this process. Losing it loses nothing."""

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
        order = self.order
        if not (order.was_running and order.may_stop) or order.method == "cold":
            return False
        there = self.instance if self.instance and self.instance.host == self.order.source else None
        return self.is_stopping or (there is not None and there.vm_state == "stopped")

    def say(self, line: str) -> None:
        """Tell the person who reads the task's log; each thing once."""
        if line != self._last_line:
            self._last_line = line
            self._lines.put_nowait(line)

    async def lines(self) -> AsyncIterator[str]:
        """What is said, as it is said, until the move has ended."""
        while (line := await self._lines.get()) is not None:
            yield line

    def knows(self, instance: Instance | None, read_at: datetime) -> None:
        """Take note of what Nova showed."""
        self.is_stopping = instance is not None and instance.task_state == "powering-off"
        self.instance, self.read_at, self.stale = instance, read_at, False

    def fail(self, error: MaintenanceError) -> None:
        """End with an error; the first ending counts."""
        if not self.done.done():
            self.done.set_exception(error)
            self._lines.put_nowait(None)

    def finish(self, why: str, migration: Migration | None) -> None:
        """End in success. The outcome is plain JSON: it becomes the task's XCom."""
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
            }
        )
        self._lines.put_nowait(None)
