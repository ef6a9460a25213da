"""A Nova in memory, in place of `adapters.nova.Nova`: no HTTP, no SDK, the domain's own facts.

`CloudState` is what a Nova holds, and what orders and time make of it. `InMemoryNova` is how it is
asked: the calls of the adapter, of which a test may let any fail, and before which it may change
the cloud.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

import builders
from openstack_maintenance.adapters.cloud_errors import Conflict, NotThere, Refused
from openstack_maintenance.domain.blocker import Blocker
from openstack_maintenance.domain.cloud import (
    RUNNING,
    SHUTDOWN,
    ComputeService,
    Hypervisor,
    Instance,
    Migration,
)
from openstack_maintenance.domain.drain.affinity import AffinityGroup
from openstack_maintenance.domain.errors import CloudError
from openstack_maintenance.domain.host.holders import Holder

WAITS = frozenset({"accepted", "pre-migrating", "queued"})
RUNS = frozenset({"running", "migrating"})
_OFF = {"status": "SHUTOFF", "vm_state": "stopped", "power_state": SHUTDOWN}
_ON = {"status": "ACTIVE", "vm_state": "active", "power_state": RUNNING}


@dataclass
class CloudState:
    """Services, instances and migrations. What an order begins, `pass_second` brings to its end.

    ``takes``, ``confirm_takes``: seconds of a migration and of a confirmation. ``nova_limit``:
    migrations that run off one host at a time. ``endings``: how an instance's migrations end, in
    turn, before they succeed: a status, or "never", "no host" (the scheduler finds none),
    "completed in place" (on the host where it was), "dies", "dies there" (the control plane does:
    the instance is in ERROR on the source, or on the destination), "forgotten" (nobody works on
    it). ``starts``, ``stops``: whether a start or a stop that was taken works, in turn.
    ``scheduler_choice``: where goes what names no destination. ``lag``: of the clock that stamps
    migrations. ``groups``: the anti-affinity group of an instance. ``affinity_groups``: the hard
    ones that hold together. ``hypervisors``: the records that are not as the builder has them.
    ``room``: the ids of the hypervisors that have room (None: all). ``unlisted``: hosts whose
    instances are in no list. ``placed``: who holds room on a host, where that is not who is on it.
    ``left``: the bytes that a migration has left to copy.
    """

    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    takes: int = 3
    traits: set[str] = field(default_factory=set)  # of every host
    confirm_takes: int = 1
    nova_limit: int = 100
    endings: dict[str, list[str]] = field(default_factory=dict)
    starts: list[bool] = field(default_factory=list)
    stops: list[bool] = field(default_factory=list)
    scheduler_choice: str = "c02"
    lag: timedelta = timedelta(0)
    groups: dict[str, str] = field(default_factory=dict)
    affinity_groups: tuple[AffinityGroup, ...] = ()
    hypervisors: dict[str, Hypervisor] = field(default_factory=dict)
    room: frozenset[str] | None = None
    unlisted: frozenset[str] = frozenset()
    placed: dict[str, frozenset[str]] = field(default_factory=dict)
    services: dict[str, ComputeService] = field(default_factory=dict)
    instances: dict[str, Instance] = field(default_factory=dict)
    migrations: dict[int, Migration] = field(default_factory=dict)
    seconds: float = 0
    on_second: Callable[[float], None] = lambda _: None
    left: Callable[[Migration], int | None] = lambda _: None
    # Migrations that nobody works on.
    forgotten: set[int] = field(default_factory=set)
    # What ran and what waited, second by second.
    history: list[list[Migration]] = field(default_factory=list)
    # Orders that came at the wrong time.
    conflicts: list[str] = field(default_factory=list)

    def now(self) -> datetime:
        return self.began + timedelta(seconds=self.seconds)

    def stamp(self) -> datetime:
        """The time that a migration gets now."""
        return self.now() - self.lag

    # What a test puts there.

    def add_host(self, *names: str, reason: str | None = None, **given: Any) -> None:
        """Hosts with a nova-compute; disabled where ``reason`` is given."""
        for name in names:
            self.services[name] = builders.service(name, reason, **given)

    def add(self, *names: str, status: str = "ACTIVE", host: str = "c01", **given: Any) -> None:
        """Instances, the largest first."""
        for number, name in enumerate(names):
            facts = {"host": host, "ram_mib": 512 * (len(names) - number), "vcpus": 1, **given}
            self.instances[name] = builders.instance(name, status, **facts)

    def change(self, instance_id: str, **what: Any) -> None:
        if instance_id not in self.instances:
            raise NotThere("instance", "Instance could not be found", "Check the name or id.")
        self.instances[instance_id] = replace(self.instances[instance_id], **what)

    def change_service(self, host: str, **what: Any) -> None:
        self.services[host] = replace(self.services[host], **what)

    def shut_down(self, instance_id: str) -> None:
        self.change(instance_id, **_OFF)

    def delete(self, instance_id: str) -> None:
        """An instance with all that goes on with it."""
        self.instances.pop(instance_id)
        for row in self._of(instance_id):
            self._set(row, "error")

    # What Placement and the lists show.

    def hypervisor(self, host: str) -> Hypervisor:
        return self.hypervisors.get(host) or builders.hypervisor(host)

    def all_hypervisors(self) -> list[Hypervisor]:
        return [self.hypervisor(host) for host in {**self.services, **self.hypervisors}]

    def hosts_with_room(self) -> frozenset[str]:
        """Ids of hypervisors."""
        if self.room is not None:
            return self.room
        return frozenset(each.id for each in self.all_hypervisors())

    def listed(self) -> list[Instance]:
        return [each for each in self.instances.values() if each.host not in self.unlisted]

    def consumers_on(self, host: str) -> frozenset[str]:
        """Who holds room on a host: the instances on it, and moves off it that are not over."""
        if host in self.placed:
            return self.placed[host]
        moves = [row for row in self.migrations.values() if row.source == host]
        held = {row.uuid for row in moves if row.is_moving or row.status == "finished"}
        return frozenset(held.union(e.id for e in self.instances.values() if e.host == host))

    # Orders.

    def migrate(self, instance_id: str, kind: str, destination: str | None = None) -> None:
        """Begin a migration of this ``kind``. Raises: NotThere, Conflict."""
        self.change(instance_id)
        instance = self.instances[instance_id]
        if instance.task_state or self._is_moved(instance_id):
            self.conflicts.append(f"{kind} of {instance_id}")
            raise Conflict("instance", f"it is {instance.task_state}", "Look.")
        number = len(self.migrations) + 1
        is_live = kind == "live-migration"
        self.change(instance_id, task_state="migrating" if is_live else "resize_prep")
        self.migrations[number] = builders.migration(
            id=number,
            instance_id=instance_id,
            kind=kind,
            status="accepted" if is_live else "pre-migrating",
            source=instance.host or "",
            destination=destination,
            created_at=self.stamp(),
            updated_at=self.stamp(),
        )

    def confirm(self, instance_id: str) -> None:
        last = self._of(instance_id)[-1]
        if last.status != "finished":
            raise Refused("instance", "Nova refused: Instance has not been resized.", "x")
        self._set(last, "confirming")

    def stop(self, instance_id: str) -> None:
        if self._state_of(instance_id) == "stopped":
            raise Conflict("instance", "Cannot 'stop' while it is in vm_state stopped", "Look.")
        if self.stops.pop(0) if self.stops else True:
            self.shut_down(instance_id)

    def start(self, instance_id: str) -> None:
        if (state := self._state_of(instance_id)) != "stopped":
            raise Conflict("instance", f"Cannot 'start' while it is in vm_state {state}", "Look.")
        if self.starts.pop(0) if self.starts else True:
            self.change(instance_id, **_ON)

    def _state_of(self, instance_id: str) -> str:
        self.change(instance_id)
        return self.instances[instance_id].vm_state

    def begin(self, migration_id: int) -> None:
        """A migration that waits gets its destination, and runs where its source has a place."""
        row = self.migrations[migration_id]
        ways = self.endings.get(row.instance_id)
        if ways and ways[0] == "forgotten":
            ways.pop(0)
            self.forgotten.add(row.id)
        if row.id in self.forgotten:
            return
        row = replace(row, destination=row.destination or self.scheduler_choice)
        if sum(each.source == row.source for each in self._with(RUNS)) < self.nova_limit:
            self._set(row, "running" if row.is_live else "migrating")
        else:
            self._set(row, "queued")

    def end(self, migration_id: int, way: str) -> None:
        """End a migration in one of the ways of ``endings``."""
        row = self.migrations[migration_id]
        if way == "never":
            return
        is_there = row.instance_id in self.instances
        if is_there:
            self.change(row.instance_id, task_state=None)
        if way == "completed" and is_there:
            self.change(row.instance_id, host=row.destination)
            if not row.is_live:
                way = "finished"
                self.change(row.instance_id, status="VERIFY_RESIZE", vm_state="resized")
        if way in ("dies", "dies there"):  # its guest runs on
            where = row.source if way == "dies" else row.destination
            if is_there:
                self.change(row.instance_id, host=where, status="ERROR", vm_state="error")
            way = "error"
        if way == "no host":
            row, way = replace(row, destination=None), "error"
        self._set(row, "completed" if way == "completed in place" else way)

    # Time.

    def pass_second(self) -> None:
        """What was begun goes on, what has ended makes room, and what waits begins."""
        self.seconds += 1
        self.on_second(self.seconds)
        for row in self._with({"confirming"}):
            if self._is_over(row, self.confirm_takes):
                self._set(row, "confirmed")
                self.shut_down(row.instance_id)
        for row in self._with(RUNS):
            if self._is_over(row, self.takes):
                ways = self.endings.get(row.instance_id)
                self.end(row.id, ways.pop(0) if ways else "completed")
        for row in self._with(WAITS):
            self.begin(row.id)
        self.history.append(self._with(RUNS | {"queued"}))

    def _is_moved(self, instance_id: str) -> bool:
        moves = [row for row in self._of(instance_id) if row.is_moving]
        return any(row.id not in self.forgotten for row in moves)

    def _is_over(self, row: Migration, seconds: int) -> bool:
        return self.stamp() - row.updated_at >= timedelta(seconds=seconds)

    def _set(self, row: Migration, status: str) -> None:
        self.migrations[row.id] = replace(row, status=status, updated_at=self.stamp())

    def _with(self, statuses: Iterable[str]) -> list[Migration]:
        return [row for row in self.migrations.values() if row.status in statuses]

    def _of(self, instance_id: str) -> list[Migration]:
        return [row for row in self.migrations.values() if row.instance_id == instance_id]


class Ordered(NamedTuple):
    """An order that was taken: the call, its instance or host, and what it says besides."""

    call: str
    subject: str
    detail: str | None = None


@dataclass
class InMemoryNova:
    """The calls of `adapters.nova.Nova` on a cloud in memory.

    ``errors``: what a call raises, in turn (None: nothing), or one error for ever. ``before``: runs
    before each call, with its name and arguments; it may change the cloud, or raise. An order
    that raises is carried out nevertheless with ``done_all_the_same``. A list of the migrations
    lets ``second_a_list`` seconds pass; ``shown``: what it shows, of what there is and since when.
    ``missing``: rights that are. ``secret_texts``: what is secret. ``acted``: what a user did
    with any instance. ``why``: why any migration failed.
    """

    cloud: CloudState = field(default_factory=CloudState)
    errors: dict[str, Exception | list[Exception | None]] = field(default_factory=dict)
    before: Callable[..., None] = lambda *_: None
    done_all_the_same: bool = False
    second_a_list: int = 0
    shown: Callable[[list[Migration], datetime], list[Migration]] = lambda rows, _: rows
    version: str = "2.95"
    shows_silent_cells: bool = True
    acted: str | None = None
    why: str = "the disk is too slow"
    missing: list[Blocker] = field(default_factory=list)
    secret_texts: set[str] = field(default_factory=set)
    clock_offset_seconds: float = 0.0
    calls: Counter[str] = field(default_factory=Counter)
    orders: list[Ordered] = field(default_factory=list)

    def ordered(self, *calls: str) -> list[Ordered]:
        """The orders of these kinds that were taken."""
        return [each for each in self.orders if each.call in calls]

    def _called(self, call: str, *args: Any) -> None:
        self.calls[call] += 1
        self.before(call, *args)
        errors = self.errors.get(call)
        error = errors.pop(0) if isinstance(errors, list) and errors else errors
        if isinstance(error, Exception):
            raise error

    # What is read.

    def now(self) -> datetime:
        return self.cloud.now()

    def read_clock(self) -> None:
        self._called("read_clock")

    def check_version(self) -> str:
        self._called("check_version")
        return self.version

    def missing_rights(self, needed: Any) -> list[Blocker]:
        self._called("missing_rights", needed)
        return self.missing

    def secrets(self) -> set[str]:
        self._called("secrets")
        return self.secret_texts

    def services(self, binary: str | None = None) -> list[ComputeService]:
        self._called("services", binary)
        rows = list(self.cloud.services.values())
        return [each for each in rows if binary in (None, each.binary)]

    def find_service(self, host: str) -> ComputeService | None:
        self._called("find_service", host)
        found = self.cloud.services.get(host)
        if found is None and not self.shows_silent_cells:
            raise CloudError(f"host {host}", "deleted, or its cell does not answer", "Look.")
        return found

    def get_service(self, host: str) -> ComputeService:
        found = self.find_service(host)
        if found is None:
            raise NotThere(f"host {host}", "Nova lists no nova-compute service on it", "Look.")
        return found

    def hypervisors(self) -> list[Hypervisor]:
        self._called("hypervisors")
        return self.cloud.all_hypervisors()

    def find_hypervisor(self, host: str) -> Hypervisor | None:
        return next((each for each in self.hypervisors() if each.host == host), None)

    def hosts_with_room(self, need: Any) -> frozenset[str]:
        self._called("hosts_with_room", need)
        return self.cloud.hosts_with_room()

    def anti_affinity_groups(self) -> dict[str, str]:
        self._called("anti_affinity_groups")
        return self.cloud.groups

    def one_a_host_groups(self) -> dict[str, str]:
        self._called("one_a_host_groups")
        return self.cloud.groups

    def affinity_groups(self) -> tuple[AffinityGroup, ...]:
        self._called("affinity_groups")
        return self.cloud.affinity_groups

    def without_left_behind(self, rows: Iterable[Migration]) -> list[Migration]:
        return list(rows)

    def traits(self, hypervisor_ids: Iterable[str]) -> dict[str, frozenset[str]]:
        self._called("traits")
        return {each: frozenset(self.cloud.traits) for each in hypervisor_ids}

    def consumers(self, hypervisor_id: str) -> frozenset[str]:
        self._called("consumers", hypervisor_id)
        for each in self.cloud.all_hypervisors():
            if each.id == hypervisor_id:
                return self.cloud.consumers_on(each.host)
        raise Refused(f"hypervisor {hypervisor_id}", "Placement does not have it", "Look.")

    def holders(self, consumers: Collection[str], host: str, since: datetime) -> list[Holder]:
        self._called("holders", consumers, host, since)
        moves = {each.uuid: each for each in self.cloud.migrations.values()}
        return [self._holder(each, moves.get(each)) for each in sorted(consumers)]

    def _holder(self, consumer: str, move: Migration | None) -> Holder:
        instance_id = move.instance_id if move else consumer
        return Holder(consumer, self.cloud.instances.get(instance_id), move)

    def instances(self) -> list[Instance]:
        self._called("instances")
        return self.cloud.listed()

    def instances_on(self, host: str) -> list[Instance]:
        self._called("instances_on", host)
        return [each for each in self.cloud.listed() if each.host == host]

    def find_instance(self, instance_id: str) -> Instance | None:
        self._called("find_instance", instance_id)
        return self.cloud.instances.get(instance_id)

    def migrations(self, changes_since: datetime) -> list[Migration]:
        self._called("migrations", changes_since)
        for _ in range(self.second_a_list):
            self.cloud.pass_second()
        rows = sorted(self.cloud.migrations.values(), key=lambda each: each.id)
        return self.shown([row for row in rows if row.updated_at >= changes_since], changes_since)

    def why_it_failed(self, instance_id: str) -> str | None:
        self._called("why_it_failed", instance_id)
        return self.why

    def acted_since(self, instance_id: str, since: datetime) -> str | None:
        self._called("acted_since", instance_id, since)
        return self.acted

    def left_to_copy(self, migration: Migration) -> int | None:
        self._called("left_to_copy", migration)
        return self.cloud.left(migration)

    def ask_scheduler(self, name: str) -> dict[str, Any]:
        self._called("ask_scheduler", name)
        return {"asked": True}

    # What is ordered.

    def _order(self, order: Ordered, act: Callable[[], None], *args: Any) -> None:
        try:
            self._called(order.call, *args)
        except Exception:
            if self.done_all_the_same:
                act()
            raise
        act()
        self.orders.append(order)

    def disable(self, service: ComputeService, reason: str) -> None:
        order = Ordered("disable", service.host, reason[:255])
        facts = {"is_enabled": False, "disabled_reason": reason[:255]}
        act = partial(self.cloud.change_service, service.host, **facts)
        self._order(order, act, service, reason)

    def enable(self, service: ComputeService) -> None:
        facts = {"is_enabled": True, "disabled_reason": None}
        act = partial(self.cloud.change_service, service.host, **facts)
        self._order(Ordered("enable", service.host), act, service)

    def live_migrate(self, instance_id: str, destination: str | None, block_migration: str) -> None:
        order = Ordered("live_migrate", instance_id, destination)
        act = partial(self.cloud.migrate, instance_id, "live-migration", destination)
        self._order(order, act, instance_id, destination, block_migration)

    def cold_migrate(self, instance_id: str, destination: str | None) -> None:
        order = Ordered("cold_migrate", instance_id, destination)
        act = partial(self.cloud.migrate, instance_id, "migration", destination)
        self._order(order, act, instance_id, destination)

    def confirm(self, instance_id: str) -> None:
        order = Ordered("confirm", instance_id)
        self._order(order, partial(self.cloud.confirm, instance_id), instance_id)

    def stop_guest(self, instance_id: str) -> None:
        order = Ordered("stop_guest", instance_id)
        self._order(order, partial(self.cloud.stop, instance_id), instance_id)

    def start_guest(self, instance_id: str) -> None:
        order = Ordered("start_guest", instance_id)
        self._order(order, partial(self.cloud.start, instance_id), instance_id)

    def reset_state(self, instance_id: str) -> None:
        facts = {"status": "ACTIVE", "vm_state": "active", "task_state": None}
        act = partial(self.cloud.change, instance_id, **facts)
        self._order(Ordered("reset_state", instance_id), act, instance_id)

    def abort(self, migration: Migration) -> None:
        order = Ordered("abort", migration.instance_id)
        self._order(order, partial(self.cloud.end, migration.id, "cancelled"), migration)

    def force_complete(self, migration: Migration) -> None:
        order = Ordered("force_complete", migration.instance_id)
        self._order(order, partial(self.cloud.end, migration.id, "completed"), migration)


@dataclass
class HostileNova(InMemoryNova):
    """A Nova that tells of the instance "hostile" what a test wants: any object, or an error.

    ``hostile``: one after the other, round and round. ``is_listed``: whether lists have it, too.
    """

    hostile: list[Any] = field(default_factory=list)
    is_listed: bool = True
    told: int = 0

    def instances_on(self, host: str) -> list[Any]:
        found: list[Any] = [each for each in super().instances_on(host) if each.id != "hostile"]
        return [self._hostile(), *found] if self.is_listed else found

    def find_instance(self, instance_id: str) -> Any:
        return self._hostile() if instance_id == "hostile" else super().find_instance(instance_id)

    def _hostile(self) -> Any:
        self.told += 1
        found = self.hostile[self.told % len(self.hostile)]
        if isinstance(found, Exception):
            raise found
        return found
