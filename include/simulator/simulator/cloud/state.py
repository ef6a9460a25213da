"""What the cloud is: its things, found by host, by cell and by time, and how they change.

Nothing here costs more the larger the cloud is: whatever changes, its indexes change with it.
"""

from __future__ import annotations

import math
import random
import uuid
from bisect import insort
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from simulator.cloud.journal import Entry, Journal
from simulator.cloud.model import (
    NOSTATE,
    PAUSED,
    RUNNING,
    SHUTDOWN,
    Action,
    Agent,
    Aggregate,
    Cell,
    ComputeHost,
    Event,
    Fault,
    Flavor,
    Group,
    Guest,
    Image,
    Instance,
    Migration,
    Service,
)
from simulator.cloud.settings import Settings
from simulator.cloud.timing import Clock, Handle

_MOVES = 1000  # of which a replica that lags behind may not know yet


class State:
    """All parts of the cloud share one."""

    def __init__(self, clock: Clock, settings: Settings) -> None:
        self.clock = clock
        self.settings = settings
        self.random = random.Random(settings.seed)  # noqa: S311 - the same draws for the same seed
        self.journal = Journal()
        self.cells: dict[str, Cell] = {}
        self.hosts: dict[str, ComputeHost] = {}
        self.hosts_by_id: dict[str, ComputeHost] = {}
        self.services: dict[str, Service] = {}
        self.flavors: dict[str, Flavor] = {}
        self.images: dict[str, Image] = {}
        self.groups: dict[str, Group] = {}
        self.aggregates: dict[int, Aggregate] = {}
        self.agents: dict[str, Agent] = {}
        self.instances: dict[str, Instance] = {}
        self.buried: dict[str, Instance] = {}
        self.by_age: list[tuple[datetime, int, Instance]] = []
        self.guests: dict[str, dict[str, Guest]] = {}
        self.starts: dict[str, int] = {}  # how often a guest was started, by instance
        self.moves: deque[tuple[datetime, Instance]] = deque(maxlen=_MOVES)
        self.allocations: dict[str, dict[str, dict[str, int]]] = {}
        self.broker_is_away = False
        self.conductor_is_away = False
        self.held: list[Callable[[], Any]] = []  # messages that wait for the conductor or broker
        self._numbers = 0
        # Whose request is being answered: user and project. None: the owner of the instance.
        self.acting: tuple[str, str] | None = None

    # -- time, chance, words

    def now(self) -> datetime:
        """The time by the control plane's clock."""
        ahead = self.settings.clock_ahead
        return self.clock.now() + timedelta(seconds=ahead) if ahead else self.clock.now()

    def later(self, seconds: float, what: Callable[..., Any], *args: Any) -> Handle:
        """Call ``what`` when so many seconds have passed."""
        return self.clock.after(seconds, partial(what, *args) if args else what)

    def cast(self, seconds: float, what: Callable[..., Any], *args: Any) -> Handle | None:
        """Send a message to a conductor: it waits in its queue where none takes it."""
        if self.broker_is_away or self.conductor_is_away:
            self.held.append(partial(self.later, seconds, what, *args))
            return None
        return self.later(seconds, what, *args)

    def release_held(self) -> None:
        """Deliver what has waited, as far as conductor and broker are there."""
        if not (self.broker_is_away or self.conductor_is_away):
            held, self.held = self.held, []
            for send in held:
                send()

    def new_id(self) -> str:
        """A UUID; the same ones for the same seed."""
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def new_number(self) -> int:
        """Counted from 1, for whatever has a number."""
        self._numbers += 1
        return self._numbers

    def note(self, who: str, what: str, instance: str = "", host: str = "") -> None:
        """Write into the journal, by the true time."""
        self.journal.write(Entry(self.clock.now(), who, what, instance, host))

    # -- instances

    def enter(self, instance: Instance) -> None:
        """A new instance."""
        self.instances[instance.id] = instance
        insort(self.by_age, (instance.created_at, instance.number, instance))
        if instance.group is not None:
            instance.group.members.append(instance.id)

    def bury(self, instance: Instance, *, keeps_guest: bool = False) -> None:
        """An instance is deleted: gone from every list; its actions can still be read.

        ``keeps_guest``: Nova deletes it from its database alone, as on a host that is down.
        """
        if instance.timer is not None:
            instance.timer.cancel()
        if instance.migration is not None and instance.migration.timer is not None:
            instance.migration.timer.cancel()
        self.place(instance, None)
        self.release(instance.id)
        for host in [] if keeps_guest else list(self.guests.get(instance.id, ())):
            self.end_guest(instance.id, host, "deleted")
        instance.vm_state, instance.task_state, instance.is_deleted = "deleted", None, True
        instance.terminated_at = self.now()
        self.changed(instance)
        del self.instances[instance.id]
        self.buried[instance.id] = instance
        del self.by_age[self.position(instance)]
        if instance.group is not None:
            instance.group.members.remove(instance.id)

    def position(self, instance: Instance) -> int:
        """Where an instance stands in ``by_age``."""
        key = (instance.created_at, instance.number)
        low, high = 0, len(self.by_age)
        while low < high:
            middle = (low + high) // 2
            if self.by_age[middle][:2] < key:
                low = middle + 1
            else:
                high = middle
        return low

    def changed(self, instance: Instance) -> None:
        """Nova has written to an instance's row."""
        instance.revision += 1
        instance.updated_at = self.now()

    def update(self, instance: Instance, **values: Any) -> None:
        """Write values to an instance's row."""
        for name, value in values.items():
            setattr(instance, name, value)
        self.changed(instance)

    def place(self, instance: Instance, host: str | None) -> None:
        """Where Nova believes that an instance is."""
        if instance.host is not None:
            self.hosts[instance.host].instances.pop(instance.id, None)
        moved_at = self.clock.now()
        instance.former_host, instance.moved_at = instance.host, moved_at
        self.moves.append((moved_at, instance))
        instance.host = host
        if host is not None:
            self.hosts[host].instances[instance.id] = instance
            instance.cell = self.hosts[host].cell
        self.changed(instance)

    def real_power(self, instance: Instance) -> int:
        """The power state that the hypervisor of its host would tell."""
        guest = self.guests.get(instance.id, {}).get(instance.host or "")
        if guest is None or guest.state == "incoming":
            is_elsewhere = self.guest_of(instance.id) is not None  # then it is not defined here
            return NOSTATE if is_elsewhere or not instance.launched_at else SHUTDOWN
        return PAUSED if guest.state == "paused" else RUNNING

    # -- actions and faults

    def begin(self, instance: Instance, name: str) -> Action:
        """An action has been asked for."""
        now = self.now()
        user, project = self.acting or (instance.user_id, instance.project_id)
        action = Action(name, f"req-{self.new_id()}", user, project, now, now)
        instance.actions.append(action)
        return action

    def step(
        self,
        action: Action | None,
        name: str,
        host: str = "",
        error: tuple[str, str] | None = None,
    ) -> None:
        """A step of an action, begun and over. ``error``: its kind and what it says."""
        if action is not None:
            self.end_step(action, self.begin_step(action, name, host), error)

    def begin_step(self, action: Action, name: str, host: str = "") -> Event:
        """A step of an action has begun."""
        event = Event(name, host, self.now())
        action.events.append(event)
        action.updated_at = event.started_at
        return event

    def end_step(self, action: Action, event: Event, error: tuple[str, str] | None = None) -> None:
        """A step is over. ``error``: its kind and what it says."""
        event.finished_at = action.updated_at = self.now()
        event.result = "Error" if error else "Success"
        if error:
            event.kind, event.details = error
            action.message = "Error"

    def end_steps(self, action: Action | None, error: tuple[str, str] | None = None) -> None:
        """All steps that have begun are over, the last one first."""
        for event in reversed(action.events if action is not None else ()):
            if action is not None and event.finished_at is None:
                self.end_step(action, event, error)

    def blame(self, instance: Instance, message: str, code: int = 500, details: str = "") -> None:
        """Record a fault; it is shown while the instance is in ERROR."""
        trace = details or f"Traceback (most recent call last):\n  ...\n{message}\n"
        instance.fault = Fault(code, message, self.now(), trace)
        self.changed(instance)

    # -- migrations

    def new_migration(
        self,
        instance: Instance,
        kind: str,
        status: str,
        destination: str | None = None,
        new_flavor: Flavor | None = None,
    ) -> Migration:
        """A record in the cell of the instance."""
        cell, source = instance.cell, instance.host
        if cell is None or source is None:
            raise ValueError(f"instance {instance.id} is on no host")
        cell.migration_ids += 1
        migration = Migration(
            id=cell.migration_ids,
            uuid=self.new_id(),
            cell=cell,
            instance=instance,
            kind=kind,
            status=status,
            source=source,
            destination=destination,
            old_flavor=instance.flavor,
            new_flavor=new_flavor or instance.flavor,
            user_id=instance.user_id,
            project_id=instance.project_id,
            created_at=self.now(),
        )
        instance.migration = migration
        cell.migrations[migration.uuid] = migration
        cell.by_update[migration.uuid] = migration
        self.note("nova", f"migration {migration.id} {kind} {status}", instance.id, source)
        return migration

    def set_status(self, migration: Migration, status: str) -> None:
        """Write a migration's status."""
        migration.former_status, migration.status = migration.status, status
        self.touch(migration)
        where = migration.destination or migration.source
        self.note("nova", f"migration {migration.id} {status}", migration.instance.id, where)

    def touch(self, migration: Migration) -> None:
        """Nova has written to a migration's row."""
        migration.updated_at = self.now()
        migration.cell.by_update.move_to_end(migration.uuid)

    # -- guests: what is true

    def start_guest(self, instance: Instance, host: str, state: str = "running") -> None:
        """A guest process begins. ``state`` incoming: the destination of a live migration."""
        guest = Guest(instance.id, host, state, self.clock.now())
        self.hosts[host].guests[instance.id] = guest
        self.guests.setdefault(instance.id, {})[host] = guest
        if state != "incoming":
            self.starts[instance.id] = self.starts.get(instance.id, 0) + 1
            self.note("guest", "starts", instance.id, host)

    def end_guest(self, instance_id: str, host: str, why: str) -> None:
        """A guest process ends; nothing where there is none."""
        guest = self.hosts[host].guests.pop(instance_id, None)
        if guest is None:
            return
        del self.guests[instance_id][host]
        if not self.guests[instance_id]:
            del self.guests[instance_id]
        if guest.state != "incoming":
            self.note("guest", f"ends: {why}", instance_id, host)

    def switch_guest(self, instance_id: str, source: str, destination: str) -> bool:
        """A live migration's guest goes on at its destination; False where it no longer runs."""
        leaving = self.hosts[source].guests.get(instance_id)
        arriving = self.hosts[destination].guests.get(instance_id)
        if leaving is None or arriving is None:
            return False
        arriving.state, arriving.started_at = leaving.state, leaving.started_at
        del self.hosts[source].guests[instance_id]
        del self.guests[instance_id][source]
        self.note("guest", f"has moved from {source}", instance_id, destination)
        return True

    def guest_of(self, instance_id: str) -> Guest | None:
        """The guest process of an instance that is not only on its way in."""
        found = self.guests.get(instance_id, {}).values()
        return next((each for each in found if each.state != "incoming"), None)

    # -- Placement

    @staticmethod
    def resources(flavor: Flavor, is_volume_backed: bool) -> dict[str, int]:
        """What an instance of a flavor takes."""
        root = 0 if is_volume_backed else flavor.disk_gib
        disk = root + flavor.ephemeral_gib + math.ceil(flavor.swap_mib / 1024)
        found = {"VCPU": flavor.vcpus, "MEMORY_MB": flavor.ram_mib, "DISK_GB": disk}
        return {kind: amount for kind, amount in found.items() if amount}

    def allocate(self, consumer: str, host: str, amounts: dict[str, int]) -> None:
        """Claim resources for an instance, or for the half of a move that a migration holds."""
        self.release(consumer, host)
        provider = self.hosts[host]
        self.allocations.setdefault(consumer, {})[host] = amounts
        provider.consumers[consumer] = amounts
        provider.generation += 1
        for kind, amount in amounts.items():
            provider.used[kind] += amount

    def release(self, consumer: str, host: str | None = None) -> None:
        """Give back what a consumer has on a host, or everywhere."""
        held = self.allocations.get(consumer)
        if held is None:
            return
        for name in [host] if host is not None else list(held):
            amounts = held.pop(name, None)
            if amounts is None:
                continue
            provider = self.hosts[name]
            del provider.consumers[consumer]
            provider.generation += 1
            for kind, amount in amounts.items():
                provider.used[kind] -= amount
        if not held:
            del self.allocations[consumer]

    def hand_over(self, giver: str, taker: str) -> None:
        """All allocations of a consumer become another's."""
        for host, amounts in list(self.allocations.get(giver, {}).items()):
            self.release(giver, host)
            self.allocate(taker, host, amounts)
