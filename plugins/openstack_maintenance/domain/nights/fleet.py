"""The fleet as a night sees it: hosts with their capacity, instances with their needs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Size:
    """What Placement counts: VCPU, MEMORY_MB, DISK_GB (0 where the disk is on shared storage)."""

    vcpus: int = 0
    ram_mib: int = 0
    disk_gib: int = 0

    def __add__(self, other: Size) -> Size:
        return Size(
            self.vcpus + other.vcpus, self.ram_mib + other.ram_mib, self.disk_gib + other.disk_gib
        )

    def __sub__(self, other: Size) -> Size:
        return Size(
            self.vcpus - other.vcpus, self.ram_mib - other.ram_mib, self.disk_gib - other.disk_gib
        )

    def times(self, count: int) -> Size:
        """So many of it."""
        return Size(self.vcpus * count, self.ram_mib * count, self.disk_gib * count)

    def holds(self, other: Size) -> bool:
        """Whether the other fits into this."""
        return (
            self.ram_mib >= other.ram_mib
            and self.vcpus >= other.vcpus
            and self.disk_gib >= other.disk_gib
        )


@dataclass(frozen=True, slots=True)
class FleetHost:
    """A nova-compute host.

    ``capacity``: what may be allocated on it, ratios and reservations applied. ``provides``: the
    demands of the fleet's instances that it meets (see `requirements`). ``is_due``: is to be
    maintained. ``is_open``: enabled and up, so that instances may come. ``keeps_out``: why it
    must not be touched, for people. ``left_for``: how long ago a night first left it, while it was
    due; 0 where none has.
    """

    name: str
    zone: str
    capacity: Size
    is_due: bool = True
    is_open: bool = True
    provides: frozenset[str] = frozenset()
    keeps_out: str | None = None
    left_for: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class FleetInstance:
    """An instance on a host of the fleet.

    ``requires``: what its flavor demands, and a destination must provide. ``group``: the id of its
    server group with the policy anti-affinity, if it is in one.
    """

    id: str
    host: str
    size: Size
    requires: frozenset[str] = frozenset()
    group: str | None = None


@dataclass(frozen=True)
class Fleet:
    """All hosts and all instances, at one moment. Instances stay within their host's zone."""

    hosts: tuple[FleetHost, ...]
    instances: tuple[FleetInstance, ...]
