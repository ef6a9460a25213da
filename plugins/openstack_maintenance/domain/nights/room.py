"""Room in one zone while its hosts are out: who holds what, and where an instance goes best."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from heapq import heappop, heappush

from openstack_maintenance.domain.nights.fleet import FleetHost, FleetInstance, Size


class Place:
    """One host with what is on it now. ``instances`` are in the order in which they move."""

    __slots__ = ("free", "groups", "host", "instances")

    def __init__(self, host: FleetHost, instances: Iterable[FleetInstance]) -> None:
        self.host = host
        self.instances = sorted(instances, key=lambda each: (-each.size.ram_mib, each.id))
        self.groups = {each.group for each in self.instances if each.group}
        self.free = host.capacity
        for each in self.instances:
            self.free -= each.size

    @property
    def load(self) -> Size:
        """All that its instances need."""
        return self.host.capacity - self.free

    def takes(self, instance: FleetInstance) -> bool:
        """Whether an instance may come: room, what it requires, and no other of its group."""
        return (
            self.free.holds(instance.size)
            and instance.requires <= self.host.provides
            and instance.group not in self.groups
        )

    def add(self, instance: FleetInstance) -> None:
        """An instance has come."""
        self.instances.append(instance)
        self.free -= instance.size
        if instance.group:
            self.groups.add(instance.group)

    def drop(self, instance: FleetInstance) -> None:
        """An instance that was added has gone again."""
        if self.instances[-1] is instance:  # mostly: what came last is the first to go again
            self.instances.pop()
        else:
            self.instances.remove(instance)
        self.free += instance.size
        if instance.group:
            self.groups.discard(instance.group)

    def clear(self) -> None:
        """All its instances have gone."""
        self.instances, self.groups, self.free = [], set(), self.host.capacity


class Pool:
    """Places that instances may come to, the one with the most free RAM first.

    Spreading keeps room for a large instance, where packing would leave crumbs everywhere. Places
    that meet more demands come after those that meet fewer: an instance that demands nothing
    must not take the room of one that can go nowhere else.
    """

    def __init__(self, places: Iterable[Place] = ()) -> None:
        self._members: dict[str, Place] = {}
        # By what the places provide. Entries whose place has changed since are dropped when they
        # come up.
        self._heaps: dict[frozenset[str], list[tuple[int, str]]] = {}
        for place in places:
            self.put(place)

    def put(self, place: Place) -> None:
        """A place has come, or its free room has changed."""
        self._members[place.host.name] = place
        provides = place.host.provides
        if provides not in self._heaps:
            found = sorted([*self._heaps, provides], key=lambda each: (len(each), sorted(each)))
            self._heaps = {each: self._heaps.get(each, []) for each in found}
        heappush(self._heaps[provides], (-place.free.ram_mib, place.host.name))

    def remove(self, place: Place) -> None:
        """Instances may no longer come here."""
        self._members.pop(place.host.name, None)

    def find(self, instance: FleetInstance) -> Place | None:
        """The best place for an instance."""
        for provides, heap in self._heaps.items():
            if instance.requires <= provides and (found := self._first(heap, instance)):
                return found
        return None

    def _first(self, heap: list[tuple[int, str]], instance: FleetInstance) -> Place | None:
        passed_over: list[tuple[int, str]] = []
        found = None
        while heap and found is None:
            less_free, name = heap[0]
            place = self._members.get(name)
            if place is None or place.free.ram_mib != -less_free:
                heappop(heap)
            elif place.free.ram_mib < instance.size.ram_mib:
                break
            elif place.takes(instance):
                found = place
            else:
                passed_over.append(heappop(heap))
        for entry in passed_over:
            heappush(heap, entry)
        return found


class Room:
    """One zone: what is free on the hosts that are in service, and who may take what."""

    def __init__(self, places: Sequence[Place], reserve_hosts: int) -> None:
        self.places = {place.host.name: place for place in places}
        in_service = [place for place in places if place.host.is_open]
        self.finished = Pool(place for place in in_service if not place.host.is_due)
        self.waiting = Pool(place for place in in_service if place.host.is_due)
        self.reserve = _largest(place.host.capacity for place in places).times(reserve_hosts)
        self.free = Size()
        for place in in_service:
            self.free += place.free

    def keeps_reserve_without(self, place: Place) -> bool:
        """Whether enough stays free when this host is out and its instances are elsewhere."""
        free = self.free - place.free if place.host.is_open else self.free
        return (free - place.load).holds(self.reserve)

    def empty(self, place: Place) -> list[tuple[FleetInstance, Place]] | FleetInstance:
        """Move everything off a host, to finished hosts as long as these have room.

        Returns the moves, or the first instance that fits nowhere; then nothing has changed.
        """
        self.waiting.remove(place)
        moves: list[tuple[FleetInstance, Place]] = []
        for instance in place.instances:
            to = self.finished.find(instance) or self.waiting.find(instance)
            if to is None:
                self._undo(moves)
                if place.host.is_open:
                    self.waiting.put(place)
                return instance
            self._move(instance, to)
            moves.append((instance, to))
        if place.host.is_open:
            self.free -= place.free
        place.clear()
        return moves

    def expect(self, place: Place) -> None:
        """A host is being emptied by somebody else: its instances will need room here."""
        self.free -= place.load

    def leave(self, place: Place) -> None:
        """A host goes out: what is free on it counts no more, and its instances need room here."""
        if place.host.is_open:
            self.free -= place.free
        self.free -= place.load

    def give_back(self, place: Place) -> None:
        """A host is finished: instances may come."""
        if place.host.is_open:
            self.free += place.free
            self.finished.put(place)

    def _move(self, instance: FleetInstance, to: Place) -> None:
        to.add(instance)
        self.free -= instance.size
        self._pool(to).put(to)

    def _undo(self, moves: Sequence[tuple[FleetInstance, Place]]) -> None:
        for instance, to in reversed(moves):
            to.drop(instance)
            self.free += instance.size
            self._pool(to).put(to)

    def _pool(self, place: Place) -> Pool:
        return self.finished if place.host.name in self.finished._members else self.waiting


def _largest(sizes: Iterable[Size]) -> Size:
    largest = Size()
    for each in sizes:
        largest = Size(
            max(largest.vcpus, each.vcpus),
            max(largest.ram_mib, each.ram_mib),
            max(largest.disk_gib, each.disk_gib),
        )
    return largest
