"""The plan of a night: in which order hosts go out, and where their instances go meanwhile.

A zone's emptiest host goes first. Its instances must go to hosts that are still to be done, and
so move twice; from then on each host's instances go to hosts that are finished, and move once.
The plan is made again from the fleet as it is whenever reality deviates; Nova has the last word.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from heapq import heappop, heappush

from openstack_maintenance.domain.nights.fleet import Fleet, FleetInstance
from openstack_maintenance.domain.nights.room import Place, Room

# While others are out, so many hosts that cannot start now are passed over in search of one.
_GLANCES = 64
_LEFT_FOR_LONG = timedelta(days=7)


@dataclass(frozen=True)
class NightPace:
    """How long things take: the basis of every predicted end.

    ``per_host``: everything but the moves. ``in_flight``: migrations off one host at a time.
    ``learnt_from``: how many earlier runs say so; 0 where it is assumed.
    """

    per_host: timedelta = timedelta(minutes=5)
    per_move: timedelta = timedelta(seconds=10)
    per_gib: timedelta = timedelta(seconds=5)
    in_flight: int = 1
    learnt_from: int = field(default=0, compare=False)

    def maintenance(self, instances: int, ram_mib: int) -> timedelta:
        """How long a host with so many instances of so much RAM in all is out."""
        moves = self.per_move * instances + self.per_gib * (ram_mib / 1024)
        return self.per_host + moves / self.in_flight


@dataclass(frozen=True)
class NightLimits:
    """What a night must keep to. ``time``: what is left of the window; None for no end."""

    hosts_out: int = 1
    reserve_hosts: int = 1
    time: timedelta | None = None


@dataclass(frozen=True, slots=True)
class PlannedMove:
    """An instance and the host that the plan sends it to."""

    instance_id: str
    to: str


@dataclass(frozen=True)
class PlannedHost:
    """A host's turn: from when to when it is out, counted from the beginning of the night."""

    host: str
    zone: str
    starts: timedelta
    ends: timedelta
    moves: tuple[PlannedMove, ...]


@dataclass(frozen=True)
class LeftOver:
    """A due host that this night does not do, and why."""

    host: str
    reason: str


@dataclass(frozen=True)
class NightPlan:
    """Which hosts go when, and which do not. ``instances``: on the hosts to be done, at first.

    ``pace``: by which the ends are predicted.
    """

    hosts: tuple[PlannedHost, ...]
    left: tuple[LeftOver, ...]
    instances: int
    pace: NightPace = field(default_factory=NightPace)

    @property
    def migrations(self) -> int:
        """How many there will be. None could be spared below ``instances``: each moves once."""
        return sum(len(each.moves) for each in self.hosts)

    @property
    def makespan(self) -> timedelta:
        """When the last host is back."""
        return max((each.ends for each in self.hosts), default=timedelta(0))


class NoTurn(Exception):
    """A host cannot start now. ``reason``: why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def plan_night(fleet: Fleet, limits: NightLimits, pace: NightPace) -> NightPlan:
    """Plan a night for all due hosts. The same fleet always gives the same plan."""
    return _Night(fleet, limits, pace).plan()


def plan_turn(
    fleet: Fleet, host: str, out: Collection[str], limits: NightLimits, pace: NightPace
) -> PlannedHost:
    """Plan the turn of one due host again, from the fleet as it is.

    ``out``: hosts that are out at this moment; what is still on them will need room, too.
    Raises: NoTurn: it cannot start now.
    """
    return _Night(fleet, limits, pace).turn(host, out)


class _Night:
    """The night as it will go, played from one host's return to the next."""

    def __init__(self, fleet: Fleet, limits: NightLimits, pace: NightPace) -> None:
        self._limits, self._pace = limits, pace
        self._left = [
            LeftOver(each.name, each.keeps_out)
            for each in fleet.hosts
            if each.is_due and each.keeps_out
        ]
        self._rooms = rooms_of(fleet, limits.reserve_hosts)
        self._due = {zone: _due(room) for zone, room in sorted(self._rooms.items())}
        self._instances = sum(len(p.instances) for due in self._due.values() for p in due)
        self._hosts: list[PlannedHost] = []
        self._out: list[tuple[timedelta, str, str, frozenset[str]]] = []
        self._groups_out: Counter[str] = Counter()
        self._now = timedelta(0)

    def plan(self) -> NightPlan:
        while any(self._due.values()):
            if len(self._out) < self._limits.hosts_out and self._start_one():
                continue
            if not self._out:
                self._give_up()
                break
            self._give_back_next()
        return NightPlan(tuple(self._hosts), tuple(self._left), self._instances, self._pace)

    def turn(self, host: str, out: Collection[str]) -> PlannedHost:
        for room in self._rooms.values():
            for place in room.places.values():
                if place.host.name in out:
                    room.expect(place)
                    self._groups_out.update(place.groups)
        for zone, due in self._due.items():
            for place in due:
                if place.host.name == host:
                    if reason := self._start(zone, place):
                        raise NoTurn(reason)
                    return self._hosts[-1]
        kept_out = {each.host: each.reason for each in self._left}
        raise NoTurn(kept_out.get(host, "it is not due any more"))

    def _start_one(self) -> bool:
        """Start the first host that can go out now, in the zone with the most to do."""
        for zone in sorted(self._due, key=lambda zone: (-len(self._due[zone]), zone)):
            for place in self._candidates(zone):
                if self._start(zone, place) is None:
                    return True
        return False

    def _candidates(self, zone: str) -> Iterator[Place]:
        due = self._due[zone]
        return iter(due[:_GLANCES] if self._out else list(due))

    def _start(self, zone: str, place: Place) -> str | None:
        """Send a host out; returns why it cannot go now."""
        room, host = self._rooms[zone], place.host.name
        ends = self._now + self._pace.maintenance(len(place.instances), place.load.ram_mib)
        if self._limits.time is not None and ends > self._limits.time:
            self._leave(zone, place, f"would be back after {_told(ends)}, beyond the window's end")
            return "no time"
        if group_on_the_move(place, self._groups_out):
            return "another member of a server group of its instances is being migrated"
        if not room.keeps_reserve_without(place):
            return _no_reserve(self._limits.reserve_hosts)
        groups = frozenset(place.groups)
        moves = room.empty(place)
        if isinstance(moves, FleetInstance):
            return f"instance {moves.id} fits on no other host of its zone"
        self._due[zone].remove(place)
        self._groups_out.update(groups)
        heappush(self._out, (ends, host, zone, groups))
        planned = tuple(PlannedMove(instance.id, to.host.name) for instance, to in moves)
        self._hosts.append(PlannedHost(host, zone, self._now, ends, planned))
        return None

    def _give_back_next(self) -> None:
        self._now, host, zone, groups = heappop(self._out)
        self._groups_out.subtract(groups)
        room = self._rooms[zone]
        room.give_back(room.places[host])

    def _give_up(self) -> None:
        """Nobody is out, so what cannot start now never can."""
        for zone, due in self._due.items():
            for place in list(due):
                if reason := self._start(zone, place):
                    self._leave(zone, place, reason)

    def _leave(self, zone: str, place: Place, reason: str) -> None:
        if place in self._due[zone]:
            self._due[zone].remove(place)
            self._left.append(LeftOver(place.host.name, reason))


def group_on_the_move(place: Place, groups_out: Mapping[str, int]) -> bool:
    """Whether a host that is out holds a member of a server group that this one holds, too."""
    return any(groups_out.get(group, 0) for group in place.groups)


def rooms_of(fleet: Fleet, reserve_hosts: int) -> Mapping[str, Room]:
    """Each zone's hosts with what is on them, by zone."""
    on_host: dict[str, list[FleetInstance]] = defaultdict(list)
    for instance in fleet.instances:
        on_host[instance.host].append(instance)
    places: dict[str, list[Place]] = defaultdict(list)
    for host in fleet.hosts:
        places[host.zone].append(Place(host, on_host[host.name]))
    return {zone: Room(of_zone, reserve_hosts) for zone, of_zone in places.items()}


def _due(room: Room) -> list[Place]:
    """The hosts of a zone in the order in which they want to go: who has been left longest first.

    Of those that are equal the emptiest: it costs least, and is where the next one's instances go.
    Where finished hosts have no room for the first one's instances these move twice; then the
    emptiest of all opens the zone, whoever it is, as with any other 1+1/n moves for each would
    not be kept. Only for who has been left for long nobody does: else the fullest, where no night
    has time for a second host, would never have its turn.
    """
    due = [each for each in room.places.values() if each.host.is_due and not each.host.keeps_out]
    due.sort(key=lambda each: (len(each.instances), each.load.ram_mib, each.host.name))
    order = sorted(due, key=lambda each: -each.host.left_for)
    finished = (each for each in room.places.values() if each.host.is_open and not each.host.is_due)
    is_patient = bool(order) and order[0].host.left_for < _LEFT_FOR_LONG
    if is_patient and order[0].load.ram_mib > sum(each.free.ram_mib for each in finished):
        order.remove(due[0])
        order.insert(0, due[0])
    return order


def _no_reserve(reserve_hosts: int) -> str:
    if not reserve_hosts:
        return "its instances have no room on the other hosts of its zone"
    return f"its zone would keep less than {reserve_hosts} hosts' capacity free (reserve_hosts)"


def _told(length: timedelta) -> str:
    minutes = round(length.total_seconds() / 60)
    return f"{minutes} min"
