"""Waits for one instance's move; the moves of a cloud share one watch per triggerer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.triggers.base import BaseTrigger, TaskSuccessEvent, TriggerEvent

from openstack_maintenance.domain.drain.move_step import Order
from openstack_maintenance.domain.errors import MaintenanceError, error_payload
from openstack_maintenance.domain.foreign_text import in_short
from openstack_maintenance.hooks.cloud_hook import CloudHook
from openstack_maintenance.triggers.drain.move import MoveRequest
from openstack_maintenance.triggers.drain.setbacks import unexpected
from openstack_maintenance.triggers.drain.stored_move import read_request
from openstack_maintenance.triggers.drain.watch import DrainWatch

# A trigger that ends sooner can meet its own task still being stored as deferred.
_SHORTEST_SECONDS = 2.0
_MAY_GO_ON = (
    "%s: its migration could not be aborted and may go on (%s). Look with `openstack server "
    "migration list`, and end it with `openstack server migration abort` if it shall not go on."
)

_watches: dict[str, DrainWatch] = {}


def watch_of(conn_id: str) -> DrainWatch:
    """The one watch of a cloud in this process (a triggerer has one event loop)."""
    if conn_id not in _watches:
        _watches[conn_id] = DrainWatch(CloudHook(conn_id).aget_conn)
    return _watches[conn_id]


class MigrateInstanceTrigger(BaseTrigger):
    """Moves one instance off its source and proves where it is.

    All arguments are plain JSON and a wire format: newer releases understand older ones, and what
    cannot be understood ends the task with a sentence, never the triggerer's own error.
    ``order``: instance_id, name, source, method (live | cold | stop), was_running, ram_mib,
    since (ISO 8601). ``limits``: per_host, total, nova_limit. ``patience``: retries,
    timeout_per_gib_seconds, turn_seconds, api_seconds, on_stuck (abort | force_complete).
    ``window``: the fields of the policy's window; None to ignore it. ``owner``: DAG id and run id
    of the run that must still own the source whenever a migration is started. ``is_suggestion``:
    where the destination does not take the instance, Nova's scheduler chooses.
    """

    def __init__(
        self,
        conn_id: str = "",
        order: dict[str, Any] | None = None,
        limits: dict[str, Any] | None = None,
        patience: dict[str, Any] | None = None,
        destination: str | None = None,
        block_migration: str = "auto",
        window: dict[str, Any] | None = None,
        owner: list[str] | None = None,
        is_suggestion: bool = False,
        **unknown: Any,  # of a newer release, before it was taken back
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # BaseTrigger has no types
        self.conn_id = conn_id
        self.order = order
        self.limits = limits
        self.patience = patience
        self.destination = destination
        self.block_migration = block_migration
        self.window = window
        self.owner = owner
        self.is_suggestion = is_suggestion

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """The class and its arguments, as Airflow stores them."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "conn_id": self.conn_id,
                "order": self.order,
                "limits": self.limits,
                "patience": self.patience,
                "destination": self.destination,
                "block_migration": self.block_migration,
                "window": self.window,
                "owner": self.owner,
                "is_suggestion": self.is_suggestion,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """End the task with the move's outcome, or resume it with what went wrong."""
        ready = asyncio.get_running_loop().time() + _SHORTEST_SECONDS
        event = await self._move()
        await asyncio.sleep(max(0.0, ready - asyncio.get_running_loop().time()))
        yield event

    async def _move(self) -> TriggerEvent:
        try:
            request = self._request()
            outcome = await self._followed(watch_of(self.conn_id), request)
        except MaintenanceError as error:
            self.log.error("%s", error)
            return TriggerEvent({"error": error_payload(error)})
        except Exception as error:  # a raw one would end the task without a word to its reader
            self.log.exception("the trigger of a move failed")
            return TriggerEvent({"error": error_payload(unexpected("a move", error))})
        self.log.info("instance %s: %s", in_short(request.order.name), outcome["outcome"])
        return TaskSuccessEvent(xcoms={"return_value": outcome})

    async def _followed(self, watch: DrainWatch, request: MoveRequest) -> dict[str, Any]:
        move = watch.enter(request)
        try:
            async for line in move.lines():
                self.log.info("%s: %s", move.subject, line)
            return move.done.result()
        finally:
            watch.leave(move)

    async def on_kill(self) -> None:
        """A person ended the task: its migration is aborted; the instance stays where it runs."""
        subject = "a move that cannot be read"
        try:
            order = self._request().order
            subject = f"instance {in_short(order.name)} ({order.instance_id})"
            await self._abort_ours(order)
        except MaintenanceError as error:
            self.log.error(_MAY_GO_ON, subject, error)
        except Exception as error:  # nobody waits for an answer any more: the log is all there is
            self.log.exception(_MAY_GO_ON, subject, type(error).__name__)

    async def _abort_ours(self, order: Order) -> None:
        nova = await CloudHook(self.conn_id).aget_conn()
        recent = datetime.now(UTC) - timedelta(days=1)
        for migration in await asyncio.to_thread(nova.migrations, recent):
            ours = (migration.instance_id, migration.source) == (order.instance_id, order.source)
            if ours and migration.is_moving and migration.is_live:
                self.log.warning("aborts migration %s of %s", migration.uuid, in_short(order.name))
                await asyncio.to_thread(nova.abort, migration)

    def _request(self) -> MoveRequest:
        _, stored = self.serialize()
        return read_request(stored)
