"""Waits for one instance's move; the moves of a cloud share one watch per triggerer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TaskSuccessEvent, TriggerEvent

from openstack_maintenance.adapters.policy_file import read_policy
from openstack_maintenance.domain.drain.debt import Debt
from openstack_maintenance.domain.drain.move_order import Order
from openstack_maintenance.domain.errors import MaintenanceError, error_payload
from openstack_maintenance.domain.foreign_text import in_short
from openstack_maintenance.hooks.cloud_hook import CloudHook
from openstack_maintenance.records.claims import Claims
from openstack_maintenance.records.debts import Debts
from openstack_maintenance.records.repairs import Repairs
from openstack_maintenance.triggers.drain.move import Move, MoveRequest
from openstack_maintenance.triggers.drain.setbacks import unexpected
from openstack_maintenance.triggers.drain.stored_move import read_request
from openstack_maintenance.triggers.drain.watch import DrainWatch

if TYPE_CHECKING:
    from openstack_maintenance.adapters.nova import Nova
    from openstack_maintenance.domain.cloud import Migration

# A trigger that ends sooner can meet its own task still being stored as deferred.
_SHORTEST_SECONDS = 2.0
# Airflow gives on_kill 30 s.
_SHOWS_WITHIN_SECONDS = 20.0
_LOOKS_EVERY_SECONDS = 1.0
_MAY_GO_ON = (
    "%s: its migration could not be aborted and may go on (%s). Look with `openstack server "
    "migration list`, and end it with `openstack server migration abort` if it shall not go on."
)

_MAY_BE_OFF = (
    "%s: whether its guest was shut down for its move cannot be known (%s). Look with `openstack "
    "server show %s`, and start it if it must run."
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
    since (ISO 8601), copied_gib (disks that a block migration copies). ``limits``: per_host, total,
    nova_limit. ``patience``: retries, timeout_per_gib_seconds, turn_seconds, api_seconds, on_stuck
    (abort | force_complete).
    ``window``: the fields of the policy's window; None to ignore it. ``owner``: DAG id and run id
    of the run that must still own the source whenever a migration is started. ``is_suggestion``:
    where the destination does not take the instance, Nova's scheduler chooses. ``keeps_debts``:
    a guest that is shut down for its move is noted beside the records until it runs again; older
    releases did not do that. ``guests``: how hosts are looked at over SSH where a move ends in a
    wrong state: ssh_conn_id, address (the source's), nova_compute (of the deployment); None: they
    are not. ``repairs_state``: such a state is set right, where its guest was seen.
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
        keeps_debts: bool = False,
        guests: dict[str, Any] | None = None,
        repairs_state: bool = False,
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
        self.keeps_debts = keeps_debts
        self.guests = guests
        self.repairs_state = repairs_state
        self._move: Move | None = None

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
                "keeps_debts": self.keeps_debts,
                "guests": self.guests,
                "repairs_state": self.repairs_state,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """End the task with the move's outcome, or resume it with what went wrong."""
        ready = asyncio.get_running_loop().time() + _SHORTEST_SECONDS
        event = await self._moved()
        await asyncio.sleep(max(0.0, ready - asyncio.get_running_loop().time()))
        yield event

    async def _moved(self) -> TriggerEvent:
        try:
            request = await asyncio.to_thread(self._request)
            outcome = await self._followed(watch_of(self.conn_id), request)
        except MaintenanceError as error:
            self.log.error("%s", error)
            steps = {"steps": self._move.steps} if self._move and self._move.steps else {}
            return TriggerEvent({"error": error_payload(error), **steps})
        except Exception as error:  # a raw one would end the task without a word to its reader
            self.log.exception("the trigger of a move failed")
            return TriggerEvent({"error": error_payload(unexpected("a move", error))})
        self.log.info("instance %s: %s", in_short(request.order.name), outcome["outcome"])
        return TaskSuccessEvent(xcoms={"return_value": outcome})

    async def _followed(self, watch: DrainWatch, request: MoveRequest) -> dict[str, Any]:
        move = self._move = watch.enter(request)
        try:
            async for line in move.lines():
                self.log.info("%s: %s", move.subject, line)
            return move.done.result()
        finally:
            watch.leave(move)

    async def on_kill(self) -> None:
        """A person ended the task: its migration is aborted; the instance stays where it runs.

        A guest that was shut down for the move is started again, also when that takes longer than
        Airflow waits for this.
        """
        subject = "a move that cannot be read"
        try:
            order = read_request(self.serialize()[1]).order
            subject = f"instance {in_short(order.name)} ({order.instance_id})"
            paying = await self._begin_to_pay(order)
            rows = await self._abort_ours(order)
            paying = paying or await self._begin_to_pay(order, rows)
            if paying is not None:
                await self._paid(paying)
        except MaintenanceError as error:
            self.log.error(_MAY_GO_ON, subject, error)
        except Exception as error:  # nobody waits for an answer any more: the log is all there is
            self.log.exception(_MAY_GO_ON, subject, type(error).__name__)

    async def _begin_to_pay(self, order: Order, rows: Sequence[Migration] = ()) -> Move | None:
        """See its guest started, or its cold move confirmed. ``rows``: the move's migrations."""
        if not self.keeps_debts:
            return None
        subject = f"instance {in_short(order.name)} ({order.instance_id})"
        try:
            request = await asyncio.to_thread(self._request)
            debt = await asyncio.to_thread(_debt_of, request, rows)
        except MaintenanceError as error:  # its migration is to be aborted all the same
            self.log.error(_MAY_BE_OFF, subject, error, order.instance_id)
            return None
        if debt is None:
            return None
        self.log.warning("%s: %s: this is seen to its end", subject, debt.what)
        return watch_of(self.conn_id).settle(request, debt)

    async def _paid(self, move: Move) -> None:
        async for line in move.lines():
            self.log.info("%s: %s", move.subject, line)

    async def _abort_ours(self, order: Order) -> list[Migration]:
        """Abort what runs, and what Nova was asked for in this very moment once it shows.

        Returns the move's migrations, oldest first.
        """
        nova = await CloudHook(self.conn_id).aget_conn()
        last_look = asyncio.get_running_loop().time() + _SHOWS_WITHIN_SECONDS
        while True:
            await self._answered()
            rows = await asyncio.to_thread(_ours, nova, order)
            moving = [each for each in rows if each.is_moving and each.is_live]
            may_abort = [each for each in moving if each.status != "accepted"]  # else Nova refuses
            is_late = asyncio.get_running_loop().time() > last_look
            for migration in moving if is_late else may_abort:
                self.log.warning("aborts migration %s of %s", migration.uuid, in_short(order.name))
                await asyncio.to_thread(nova.abort, migration)
            if is_late or may_abort or not (moving or self._is_asked_for(rows)):
                return rows
            await asyncio.sleep(_LOOKS_EVERY_SECONDS)

    async def _answered(self) -> None:
        """A request to migrate that is on its way cannot be taken back: its answer is awaited."""
        posting = self._move.posting if self._move else None
        if posting is not None and not posting.done():
            await asyncio.wait([posting])

    def _is_asked_for(self, rows: Sequence[Migration]) -> bool:
        """Whether Nova took a request of this move that it does not list yet."""
        memory = self._move.memory if self._move else None
        if memory is None or memory.posted_at is None:
            return False
        return not rows or rows[-1].id <= memory.posted_after

    def _request(self) -> MoveRequest:
        _, stored = self.serialize()
        request = replace(read_request(stored), claims=Claims(read_policy()))
        if self.keeps_debts:
            request = replace(request, debts=Debts(read_policy()))
        # A text that says "false" allows nothing.
        if self.repairs_state is True and request.owner is not None:
            request = replace(request, repairs=Repairs(read_policy(), request.owner))
        return request


def _ours(nova: Nova, order: Order) -> list[Migration]:
    """The instance's migrations off its source, oldest first."""
    recent = nova.migrations(datetime.now(UTC) - timedelta(days=1))
    whose = (order.instance_id, order.source)
    return [each for each in recent if (each.instance_id, each.source) == whose]


def _debt_of(request: MoveRequest, rows: Sequence[Migration]) -> Debt | None:
    """What is owed; a cold migration cannot be aborted: somebody confirms it where it arrives.

    Raises: RecordUnreadable; PolicyError.
    """
    order, owner, debts = request.order, request.owner, request.debts
    if debts is None:
        return None
    found, last = debts.find(order.instance_id), rows[-1] if rows else None
    if found is not None or owner is None or last is None or last.kind != "migration":
        return found
    if not last.is_moving and last.status != "finished":
        return None
    debt = Debt(
        order.instance_id,
        order.name,
        order.source,
        owner.dag_id,
        owner.run_id,
        since=last.created_at,
        starts=False,
    )
    debts.write(debt)
    return debt
