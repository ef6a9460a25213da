"""Waits until no migration is on its way to a host."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from openstack_maintenance.domain.cloud import incoming
from openstack_maintenance.domain.errors import CheckFailed, CloudError, ConnectionMissing
from openstack_maintenance.hooks.cloud import CLOUD_CONN_ID, CloudHook
from openstack_maintenance.triggers.move import error_payload

_EVERY_SECONDS = 5.0


class IncomingTrigger(BaseTrigger):
    """Resumes its task once nothing moves to ``host``. ``deadline``: ISO 8601."""

    def __init__(self, host: str, deadline: str, conn_id: str = CLOUD_CONN_ID) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # BaseTrigger has no types
        self.host = host
        self.deadline = deadline
        self.conn_id = conn_id

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """The class and its arguments, as Airflow stores them."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {"host": self.host, "deadline": self.deadline, "conn_id": self.conn_id},
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look every few seconds."""
        deadline = datetime.fromisoformat(self.deadline)
        try:
            nova = await CloudHook(self.conn_id).aget_conn()
        except ConnectionMissing as missing:
            yield TriggerEvent({"error": error_payload(missing)})
            return
        while True:
            await asyncio.sleep(_EVERY_SECONDS)
            found = await self._coming(nova)
            if not found:
                yield TriggerEvent({"result": "nothing is on its way in"})
                return
            self.log.info("%s", found)
            if datetime.now(UTC) >= deadline:
                error = CheckFailed(
                    f"host {self.host}",
                    f"something is on its way to it and does not arrive: {found}",
                    "See openstack server migration list, then clear this task with Downstream.",
                )
                yield TriggerEvent({"error": error_payload(error)})
                return

    async def _coming(self, nova: Any) -> str:
        since = datetime.now(UTC) - timedelta(days=1)
        try:
            rows = await asyncio.to_thread(nova.migrations, since)
        except CloudError as error:
            return str(error)  # it may pass: the deadline decides
        moving = incoming(rows, self.host)
        return ", ".join(f"{each.instance_id} from {each.source}" for each in moving)
