"""Plays a plan by its times, knowing nothing of how it was made, and says what it breaks."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from openstack_maintenance.domain.nights.fleet import Fleet, FleetHost, Size
from openstack_maintenance.domain.nights.plan import NightLimits, NightPlan, PlannedHost


def violations_of(fleet: Fleet, plan: NightPlan, limits: NightLimits) -> list[str]:
    """Everything that the plan breaks at any moment, in words; empty for a good plan."""
    return list(_Replay(fleet, limits).play(plan))


class _Replay:
    def __init__(self, fleet: Fleet, limits: NightLimits) -> None:
        self._hosts = {each.name: each for each in fleet.hosts}
        self._instances = {each.id: each for each in fleet.instances}
        self._limits = limits
        self._here: dict[str, set[str]] = defaultdict(set)
        self._free = {each.name: each.capacity for each in fleet.hosts}
        self._groups: dict[str, Counter[str]] = defaultdict(Counter)
        for each in fleet.instances:
            self._put(each.id, each.host)
        self._out: set[str] = set()
        self._moving: Counter[str] = Counter()
        self._zone_free: dict[str, Size] = defaultdict(Size)
        self._reserve = {zone: _reserve(fleet, zone, limits) for zone in _zones(fleet)}
        for host in fleet.hosts:
            self._count(host, +1)

    def play(self, plan: NightPlan) -> Iterator[str]:
        told = Counter([each.host for each in plan.hosts] + [each.host for each in plan.left])
        due = {name for name, each in self._hosts.items() if each.is_due}
        if set(told) != due or any(count > 1 for count in told.values()):
            yield "some due host has not exactly one turn or reason"
        events = [(each.ends, 0, each) for each in plan.hosts]
        events += [(each.starts, 1 + n, each) for n, each in enumerate(plan.hosts)]
        for _, order, turn in sorted(events, key=lambda event: (event[0], event[1], event[2].host)):
            if order:
                yield from self._start(turn)
            else:
                self._end(turn)

    def _start(self, turn: PlannedHost) -> Iterator[str]:
        host = self._hosts[turn.host]
        self._count(host, -1)
        self._out.add(host.name)
        groups = {g for m in turn.moves if (g := self._instances[m.instance_id].group)}
        if any(self._moving[group] for group in groups):
            yield f"{host.name}: two members of a group are on the move"
        self._moving.update(groups)
        if {move.instance_id for move in turn.moves} != self._here[host.name]:
            yield f"{host.name}: its moves are not its instances"
        for move in turn.moves:
            yield from self._move(move.instance_id, host, self._hosts[move.to])
        if len(self._out) > self._limits.hosts_out:
            yield f"{host.name}: {len(self._out)} hosts are out"
        if not self._zone_free[host.zone].holds(self._reserve[host.zone]):
            yield f"{host.name}: its zone has less than the reserve free"

    def _move(self, instance_id: str, source: FleetHost, to: FleetHost) -> Iterator[str]:
        instance = self._instances[instance_id]
        if to.name in self._out or not to.is_open or to.zone != source.zone:
            yield f"{instance_id}: {to.name} is out, closed or in another zone"
        if not instance.requires <= to.provides:
            yield f"{instance_id}: {to.name} does not provide what it requires"
        if instance.group and self._groups[to.name][instance.group]:
            yield f"{instance_id}: {to.name} holds another of its group"
        if not self._free[to.name].holds(instance.size):
            yield f"{instance_id}: {to.name} is full"
        self._take(instance_id, source.name)
        self._count(to, -1)
        self._put(instance_id, to.name)
        self._count(to, +1)

    def _end(self, turn: PlannedHost) -> None:
        self._out.remove(turn.host)
        self._count(self._hosts[turn.host], +1)
        self._moving.subtract(
            {g for m in turn.moves if (g := self._instances[m.instance_id].group)}
        )

    def _put(self, instance_id: str, host: str) -> None:
        instance = self._instances[instance_id]
        self._here[host].add(instance_id)
        self._free[host] -= instance.size
        if instance.group:
            self._groups[host][instance.group] += 1

    def _take(self, instance_id: str, host: str) -> None:
        instance = self._instances[instance_id]
        self._here[host].remove(instance_id)
        self._free[host] += instance.size
        if instance.group:
            self._groups[host][instance.group] -= 1

    def _count(self, host: FleetHost, sign: int) -> None:
        if not host.is_open or host.name in self._out:
            return
        free = self._free[host.name]
        zone_free = self._zone_free[host.zone]
        self._zone_free[host.zone] = zone_free + free if sign > 0 else zone_free - free


def _zones(fleet: Fleet) -> set[str]:
    return {each.zone for each in fleet.hosts}


def _reserve(fleet: Fleet, zone: str, limits: NightLimits) -> Size:
    sizes = [each.capacity for each in fleet.hosts if each.zone == zone]
    largest = Size(
        max(each.vcpus for each in sizes),
        max(each.ram_mib for each in sizes),
        max(each.disk_gib for each in sizes),
    )
    return largest.times(limits.reserve_hosts)
