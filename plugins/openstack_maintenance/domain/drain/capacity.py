"""Is there room elsewhere for what must move? Only certain answers become blockers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from openstack_maintenance.domain.blocker import Blocker
from openstack_maintenance.domain.cloud import Instance

# Flavors with these ask Placement for something else than plain VCPU, MEMORY_MB and DISK_GB.
_OTHER_RESOURCES = ("resources", "hw:cpu_policy", "hw:cpu_dedicated_mask", "hw:mem_page_size")


@dataclass(frozen=True)
class Need:
    """What an instance takes up on a host. RAM in MiB, disk in GiB."""

    vcpus: int
    ram_mib: int
    disk_gib: int

    def __str__(self) -> str:
        return f"{self.vcpus} VCPU, {self.ram_mib} MiB RAM, {self.disk_gib} GiB disk"


def need_of(instance: Instance) -> Need | None:
    """What Placement must find for an instance; None where only Nova can tell."""
    if any(key.startswith(_OTHER_RESOURCES) for key in instance.extra_specs):
        return None
    return Need(instance.vcpus, instance.ram_mib, instance.local_gib)


def check_room(
    instances: Iterable[Instance],
    room: Mapping[Need, frozenset[str]],
    source: str,
    destination: str | None,
) -> list[Blocker]:
    """Instances that no other host has room for, each by itself.

    ``room``: for each need the ids of the providers (hypervisors) that have it, those of
    disabled hosts left out. ``source`` and ``destination``: ids of hypervisors. That all
    instances fit at once is not claimed: Nova's scheduler decides as each one moves.
    """
    blockers = []
    for instance in instances:
        need = need_of(instance)
        if need is None:
            continue
        usable = room[need] - {source}
        if destination is not None:
            usable &= {destination}
        if not usable:
            where = "the destination has no room" if destination else "no other host has room"
            blockers.append(
                Blocker(
                    f"instance {instance.label}",
                    f"{where} for it ({need})",
                    "Free capacity, enable another host, or name another destination.",
                )
            )
    return blockers
