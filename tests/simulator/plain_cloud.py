"""A cloud and a host as plain objects in virtual time: enough for one host's maintenance.

Not the simulated cloud: only what the model of Airflow is tried with.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from unittest import mock

from builders import instance, service
from openstack_maintenance.adapters.shell import HostUnreachable
from openstack_maintenance.domain.cloud import ComputeService, Hypervisor, Instance, Migration
from openstack_maintenance.domain.drain.affinity import AffinityGroup
from openstack_maintenance.domain.drain.ports import HostPort
from openstack_maintenance.domain.host.amqp_log import LogFile
from openstack_maintenance.domain.host.facts import (
    AmqpEvidence,
    BrokerSocket,
    HostFacts,
    RebootAnswer,
    UnitState,
)
from openstack_maintenance.domain.host.holders import Holder
from openstack_maintenance.domain.host.network import NetworkAgent
from openstack_maintenance.hooks.cloud_hook import CloudHook
from openstack_maintenance.operators.host import base as host_base
from openstack_maintenance.triggers import host_wait
from simulator.clock import VirtualTime

REQUEST, SSH, MIGRATION, BOOT = 0.05, 0.5, 20.0, 60.0


class PlainCloud:
    """c01 with instances, c02 without; a migration takes 20 s, a boot a minute."""

    clock_offset_seconds = 0.0

    def __init__(self, clock: VirtualTime, names: tuple[str, ...] = ("web", "db")) -> None:
        self.clock = clock
        self.instances = {name: instance(name, name=name) for name in names}
        self.reasons: dict[str, str | None] = {"c01": None, "c02": None}
        self.rows: list[Migration] = []
        self.boots = 1
        self.compute_since: datetime | None = clock.now() - timedelta(days=9)
        self.last_beat = clock.now()
        self.is_down = False
        self.requests: list[str] = []

    @contextmanager
    def installed(self) -> Iterator[None]:
        """While this lasts, the plugin's hooks give this cloud and its host."""

        async def nova(_: Any) -> PlainCloud:
            return self

        async def health(_: Any) -> PlainHealth:
            return PlainHealth(self)

        @asynccontextmanager
        async def open_host(*_: Any) -> AsyncIterator[PlainHost]:
            yield PlainHost(self)

        with (
            mock.patch.object(CloudHook, "get_conn", lambda _: self),
            mock.patch.object(CloudHook, "aget_conn", nova),
            mock.patch.object(CloudHook, "get_health", lambda _: PlainHealth(self)),
            mock.patch.object(CloudHook, "aget_health", health),
            mock.patch.object(host_base, "open_host", open_host),
            mock.patch.object(host_wait, "open_host", open_host),
        ):
            yield

    # Nova.

    def _asked(self, what: str) -> None:
        time.sleep(REQUEST)
        self.requests.append(what)

    def now(self) -> datetime:
        return self.clock.now()

    def read_clock(self) -> None:
        self._asked("read_clock")

    def check_version(self) -> str:
        return "2.95"

    def services(self, binary: str = "nova-compute") -> list[ComputeService]:
        self._asked("services")
        return [self._service(host) for host in self.reasons]

    def get_service(self, host: str) -> ComputeService:
        self._asked("get_service")
        return self._service(host)

    find_service = get_service

    def _service(self, host: str) -> ComputeService:
        if host == "c01" and self.compute_since is None:
            return service(host, self.reasons[host], is_up=False, updated_at=self.last_beat)
        return service(host, self.reasons[host], updated_at=self.beat())

    def beat(self) -> datetime:
        """The last heartbeat of a service that runs: one every 10 s."""
        now = self.clock.now()
        return now.replace(second=now.second // 10 * 10, microsecond=0)

    def disable(self, given: ComputeService, reason: str) -> None:
        self._asked("disable")
        self.reasons[given.host] = reason

    def enable(self, given: ComputeService) -> None:
        self._asked("enable")
        self.reasons[given.host] = None

    def instances_on(self, host: str) -> list[Instance]:
        self._asked("instances_on")
        return [each for each in self.instances.values() if each.host == host]

    def find_instance(self, instance_id: str) -> Instance | None:
        self._asked("find_instance")
        return self.instances.get(instance_id)

    def migrations(self, changes_since: datetime) -> list[Migration]:
        self._asked("migrations")
        return list(self.rows)

    def find_hypervisor(self, host: str) -> Hypervisor:
        return Hypervisor(host, host, host, "10.0.0.21", "QEMU")

    def consumers(self, hypervisor_id: str) -> frozenset[str]:
        """The hypervisor's id is its host's name; a move holds room where it came from."""
        self._asked("consumers")
        moves = {row.uuid for row in self.rows if row.is_moving and row.source == hypervisor_id}
        there = (each.id for each in self.instances.values() if each.host == hypervisor_id)
        return frozenset(moves.union(there))

    def holders(self, consumers: Collection[str], host: str, since: datetime) -> list[Holder]:
        moves = {row.uuid: row for row in self.rows}
        return [
            Holder(
                each,
                self.instances.get(moves[each].instance_id if each in moves else each),
                moves.get(each),
            )
            for each in sorted(consumers)
        ]

    def affinity_groups(self) -> tuple[AffinityGroup, ...]:
        return ()

    def missing_rights(self, needed: Any) -> list[Any]:
        return []

    def hosts_with_room(self, need: Any) -> frozenset[str]:
        return frozenset({"c02"})

    def anti_affinity_groups(self) -> dict[str, str]:
        return {}

    def live_migrate(self, instance_id: str, destination: str | None, block: str) -> None:
        self._asked(f"live_migrate {instance_id}")
        number, now = len(self.rows), self.clock.now()
        self.rows.append(
            Migration(
                id=number + 1,
                uuid=f"uuid-{number}",
                instance_id=instance_id,
                kind="live-migration",
                source="c01",
                destination="c02",
                status="running",
                created_at=now,
                updated_at=now,
            )
        )
        self.instances[instance_id] = replace(
            self.instances[instance_id], status="MIGRATING", task_state="migrating"
        )
        self.clock.after(MIGRATION, lambda: self._moved(number))

    def abort(self, migration: Migration) -> None:
        self._asked(f"abort {migration.instance_id}")
        self._end(migration.id - 1, "cancelled")

    def _moved(self, number: int) -> None:
        if self.rows[number].status == "running":
            name = self.rows[number].instance_id
            self._end(number, "completed")
            self.instances[name] = replace(self.instances[name], host="c02")

    def _end(self, number: int, status: str) -> None:
        row = self.rows[number]
        self.rows[number] = replace(row, status=status, updated_at=self.clock.now())
        self.instances[row.instance_id] = replace(
            self.instances[row.instance_id], status="ACTIVE", task_state=None
        )

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
