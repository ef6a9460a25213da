"""The things of a cloud. RAM in MiB, disks in GiB, times in UTC."""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from simulator.cloud.timing import Handle

NOSTATE, RUNNING, PAUSED, SHUTDOWN, CRASHED, SUSPENDED = 0, 1, 3, 4, 6, 7
# Statuses of a live migration that can be aborted or forced.
IN_PROGRESS = frozenset({"queued", "preparing", "running", "post-migrating"})
OVER = frozenset({"completed", "failed", "error", "cancelled", "confirmed", "reverted", "done"})


@dataclass(slots=True, eq=False)
class Flavor:
    """Also what an instance keeps of it."""

    id: str
    number: int
    name: str
    vcpus: int
    ram_mib: int
    disk_gib: int
    ephemeral_gib: int = 0
    swap_mib: int = 0
    extra_specs: dict[str, str] = field(default_factory=dict)
    is_public: bool = True


@dataclass(slots=True, eq=False)
class Image:
    """An image of Glance."""

    id: str
    name: str
    status: str = "active"
    min_ram: int = 0
    min_disk: int = 0
    properties: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Group:
    """A server group."""

    id: str
    name: str
    policy: str
    rules: dict[str, int]
    members: list[str]
    project_id: str
    user_id: str


@dataclass(slots=True, eq=False)
class Aggregate:
    """A host aggregate; one with a zone is an availability zone."""

    id: int
    uuid: str
    name: str
    hosts: list[str]
    metadata: dict[str, str]
    created_at: datetime
    zone: str | None = None


@dataclass(slots=True, eq=False)
class Service:
    """A row of os-services. Its heartbeat is computed: see `simulator.cloud.services`."""

    id: str
    number: int
    binary: str
    host: str
    zone: str
    is_disabled: bool = False
    disabled_reason: str | None = None
    is_forced_down: bool = False
    written_at: datetime | None = None  # by enable and disable: moves the shown updated_at, too
    beats_since: datetime | None = None  # None: the process does not run
    last_beat: datetime | None = None  # of the time before


@dataclass(slots=True, eq=False)
class Agent:
    """An agent of Neutron. ``is_alive`` None: as long as its host is up."""

    id: str
    binary: str
    kind: str
    host: str
    is_enabled: bool = True
    is_alive: bool | None = None


@dataclass(slots=True, eq=False)
class Guest:
    """A guest process on a host: what is true, whatever Nova believes.

    ``state``: running, paused, or incoming (of a live migration that is under way).
    """

    instance_id: str
    host: str
    state: str
    started_at: datetime


@dataclass(slots=True, eq=False)
class Event:
    """One step of an action."""

    name: str
    host: str
    started_at: datetime
    finished_at: datetime | None = None
    result: str | None = None
    kind: str = ""
    details: str | None = None


@dataclass(slots=True, eq=False)
class Action:
    """What was asked of an instance."""

    name: str
    request_id: str
    user_id: str | None
    project_id: str | None
    started_at: datetime
    updated_at: datetime
    message: str | None = None
    events: list[Event] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Fault:
    """Shown only while the instance is in ERROR."""

    code: int
    message: str
    created_at: datetime
    details: str = ""


@dataclass(slots=True, eq=False)
class Instance:
    """A server as Nova's database has it."""

    id: str
    number: int
    name: str
    project_id: str
    user_id: str
    flavor: Flavor
    image_id: str | None
    created_at: datetime
    updated_at: datetime
    vm_state: str = "building"
    task_state: str | None = None
    power_state: int = NOSTATE
    host: str | None = None
    cell: Cell | None = None
    launched_at: datetime | None = None
    terminated_at: datetime | None = None
    is_deleted: bool = False
    is_locked: bool = False
    lock_reason: str | None = None
    image_properties: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)
    volumes: list[str] = field(default_factory=list)
    zone: str | None = None
    group: Group | None = None
    fault: Fault | None = None
    actions: list[Action] = field(default_factory=list)
    unsupported: dict[str, str] = field(default_factory=dict)  # action: why Nova refuses it
    old_flavor: Flavor | None = None
    old_vm_state: str = ""
    migration: Migration | None = None  # the last one
    timer: Handle | None = None
    orders: int = 0  # what it was told to do: a newer order makes an older one void
    former_host: str | None = None  # what a replica still says
    moved_at: datetime | None = None
    revision: int = 0
    rows: dict[int, tuple[int, str]] = field(default_factory=dict)  # JSON, by microversion

    @property
    def guest_name(self) -> str:
        """What libvirt calls its guest."""
        return f"instance-{self.number:08x}"

    @property
    def is_volume_backed(self) -> bool:
        """Whether its root disk is a volume."""
        return self.image_id is None


@dataclass(slots=True, eq=False)
class Migration:
    """A row of os-migrations. Its id counts within its cell: only the uuid is the cloud's."""

    id: int
    uuid: str
    cell: Cell
    instance: Instance
    kind: str
    status: str
    source: str
    destination: str | None
    old_flavor: Flavor
    new_flavor: Flavor
    user_id: str
    project_id: str
    created_at: datetime
    updated_at: datetime | None = None
    former_status: str = ""
    action: Action | None = None
    copied_mib: float = 0.0
    copies_disk: bool = False
    running_since: datetime | None = None
    wants_abort: bool = False
    steps: int = 0  # begun: a newer one makes an older one void
    has_switched: bool = False  # the guest runs at its destination
    timer: Handle | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes of it."""
        return self.status in OVER

    @property
    def is_live(self) -> bool:
        """Whether it is a live migration."""
        return self.kind == "live-migration"


@dataclass(slots=True, eq=False)
class ComputeHost:
    """A compute host: its node in Nova, its provider in Placement, and what really runs on it."""

    name: str
    number: int
    cell: Cell
    service: Service
    id: str  # the uuid of its compute node, and of its resource provider
    hostname: str
    ip: str
    vcpus: int
    ram_mib: int
    disk_gib: int
    cpu_ratio: float
    ram_ratio: float
    disk_ratio: float
    reserved_ram_mib: int
    is_on: bool = True
    is_cut: bool = False  # nova-compute runs, and nothing of it reaches Nova
    booted_at: datetime | None = None
    hypervisor_version: int = 8002002
    refuses_incoming: str | None = None  # what its pre-check says to any live migration
    traits: set[str] = field(default_factory=set)
    generation: int = 1
    zone: str | None = None
    instances: dict[str, Instance] = field(default_factory=dict)
    guests: dict[str, Guest] = field(default_factory=dict)
    queued: deque[Migration] = field(default_factory=deque)
    running: dict[str, Migration] = field(default_factory=dict)
    incoming: dict[str, Migration] = field(default_factory=dict)
    # Placement's sums for this provider
    used: dict[str, int] = field(default_factory=lambda: {"VCPU": 0, "MEMORY_MB": 0, "DISK_GB": 0})
    consumers: dict[str, dict[str, int]] = field(default_factory=dict)
    capacity: dict[str, int] = field(default_factory=dict)

    @property
    def is_computing(self) -> bool:
        """Whether nova-compute runs, and takes orders."""
        return self.service.beats_since is not None

    def __post_init__(self) -> None:
        self.measure()

    def measure(self) -> None:
        """What may be allocated: to be called when a size or a ratio has been changed."""
        self.capacity = {
            "VCPU": int(self.vcpus * self.cpu_ratio),
            "MEMORY_MB": int((self.ram_mib - self.reserved_ram_mib) * self.ram_ratio),
            "DISK_GB": int(self.disk_gib * self.disk_ratio),
        }


@dataclass(slots=True, eq=False)
class Cell:
    """A cell: a database, and hosts."""

    name: str
    uuid: str
    is_away: bool = False  # its database does not answer
    migration_ids: int = 0
    migrations: dict[str, Migration] = field(default_factory=dict)
    by_update: OrderedDict[str, Migration] = field(default_factory=OrderedDict)
    silent_from: datetime | None = None  # no heartbeat is written since
    last_silence: tuple[datetime, datetime] | None = None


Json = dict[str, Any]
