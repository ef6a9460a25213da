"""Waits for one instance's move; the moves of a cloud share one watch per triggerer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.triggers.base import BaseTrigger, TaskSuccessEvent, TriggerEvent

from openstack_maintenance.domain.errors import MaintenanceError
from openstack_maintenance.domain.mark import Mark
from openstack_maintenance.domain.move_step import Order, Step
from openstack_maintenance.domain.slots import Limits
from openstack_maintenance.domain.window import Window
from openstack_maintenance.hooks.cloud import CloudHook
from openstack_maintenance.triggers.drain_watch import DrainWatch
from openstack_maintenance.triggers.move import MoveRequest, error_payload

# A trigger that ends sooner can meet its own task still being stored as deferred.
_SHORTEST_SECONDS = 2.0

_watches: dict[str, DrainWatch] = {}


def watch_of(conn_id: str) -> DrainWatch:
    """The one watch of a cloud in this process (a triggerer has one event loop)."""
    if conn_id not in _watches:
        _watches[conn_id] = DrainWatch(CloudHook(conn_id).aget_conn)
    return _watches[conn_id]


class MigrateInstanceTrigger(BaseTrigger):
    """Moves one instance off its source and proves where it is.

    All arguments are plain JSON and a wire format: newer releases understand older ones.
    ``order``: instance_id, name, source, method (live | cold | stop), was_running, ram_mib,
    since (ISO 8601). ``limits``: per_host, total, nova_limit. ``patience``: retries,
    timeout_per_gib_seconds, turn_seconds, api_seconds, on_stuck (abort | force_complete).
    ``window``: the fields of the policy's window; None to ignore it. ``owner``: DAG id and run id
    of the run that must still own the source whenever a migration is started. ``is_suggestion``:
    where the destination does not take the instance, Nova's scheduler chooses.
    """

    def __init__(
        self,
        conn_id: str,
        order: dict[str, Any],
        limits: dict[str, Any],
        patience: dict[str, Any],
        destination: str | None = None,
        block_migration: str = "auto",
        window: dict[str, Any] | None = None,
        owner: list[str] | None = None,
        is_suggestion: bool = False,
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
        watch = watch_of(self.conn_id)
        move = watch.enter(self._request())
        try:
            async for line in move.lines():
                self.log.info("%s: %s", move.subject, line)
            outcome = move.done.result()
        except MaintenanceError as error:
            self.log.error("%s", error)
            return TriggerEvent({"error": error_payload(error)})
        finally:
            watch.leave(move)
        self.log.info("%s: %s", move.subject, outcome["outcome"])
        return TaskSuccessEvent(xcoms={"return_value": outcome})

    async def on_kill(self) -> None:
        """A person ended the task: its migration is aborted; the instance stays where it runs."""
        nova = await CloudHook(self.conn_id).aget_conn()
        recent = datetime.now(UTC) - timedelta(days=1)
        for migration in await asyncio.to_thread(nova.migrations, recent):
            ours = (migration.instance_id, migration.source) == (
                self.order["instance_id"],
                self.order["source"],
            )
            if ours and migration.is_moving and migration.is_live:
                self.log.warning("aborts migration %s of %s", migration.uuid, self.order["name"])
                await asyncio.to_thread(nova.abort, migration)

    def _request(self) -> MoveRequest:
        patience = self.patience
        order = Order(
            instance_id=self.order["instance_id"],
            name=self.order["name"],
            source=self.order["source"],
            method=self.order["method"],
            was_running=self.order["was_running"],
            ram_mib=self.order["ram_mib"],
            since=datetime.fromisoformat(self.order["since"]),
            retries=patience["retries"],
            timeout_per_gib=timedelta(seconds=patience["timeout_per_gib_seconds"]),
            on_stuck=Step(patience["on_stuck"]),
            may_stop=self.order.get("may_stop", False),
        )
        return MoveRequest(
            order=order,
            destination=self.destination,
            block_migration=self.block_migration,
            limits=Limits(**self.limits),
            turn_patience=timedelta(seconds=patience["turn_seconds"]),
            api_patience=timedelta(seconds=patience["api_seconds"]),
            may_start=self._closed_because,
            owner=Mark(*self.owner) if self.owner else None,
            is_suggestion=self.is_suggestion,
        )

    def _closed_because(self, now: datetime) -> str | None:
        if self.window is None:
            return None
        window = Window(**{**self.window, "exclude": tuple(self.window.get("exclude", ()))})
        if window.current(now) is not None:
            return None
        return f"the maintenance window {window} closed before its turn came"
