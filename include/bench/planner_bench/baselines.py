"""Nights without a plan: hosts in the order of their names, destinations as they come."""

from __future__ import annotations

import random
from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from openstack_maintenance.domain.nights.fleet import Fleet, FleetInstance, Size
from openstack_maintenance.domain.nights.plan import NightLimits, NightPace
from openstack_maintenance.domain.nights.room import Place, Pool

# So many hosts that cannot take an instance are tried at random before all are looked at.
_TRIES = 50


@dataclass(frozen=True)
class Outcome:
    """What a night came to. ``violations``: moments with less than the reserve free in a zone."""

    migrations: int
    makespan: timedelta
    violations: int
    stuck: int


class Choice(Protocol):
    """Chooses destinations in one zone, among all hosts that are in service."""

    def put(self, place: Place) -> None:
        """A place is in service, or has changed."""

    def remove(self, place: Place) -> None:
        """A place goes out."""

    def find(self, instance: FleetInstance) -> Place | None:
        """A place that takes the instance."""


class Spreading(Pool):
    """As Nova does by default: the host with the most free RAM."""


class Packing:
    """The fullest host that still has room."""

    def __init__(self, places: Iterable[Place]) -> None:
        self._places: dict[str, Place] = {}
        self._known: dict[str, int] = {}
        self._order: list[tuple[int, str]] = []
        for place in places:
            self.put(place)

    def put(self, place: Place) -> None:
        self.remove(place)
        name, free = place.host.name, place.free.ram_mib
        self._places[name], self._known[name] = place, free
        insort(self._order, (free, name))

    def remove(self, place: Place) -> None:
        name = place.host.name
        if name in self._known:
            self._order.pop(bisect_left(self._order, (self._known.pop(name), name)))

    def find(self, instance: FleetInstance) -> Place | None:
        first = bisect_left(self._order, (instance.size.ram_mib, ""))
        places = (self._places[self._order[i][1]] for i in range(first, len(self._order)))
        return next((place for place in places if place.takes(instance)), None)


class Chance:
    """Any host that has room."""

    def __init__(self, places: Iterable[Place]) -> None:
        self._dice = random.Random(1)  # noqa: S311 - a simulation, no secret
        self._places = {place.host.name: place for place in places}
        self._names = sorted(self._places)

    def put(self, place: Place) -> None:
        self._places[place.host.name] = place

    def remove(self, place: Place) -> None:
        self._places.pop(place.host.name, None)

    def find(self, instance: FleetInstance) -> Place | None:
        for _ in range(_TRIES):
            place = self._places.get(self._dice.choice(self._names))
            if place is not None and place.takes(instance):
                return place
        return next((each for each in self._places.values() if each.takes(instance)), None)


WAYS: dict[str, Callable[[Iterable[Place]], Choice]] = {
    "random": Chance,
    "Nova's spreading": Spreading,
    "packing": Packing,
}


def maintain_fleet(fleet: Fleet, way: str, limits: NightLimits, pace: NightPace) -> Outcome:
    """Maintain every host, one after the other in each slot."""
    on_host: dict[str, list[FleetInstance]] = defaultdict(list)
    for instance in fleet.instances:
        on_host[instance.host].append(instance)
    zones: dict[str, list[Place]] = defaultdict(list)
    for host in fleet.hosts:
        zones[host.zone].append(Place(host, on_host[host.name]))
    migrations = violations = stuck = 0
    busy = timedelta(0)
    for places in zones.values():
        choice = WAYS[way](places)
        reserve = places[0].host.capacity.times(limits.reserve_hosts)
        free = sum((place.free for place in places), Size())
        for place in places:
            choice.remove(place)
            busy += pace.maintenance(len(place.instances), place.load.ram_mib)
            left = []
            for instance in sorted(place.instances, key=lambda each: -each.size.ram_mib):
                to = choice.find(instance)
                if to is None:
                    left.append(instance)
                    continue
                to.add(instance)
                choice.put(to)
                migrations += 1
            violations += not (free - place.host.capacity).holds(reserve)
            stuck += len(left)
            place.clear()
            for instance in left:
                place.add(instance)
            choice.put(place)
    return Outcome(migrations, busy / limits.hosts_out, violations, stuck)
