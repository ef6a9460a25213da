"""Waits for the end of another run, also for one that a person deletes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import asgiref.sync
from airflow.triggers.base import BaseTrigger, TriggerEvent

_ENDED = ["success", "failed"]
# Looks in a row that find no such run, before it counts as deleted.
_LOOKS = 2


class RunEndTrigger(BaseTrigger):
    """Resumes its task once a run has ended or is no longer there; whoever resumes looks which.

    Also once it has been queued for ``queued_seconds``: a run of a paused DAG is for ever. 0 waits
    as long as it takes. Airflow's own DagStateTrigger waits for ever for both.
    ``poll_seconds``: between two looks. What only a newer release stores (``later``) is left alone.
    """

    def __init__(
        self,
        dag_id: str = "",
        run_id: str = "",
        poll_seconds: float = 5.0,
        queued_seconds: float = 0.0,
        **later: Any,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # BaseTrigger has no types
        self.dag_id = dag_id
        self.run_id = run_id
        self.poll_seconds = poll_seconds
        self.queued_seconds = queued_seconds

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """The class and its arguments, as Airflow stores them."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "dag_id": self.dag_id,
                "run_id": self.run_id,
                "poll_seconds": self.poll_seconds,
                "queued_seconds": self.queued_seconds,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look every few seconds."""
        missed, since = 0, datetime.now(UTC)
        while True:
            if await self._count(_ENDED):
                yield self._event(is_there=True)
                return
            missed = 0 if await self._count(None) else missed + 1
            if missed >= _LOOKS:
                yield self._event(is_there=False)
                return
            if not self.queued_seconds or not await self._count(["queued"]):
                since = datetime.now(UTC)
            elif (datetime.now(UTC) - since).total_seconds() > self.queued_seconds:
                yield self._event(is_there=True, is_queued=True)
                return
            await asyncio.sleep(self.poll_seconds)

    def _event(self, **seen: bool) -> TriggerEvent:
        return TriggerEvent({"result": {"run_id": self.run_id, **seen}})

    async def _count(self, states: list[str] | None) -> int:
        from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

        # As Airflow's own triggers ask: from a thread that knows this loop.
        ask = asgiref.sync.sync_to_async(RuntimeTaskInstance.get_dr_count)
        return int(await ask(dag_id=self.dag_id, run_ids=[self.run_id], states=states))
