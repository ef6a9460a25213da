"""What Nova says: services, hypervisors, instances and migrations, as plain facts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from openstack_maintenance.domain.mark import Mark, find_mark

# Nova's power_state numbers (nova/compute/power_state.py).
NOSTATE, RUNNING, PAUSED, SHUTDOWN, CRASHED, SUSPENDED = 0, 1, 3, 4, 6, 7
POWER_NAMES = {
    NOSTATE: "NOSTATE",
    RUNNING: "RUNNING",
    PAUSED: "PAUSED",
    SHUTDOWN: "SHUTDOWN",
    CRASHED: "CRASHED",
    SUSPENDED: "SUSPENDED",
}

# Statuses of a migration that still occupies hosts (live and cold together).
MOVING = frozenset(
    {"accepted", "queued", "preparing", "running", "pre-migrating", "migrating", "post-migrating"}
)
# Of a live migration: nothing is copied yet.
_BEFORE_COPY = frozenset({"accepted", "queued", "preparing"})
_LEFT_ITS_HOST = frozenset({"completed", "finished", "confirming", "confirmed"})
FAILED = frozenset({"failed", "error", "cancelled"})


@dataclass(frozen=True)
class ComputeService:
    """One row of Nova's service list."""

    id: str
    binary: str
    host: str
    zone: str
    is_enabled: bool
    is_up: bool
    is_forced_down: bool
    disabled_reason: str | None
    updated_at: datetime | None
    # Its cell does not answer: nothing else that is said of it is known.
    is_unknown: bool = False

    @property
    def mark(self) -> Mark | None:
        """Our ownership mark, if the service is disabled and carries one."""
        return None if self.is_enabled else find_mark(self.disabled_reason)

    @property
    def is_closed(self) -> bool:
        """Whether a night has closed it for new instances until its turn: it is not out."""
        return self.mark is not None and self.mark.is_closed

    @property
    def out_by(self) -> Mark | None:
        """The mark of the run that has taken it out, if one of ours has."""
        return None if self.is_closed else self.mark


# The trait of a host that Placement offers nobody: its nova-compute was disabled.
SHUT = "COMPUTE_STATUS_DISABLED"
# The hypervisor_type of a bare-metal node.
IRONIC = "ironic"


@dataclass(frozen=True)
class Hypervisor:
    """The os-hypervisors record that belongs to a compute host."""

    id: str
    hostname: str
    host: str
    host_ip: str
    hypervisor_type: str


@dataclass(frozen=True)
class Instance:
    """A Nova server, as far as moving it is concerned. RAM and swap in MiB, disks in GiB."""

    id: str
    name: str
    host: str | None
    status: str
    vm_state: str
    task_state: str | None
    power_state: int
    ram_mib: int
    disk_gib: int
    is_launched: bool
    extra_specs: Mapping[str, str] = field(default_factory=dict)
    image_properties: Mapping[str, str] = field(default_factory=dict)
    fault: str | None = None
    vcpus: int = 0
    guest_name: str = ""  # libvirt's name of its guest
    is_volume_backed: bool = False
    ephemeral_gib: int = 0
    swap_mib: int = 0

    @property
    def local_gib(self) -> int:
        """Its disks on the host: what Placement counts, and a block migration copies."""
        root = 0 if self.is_volume_backed else self.disk_gib
        return root + self.ephemeral_gib + math.ceil(self.swap_mib / 1024)

    @property
    def may_be_running(self) -> bool:
        """Whether a guest runs, or may run: what Nova cannot say counts as running."""
        if self.power_state == NOSTATE:
            return self.is_launched and self.vm_state not in {"stopped", "shelved"}
        return self.power_state not in {SHUTDOWN, CRASHED, SUSPENDED}

    @property
    def label(self) -> str:
        """Name and id, for people."""
        return f"{self.name} ({self.id})"


@dataclass(frozen=True)
class Migration:
    """One row of Nova's migration list. Times in UTC."""

    id: int
    uuid: str
    instance_id: str
    kind: str
    status: str
    source: str
    destination: str | None
    created_at: datetime
    updated_at: datetime

    @property
    def is_moving(self) -> bool:
        """Whether it still occupies its hosts."""
        return self.status in MOVING

    @property
    def is_live(self) -> bool:
        """Whether it is a live migration (else cold, resize or evacuation)."""
        return self.kind == "live-migration"

    @property
    def is_before_copy(self) -> bool:
        """Whether it is a live migration of which nothing is copied: its guest is at its source."""
        return self.is_live and self.status in _BEFORE_COPY


def is_superseded(row: Migration, rows: Iterable[Migration]) -> bool:
    """Whether its instance has left the source by a later migration: nothing comes of this one.

    A nova-compute that is killed leaves such a record for ever (`domain.drain.left_behind`).
    """
    return row.is_before_copy and any(
        each.id > row.id and each.source == row.source and each.status in _LEFT_ITS_HOST
        for each in rows
        if each.instance_id == row.instance_id
    )


def incoming(migrations: Iterable[Migration], host: str) -> list[Migration]:
    """Migrations from elsewhere that are still on their way to a host."""
    rows = list(migrations)
    coming = [each for each in rows if each.is_moving and each.destination == host != each.source]
    return [each for each in coming if not is_superseded(each, rows)]


def instance_facts(instance: Instance) -> dict[str, Any]:
    """An instance as plain JSON, for XCom and the record. RAM in MiB, disk in GiB."""
    return {
        "id": instance.id,
        "name": instance.name,
        "status": instance.status,
        "vm_state": instance.vm_state,
        "power_state": instance.power_state,
        "ram_mib": instance.ram_mib,
        "disk_gib": instance.disk_gib,
        "local_gib": instance.local_gib,
        "was_running": instance.may_be_running,
    }
