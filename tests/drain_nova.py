"""A Nova in memory for one guest's drain, which fails where a test says so.

One list of the migrations is one second of its clock. Whatever is asked of it is in ``asked``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import builders
from openstack_maintenance.adapters.cloud_errors import Conflict, Refused
from openstack_maintenance.domain.cloud import (
    RUNNING,
    SHUTDOWN,
    ComputeService,
    Hypervisor,
    Instance,
    Migration,
)
from openstack_maintenance.domain.drain.debt import Debt
from openstack_maintenance.domain.drain.move_step import Order, Step
from openstack_maintenance.domain.drain.slots import Limits
from openstack_maintenance.domain.errors import CloudError
from openstack_maintenance.domain.mark import Mark
from openstack_maintenance.triggers.drain.move import MoveRequest

SOURCE, DESTINATION = "c01", "c02"
OWNER = Mark("compute_host_maintenance", "r1", "kernel")
SILENCE = CloudError("compute API", "the cloud lab answered 503: busy", "Wait.")


class DrainNova:
    """``takes``: seconds a migration runs. ``endings``: how an instance's migrations end, in turn,
    before they succeed. ``errors``: what a call raises, in turn; with ``done_all_the_same`` it does
    what was asked nevertheless. ``starts``: whether a start that was taken works, in turn.
    """

    def __init__(self, takes: int = 2) -> None:
        self.takes = takes
        self.endings: dict[str, list[str]] = {}
        self.errors: dict[str, list[Exception | None]] = {}
        self.done_all_the_same = False
        self.starts: list[bool] = []
        self.room = frozenset({"h2"})
        self.acted: str | None = None
        self.mark: str | None = str(OWNER)
        self.is_unknown = False
        self.clock_offset_seconds = 0.0
        self.lag = timedelta(0)  # of the clock that stamps migrations
        self.began = datetime.now(UTC)
        self.seconds = 0
        self.instances: dict[str, Instance] = {}
        self.rows: dict[int, Migration] = {}
        self.since: dict[int, int] = {}
        self.asked: list[str] = []
        self.on_second: Callable[[int], None] = lambda _: None

    def add(self, name: str = "i1", status: str = "ACTIVE", **given: Any) -> None:
        self.instances[name] = builders.instance(name, status, vcpus=1, **given)

    def change(self, name: str, **what: Any) -> None:
        self.instances[name] = replace(self.instances[name], **what)

    def shut_down(self, name: str = "i1") -> None:
        self.change(name, status="SHUTOFF", vm_state="stopped", power_state=SHUTDOWN)

    def count(self, call: str) -> int:
        return sum(each == call for each in self.asked)

    # What the drain calls.

    def now(self) -> datetime:
        return self.began + timedelta(seconds=self.seconds)

    def stamp(self) -> datetime:
        return self.now() - self.lag

    def read_clock(self) -> None:
        """Both clocks agree."""

    def services(self, binary: str = "") -> list[ComputeService]:
        self._raise("services")
        return [builders.service(SOURCE, self.mark, is_unknown=self.is_unknown)]

    def find_service(self, host: str) -> ComputeService:
        return self.services()[0]

    get_service = find_service

    def disable(self, service: ComputeService, reason: str) -> None:
        self.mark = reason

    def anti_affinity_groups(self) -> dict[str, str]:
        return {}

    def find_hypervisor(self, host: str) -> Hypervisor:
        return Hypervisor(f"h{host[-1]}", host, host, "10.0.0.1", "QEMU")

    def hosts_with_room(self, need: Any) -> frozenset[str]:
        self.asked.append("hosts_with_room")
        return self.room

    def acted_since(self, instance_id: str, since: datetime) -> str | None:
        return self.acted

    def why_it_failed(self, instance_id: str) -> str | None:
        return "libvirt: no such disk"

    def instances_on(self, host: str) -> list[Instance]:
        self._raise("instances_on")
        return [each for each in self.instances.values() if each.host == host]

    def find_instance(self, instance_id: str) -> Instance | None:
        self._raise("find_instance")
        return self.instances.get(instance_id)

    def migrations(self, changes_since: datetime) -> list[Migration]:
        self._raise("migrations")
        self.seconds += 1
        self.on_second(self.seconds)
        self._advance()
        return [row for _, row in sorted(self.rows.items()) if row.updated_at >= changes_since]

    def live_migrate(self, instance_id: str, destination: str | None, block: str) -> None:
        self._do("live_migrate", lambda: self._post(instance_id, "live-migration"))

    def cold_migrate(self, instance_id: str, destination: str | None) -> None:
        self._do("cold_migrate", lambda: self._post(instance_id, "migration"))

    def confirm(self, instance_id: str) -> None:
        self._do("confirm", lambda: self._confirm(instance_id))

    def stop_guest(self, instance_id: str) -> None:
        self._do("stop_guest", lambda: self._stop(instance_id))

    def start_guest(self, instance_id: str) -> None:
        self._do("start_guest", lambda: self._begin_start(instance_id))

    def abort(self, migration: Migration) -> None:
        self._do("abort", lambda: self._end(self.rows[migration.id], "cancelled"))

    def force_complete(self, migration: Migration) -> None:
        self._do("force_complete", lambda: self._end(self.rows[migration.id], "completed"))

    # How it works inside.

    def _raise(self, call: str) -> None:
        waiting = self.errors.get(call) or [None]
        if waiting[0] is not None or len(waiting) > 1:
            error = waiting.pop(0)
            if error is not None:
                raise error

    def _do(self, call: str, act: Callable[[], None]) -> None:
        self.asked.append(call)
        try:
            self._raise(call)
        except Exception:
            if self.done_all_the_same:
                act()
            raise
        act()

    def _stop(self, name: str) -> None:
        if self.instances[name].vm_state == "stopped":
            raise Conflict("instance", "Cannot 'stop' while it is in vm_state stopped", "Look.")
        self.shut_down(name)

    def _begin_start(self, name: str) -> None:
        if self.instances[name].vm_state != "stopped":
            raise Conflict("instance", "Cannot 'start' it in this state", "Look.")
        if self.starts.pop(0) if self.starts else True:
            self.change(name, status="ACTIVE", vm_state="active", power_state=RUNNING)

    def _confirm(self, name: str) -> None:
        (row,) = [each for each in self.rows.values() if each.status == "finished"]
        self._set(row, "confirmed")
        self.shut_down(name)

    def _post(self, name: str, kind: str) -> None:
        there = self.instances[name]
        if there.task_state is not None:
            raise Conflict("instance", f"Cannot migrate it while {there.task_state}", "Look.")
        number = len(self.rows) + 1
        self.change(name, task_state="migrating" if kind == "live-migration" else "resize_prep")
        self.rows[number] = Migration(
            id=number,
            uuid=f"u{number}",
            instance_id=name,
            kind=kind,
            status="accepted" if kind == "live-migration" else "pre-migrating",
            source=there.host or "",
            destination=None,
            created_at=self.stamp(),
            updated_at=self.stamp(),
        )

    def _advance(self) -> None:
        for row in list(self.rows.values()):
            ending = (self.endings.get(row.instance_id) or [""])[0]
            if row.status in ("accepted", "pre-migrating") and ending != "forgotten":
                self.since[row.id] = self.seconds
                status = "running" if row.is_live else "migrating"
                self._set(replace(row, destination=DESTINATION), status)
            elif row.status in ("running", "migrating") and self._is_over(row, ending):
                ways = self.endings.get(row.instance_id)
                self._end(row, ways.pop(0) if ways else "completed")

    def _is_over(self, row: Migration, ending: str) -> bool:
        return ending != "never" and self.seconds - self.since[row.id] >= self.takes

    def _end(self, row: Migration, way: str) -> None:
        name = row.instance_id
        self.change(name, task_state=None)
        if way == "completed" and not row.is_live:
            self._set(row, "finished")
            self.change(name, host=DESTINATION, status="VERIFY_RESIZE", vm_state="resized")
            return
        if way == "completed":
            self.change(name, host=DESTINATION)
        self._set(row, "completed" if way == "in place" else way)

    def _set(self, row: Migration, status: str) -> None:
        self.rows[row.id] = replace(row, status=status, updated_at=self.stamp())


class DebtsInMemory:
    """Debts as the records keep them. ``error``: what every call raises."""

    def __init__(self) -> None:
        self.open: dict[str, Debt] = {}
        self.error: Exception | None = None

    def write(self, debt: Debt) -> None:
        if self.error:
            raise self.error
        self.open[debt.instance_id] = debt

    def find(self, instance_id: str) -> Debt | None:
        return self.open.get(instance_id)

    def all(self) -> list[Debt]:
        return list(self.open.values())

    def strike(self, instance_id: str) -> None:
        self.open.pop(instance_id, None)


def debt(name: str = "i1", **given: Any) -> Debt:
    """A guest that run r0 has shut down on the source."""
    facts = {"host": SOURCE, "dag_id": OWNER.dag_id, "run_id": "r0", "since": datetime.now(UTC)}
    return Debt(**{"instance_id": name, "name": name, **facts, **given})


def request(nova: DrainNova, name: str = "i1", **given: Any) -> MoveRequest:
    """A move of one instance off the source, by run r1."""
    there = nova.instances[name]
    order = Order(
        instance_id=name,
        name=name,
        source=given.pop("source", SOURCE),
        method=given.pop("method", "live" if there.vm_state == "active" else "cold"),
        was_running=given.pop("was_running", there.vm_state == "active"),
        ram_mib=there.ram_mib,
        since=nova.began,
        retries=given.pop("retries", 0),
        timeout_per_gib=given.pop("per_gib", timedelta(seconds=800)),
        on_stuck=Step.ABORT,
        may_stop=given.pop("may_stop", True),
        copied_gib=given.pop("copied_gib", 0),
    )
    asked = {
        "destination": None,
        "block_migration": "auto",
        "limits": Limits(1, 4),
        "turn_patience": timedelta(hours=1),
        "api_patience": timedelta(hours=1),
        "may_start": lambda now: None,
        "owner": OWNER,
        **given,
    }
    return MoveRequest(order=order, **asked)


REFUSED = Refused("instance i1", "Nova refused: No valid host was found.", "Fix it.")
