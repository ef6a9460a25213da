"""Waits for something on a host, over SSH and Nova, without a worker slot."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.triggers.base import BaseTrigger, TriggerEvent

from openstack_maintenance.domain.errors import CheckFailed, HostError, MaintenanceError
from openstack_maintenance.domain.foreign_text import brief
from openstack_maintenance.hooks.cloud_hook import CLOUD_CONN_ID, CloudHook
from openstack_maintenance.hooks.ssh import open_host
from openstack_maintenance.triggers import stored
from openstack_maintenance.triggers.waiting import LONGEST_LINE, Waiting, error_event

if TYPE_CHECKING:
    from openstack_maintenance.adapters.host import Host
    from openstack_maintenance.adapters.nova import Nova
    from openstack_maintenance.domain.cloud import ComputeService

# A trigger that ends sooner can meet its own task still being stored as deferred.
_SHORTEST_SECONDS = 2.0


class HostWaitTrigger(BaseTrigger):
    """Looks every few seconds until the thing is true, or the deadline has passed.

    All arguments are plain JSON and a wire format: newer releases understand older ones, and what
    only a newer one knows (``later``, after a downgrade) is left alone.
    ``deadline``: ISO 8601; absolute, so that a restarted triggerer does not wait again.
    ``nova_compute``: the deployment's nova_compute, as a dict. ``known``: what the step knows
    already, per subclass; ``needs`` says how each part of it is read.
    """

    every_seconds = 3.0
    needs: ClassVar[tuple[tuple[str, stored.Reader], ...]] = ()

    def __init__(
        self,
        host: str = "",
        address: str = "",
        nova_compute: dict[str, Any] | None = None,
        deadline: str = "",
        ssh_conn_id: str = "openstack_ssh",
        cloud_conn_id: str = CLOUD_CONN_ID,
        known: dict[str, Any] | None = None,
        **later: Any,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # BaseTrigger has no types
        self.host = host
        self.address = address
        self.nova_compute = nova_compute
        self.deadline = deadline
        self.ssh_conn_id = ssh_conn_id
        self.cloud_conn_id = cloud_conn_id
        self.known = known or {}
        self._nova: Nova | None = None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """The class and its arguments, as Airflow stores them."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "host": self.host,
                "address": self.address,
                "nova_compute": self.nova_compute,
                "deadline": self.deadline,
                "ssh_conn_id": self.ssh_conn_id,
                "cloud_conn_id": self.cloud_conn_id,
                "known": self.known,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Resume the task with what was found, or with what is wrong."""
        await asyncio.sleep(_SHORTEST_SECONDS)
        yield await self._wait()

    async def _wait(self) -> TriggerEvent:
        try:
            deadline = self._read_arguments()
            waiting = Waiting(f"host {brief(self.host, 100)}", self.look, self.too_late, self.log)
            return TriggerEvent({"result": await waiting.until(deadline, self.every_seconds)})
        except MaintenanceError as error:
            self.log.error("%s", brief(error, LONGEST_LINE))
            return error_event(error)

    def _read_arguments(self) -> datetime:
        """The deadline, once all that was stored is seen to be usable. Raises: CheckFailed."""
        try:
            for name in ("host", "address", "ssh_conn_id", "cloud_conn_id"):
                stored.text(getattr(self, name), name)
            stored.nova_compute(self.nova_compute)
            known = stored.fields(self.known, "known")
            for name, read in self.needs:
                read(known.get(name), name)
            return stored.moment(self.deadline, "deadline")
        except ValueError as error:
            raise stored.unreadable(f"host {brief(self.host, 100)}", error) from error

    @abstractmethod
    async def look(self) -> dict[str, Any]:
        """The evidence (plain JSON) once it is there.

        Raises: StillWaiting, with what is missing; MaintenanceError other than Cloud- and HostError
        when waiting is pointless.
        """

    @abstractmethod
    async def too_late(self, found: str) -> CheckFailed:
        """The sentence for the end of the patience; ``found`` is what was seen last."""

    def on_host(self) -> AbstractAsyncContextManager[Host]:
        """The host over SSH. Raises: HostError."""
        compute = stored.nova_compute(self.nova_compute)
        return open_host(self.ssh_conn_id, self.host, self.address, compute)

    async def service(self) -> ComputeService:
        """The host's nova-compute, as Nova shows it. Raises: CloudError."""
        if self._nova is None:
            self._nova = await CloudHook(self.cloud_conn_id).aget_conn()
        return await asyncio.to_thread(self._nova.get_service, self.host)

    async def journal(self) -> str:
        """The last lines of nova-compute's journal, for the person who reads the error."""
        try:
            async with self.on_host() as host:
                lines = await host.journal_tail()
        except HostError as error:
            return f"its journal could not be read ({brief(error.found)})"
        return "its journal ends: " + " | ".join(lines) if lines else "its journal is empty"
