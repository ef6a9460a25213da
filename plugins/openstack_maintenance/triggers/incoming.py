"""Waits until no migration is on its way to a host."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from openstack_maintenance.domain.cloud import incoming
from openstack_maintenance.domain.errors import CheckFailed, MaintenanceError
from openstack_maintenance.domain.foreign_text import brief, brief_list
from openstack_maintenance.hooks.cloud_hook import CLOUD_CONN_ID, CloudHook
from openstack_maintenance.triggers import stored
from openstack_maintenance.triggers.waiting import LONGEST_LINE, StillWaiting, Waiting, error_event

if TYPE_CHECKING:
    from openstack_maintenance.adapters.nova import Nova

_EVERY_SECONDS = 5.0
_NOTHING = "nothing is on its way in"


class IncomingTrigger(BaseTrigger):
    """Resumes its task once nothing moves to ``host``. ``deadline``: ISO 8601.

    What only a newer release stores (``later``, after a downgrade) is left alone.
    """

    def __init__(
        self, host: str = "", deadline: str = "", conn_id: str = CLOUD_CONN_ID, **later: Any
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # BaseTrigger has no types
        self.host = host
        self.deadline = deadline
        self.conn_id = conn_id
        self._nova: Nova | None = None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """The class and its arguments, as Airflow stores them."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {"host": self.host, "deadline": self.deadline, "conn_id": self.conn_id},
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look every few seconds."""
        await asyncio.sleep(_EVERY_SECONDS)
        yield await self._wait()

    async def _wait(self) -> TriggerEvent:
        try:
            deadline = self._read_arguments()
            waiting = Waiting(f"host {self.host}", self._look, self._too_late, self.log)
            await waiting.until(deadline, _EVERY_SECONDS)
        except MaintenanceError as error:
            self.log.error("%s", brief(error, LONGEST_LINE))
            return error_event(error)
        return TriggerEvent({"result": _NOTHING})

    def _read_arguments(self) -> datetime:
        try:
            stored.text(self.host, "host")
            stored.text(self.conn_id, "conn_id")
            return stored.moment(self.deadline, "deadline")
        except ValueError as error:
            raise stored.unreadable(f"host {brief(self.host, 100)}", error) from error

    async def _look(self) -> dict[str, Any]:
        if self._nova is None:
            self._nova = await CloudHook(self.conn_id).aget_conn()
        rows = await asyncio.to_thread(self._nova.migrations, datetime.now(UTC) - timedelta(days=1))
        coming = incoming(rows, self.host)
        coming = await asyncio.to_thread(self._nova.without_left_behind, coming)
        moving = [f"{each.instance_id} from {each.source}" for each in coming]
        if moving:
            raise StillWaiting(", ".join(brief_list(moving)))
        return {"found": _NOTHING}

    async def _too_late(self, found: str) -> CheckFailed:
        return CheckFailed(
            f"host {self.host}",
            f"instances are on their way to it and do not arrive: {found}",
            "See `openstack server migration list`, then clear this task with Downstream.",
        )
