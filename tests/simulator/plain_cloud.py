"""A cloud and a host as plain objects in virtual time: enough for one host's maintenance.

Not the simulated cloud: only what the model of Airflow is tried with.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime, timedelta
from typing import Any
from unittest import mock

from in_memory_nova import RUNS, CloudState, InMemoryNova
from openstack_maintenance.adapters.shell import HostUnreachable
from openstack_maintenance.domain.cloud import Instance, Migration
from openstack_maintenance.domain.drain.ports import HostPort
from openstack_maintenance.domain.host.amqp_log import LogFile
from openstack_maintenance.domain.host.facts import (
    AmqpEvidence,
    BrokerSocket,
    HostFacts,
    RebootAnswer,
    UnitState,
)
from openstack_maintenance.domain.host.network import NetworkAgent
from openstack_maintenance.hooks.cloud_hook import CloudHook
from openstack_maintenance.operators.host import base as host_base
from openstack_maintenance.triggers import host_wait
from simulator.clock import VirtualTime

REQUEST, SSH, MIGRATION, BOOT = 0.05, 0.5, 20.0, 60.0


class CloudInTime(CloudState):
    """c01 with instances, c02 without, in virtual time; a migration takes 20 s."""

    def __init__(self, clock: VirtualTime, names: tuple[str, ...]) -> None:
        super().__init__()
        self.clock = clock
        self.add_host("c01", "c02")
        for name in names:
            self.add(name)

    def now(self) -> datetime:
        return self.clock.now()

    def migrate(self, instance_id: str, kind: str, destination: str | None = None) -> None:
        super().migrate(instance_id, kind, destination)
        number = len(self.migrations)
        self.begin(number)
        self.clock.after(MIGRATION, lambda: self._arrive(number))

    def _arrive(self, number: int) -> None:
        if self.migrations[number].status in RUNS:
            self.end(number, "completed")


class PlainCloud:
    """A Nova that takes its time to answer, and c01, whose boot takes a minute."""

    def __init__(self, clock: VirtualTime, names: tuple[str, ...] = ("web", "db")) -> None:
        self.clock = clock
        self.nova = InMemoryNova(CloudInTime(clock, names), before=self._asked)
        self.boots = 1
        self.compute_since: datetime | None = clock.now() - timedelta(days=9)
        self.last_beat = clock.now()
        self.is_down = False
        self.requests: list[str] = []

    @property
    def instances(self) -> dict[str, Instance]:
        return self.nova.cloud.instances

    @property
    def rows(self) -> list[Migration]:
        return list(self.nova.cloud.migrations.values())

    @property
    def reasons(self) -> dict[str, str | None]:
        return {host: each.disabled_reason for host, each in self.nova.cloud.services.items()}

    @contextmanager
    def installed(self) -> Iterator[None]:
        """While this lasts, the plugin's hooks give this cloud and its host."""

        async def nova(_: Any) -> InMemoryNova:
            return self.nova

        async def health(_: Any) -> PlainHealth:
            return PlainHealth(self)

        @asynccontextmanager
        async def open_host(*_: Any) -> AsyncIterator[PlainHost]:
            yield PlainHost(self)

        with (
            mock.patch.object(CloudHook, "get_conn", lambda _: self.nova),
            mock.patch.object(CloudHook, "aget_conn", nova),
            mock.patch.object(CloudHook, "get_health", lambda _: PlainHealth(self)),
            mock.patch.object(CloudHook, "aget_health", health),
            mock.patch.object(host_base, "open_host", open_host),
            mock.patch.object(host_wait, "open_host", open_host),
        ):
            yield

    def _asked(self, call: str, *args: Any) -> None:
        time.sleep(REQUEST)
        if call in ("live_migrate", "abort"):
            call = f"{call} {getattr(args[0], 'instance_id', args[0])}"
        self.requests.append(call)
        self._report()

    def _report(self) -> None:
        """What the nova-compute of each host has told Nova."""
        is_up = self.compute_since is not None
        at = self.beat() if is_up else self.last_beat
        self.nova.cloud.change_service("c01", is_up=is_up, updated_at=at)
        self.nova.cloud.change_service("c02", updated_at=self.beat())

    def beat(self) -> datetime:
        """The last heartbeat of a service that runs: one every 10 s."""
        now = self.clock.now()
        return now.replace(second=now.second // 10 * 10, microsecond=0)

    # The host.

    def stop_compute(self) -> None:
        if self.compute_since is not None:
            self.last_beat, self.compute_since = self.beat(), None

    def reboot(self) -> None:
        self.stop_compute()
        self.is_down = True
        self.clock.after(BOOT, self._booted)

    def _booted(self) -> None:
        self.boots, self.is_down, self.compute_since = self.boots + 1, False, self.clock.now()


class PlainHealth:
    """Neutron: an agent on c01, alive while the host is; no instance has a port."""

    def __init__(self, cloud: PlainCloud) -> None:
        self._cloud = cloud

    def agents(self, host: str | None = None) -> list[NetworkAgent]:
        time.sleep(REQUEST)
        cloud = self._cloud
        beat = cloud.last_beat if cloud.is_down else cloud.beat()
        return [NetworkAgent("a1", "ovn-controller", "c01", True, not cloud.is_down, beat)]

    def ports(self, host: str) -> list[HostPort]:
        time.sleep(REQUEST)
        return []


class PlainHost:
    """c01 over SSH."""

    def __init__(self, cloud: PlainCloud) -> None:
        self._cloud = cloud

    async def _reach(self) -> None:
        import asyncio

        await asyncio.sleep(SSH)
        if self._cloud.is_down:
            raise HostUnreachable("host c01", "no answer", "Wait.")

    def _unit(self) -> UnitState:
        if self._cloud.compute_since is None:
            return UnitState("nova-compute", "systemd", "inactive", "dead")
        since = self._cloud.compute_since
        return UnitState(
            "nova-compute", "systemd", "active", "running", 77, (77,), active_enter=since
        )

    async def boot_id(self) -> str:
        await self._reach()
        return f"boot-{self._cloud.boots}"

    async def nova_compute_state(self) -> UnitState:
        await self._reach()
        return self._unit()

    async def stop_nova_compute(self) -> UnitState:
        await self._reach()
        self._cloud.stop_compute()
        return self._unit()

    async def check_no_guests(self, then: str) -> None:
        await self._reach()

    async def start_nova_compute(self) -> UnitState:
        await self._reach()
        self._cloud.compute_since = self._cloud.clock.now()
        return self._unit()

    async def reboot(self, expected_boot_id: str) -> RebootAnswer:
        await self._reach()
        self._cloud.reboot()
        return RebootAnswer("asked", expected_boot_id, self._cloud.clock.now())

    async def read_facts(self, *_: Any) -> HostFacts:
        await self._reach()
        return HostFacts(
            hostname="c01",
            fqdn="c01",
            boot_id=f"boot-{self._cloud.boots}",
            booted=None,
            clock=self._cloud.clock.now(),
            zone_name="UTC",
            nova_compute=self._unit(),
            log_path="/var/log/nova/nova-compute.log",
            log_error="",
            sudo_missing=(),
            guests=(),
        )

    async def amqp_evidence(self) -> AmqpEvidence:
        await self._reach()
        return AmqpEvidence(
            boot_id=f"boot-{self._cloud.boots}",
            clock=self._cloud.clock.now(),
            zone_name="UTC",
            nova_compute=self._unit(),
            log_path="/var/log/nova/nova-compute.log",
            log_error="",
            log=LogFile(lines=(), newest="", modified=None),
            sockets=(BrokerSocket(77, "10.0.0.21:4711", "10.0.0.8:5672"),),
            sockets_error="",
        )

    async def journal_tail(self, *_: Any) -> tuple[str, ...]:
        return ()
