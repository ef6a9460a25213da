"""Waits for something on a host, over SSH and Nova, without a worker slot."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from openstack_maintenance.domain.deployment import NovaCompute
from openstack_maintenance.domain.errors import CheckFailed, CloudError, HostError, MaintenanceError
from openstack_maintenance.hooks.cloud import CLOUD_CONN_ID, CloudHook
from openstack_maintenance.triggers.move import error_payload

if TYPE_CHECKING:
    from openstack_maintenance.adapters.host import Host
    from openstack_maintenance.adapters.nova import Nova
    from openstack_maintenance.domain.cloud import ComputeService

# A trigger that ends sooner can meet its own task still being stored as deferred.
_SHORTEST_SECONDS = 2.0


class HostWaitTrigger(BaseTrigger):
    """Looks every few seconds until the thing is true, or the deadline has passed.

    All arguments are plain JSON and a wire format: newer releases understand older ones.
    ``deadline``: ISO 8601; absolute, so that a restarted triggerer does not wait anew.
    ``nova_compute``: the deployment's nova_compute, as a dict. ``known``: what the step knows
    already, per subclass.
    """

    every_seconds = 3.0

    def __init__(
        self,
        host: str,
        address: str,
        nova_compute: dict[str, Any],
        deadline: str,
        ssh_conn_id: str = "openstack_ssh",
        cloud_conn_id: str = CLOUD_CONN_ID,
        known: dict[str, Any] | None = None,
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
        deadline = datetime.fromisoformat(self.deadline)
        last = ""
        while True:
            try:
                found = await self.look()
                if isinstance(found, dict):
                    return TriggerEvent({"result": found})
            except (CloudError, HostError) as error:
                found = str(error)  # it may pass: the deadline decides
            except MaintenanceError as error:
                self.log.error("%s", error)
                return TriggerEvent({"error": error_payload(error)})
            if found != last:
                self.log.info("%s", found)
                last = found
            if datetime.now(UTC) >= deadline:
                late = await self.too_late(found)
                self.log.error("%s", late)
                return TriggerEvent({"error": error_payload(late)})
            await asyncio.sleep(self.every_seconds)

    @abstractmethod
    async def look(self) -> dict[str, Any] | str:
        """The evidence (plain JSON) once it is there, else what still is missing.

        Raises: MaintenanceError other than Cloud- and HostError when waiting is pointless.
        """

    @abstractmethod
    async def too_late(self, found: str) -> CheckFailed:
        """The sentence for the end of the patience; ``found`` is what was seen last."""

    @asynccontextmanager
    async def on_host(self) -> AsyncIterator[Host]:
        """The host over SSH. Raises: HostError."""
        # Brings paramiko and asyncssh: not while a DAG file is parsed.
        from openstack_maintenance.hooks.host import HostHook

        parts = {key: _tuples(value) for key, value in self.nova_compute.items()}
        hook = HostHook(self.ssh_conn_id, address=self.address, name=self.host)
        async with hook.connect(NovaCompute(**parts)) as host:
            yield host

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
            return f"its journal could not be read ({error.found})"
        return "its journal ends: " + " | ".join(lines) if lines else "its journal is empty"


def _tuples(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
