"""Which of the hosts that wait for their turn are closed for new instances meanwhile."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from openstack_maintenance.domain.nights.fleet import Fleet
from openstack_maintenance.domain.nights.plan import rooms_of


def hosts_to_close(
    fleet: Fleet, waiting: Sequence[str], turn: str, out: Collection[str], reserve_hosts: int
) -> frozenset[str]:
    """The waiting hosts that can do without new instances while ``turn`` is maintained.

    An instance that comes to a waiting host has to leave it the same night. But what stays open
    must hold the instances of ``turn`` and of those that are ``out``, and keep the capacity of
    ``reserve_hosts`` free in each zone: that comes first. ``waiting`` is in the order of the plan;
    who waits longest is closed first. ``fleet``: every waiting host as if it were open.
    """
    closed: set[str] = set()
    for room in rooms_of(fleet, reserve_hosts).values():
        for place in room.places.values():
            if place.host.name in out:
                room.expect(place)
        if turn in room.places:
            room.leave(room.places[turn])
        for name in reversed(waiting):
            candidate = room.places.get(name)
            if candidate is None or name == turn or not candidate.host.is_open:
                continue
            if (room.free - candidate.free).holds(room.reserve):
                room.free -= candidate.free
                closed.add(name)
    return frozenset(closed)


def without(fleet: Fleet, closed: Collection[str]) -> Fleet:
    """The fleet, with no new instances on these hosts."""
    hosts = (replace(h, is_open=False) if h.name in closed else h for h in fleet.hosts)
    return replace(fleet, hosts=tuple(hosts))
