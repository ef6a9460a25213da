"""Clouds to begin a story with."""

from __future__ import annotations

from dataclasses import dataclass

from simulator.cloud.cloud import Cloud
from simulator.cloud.model import (
    Agent,
    Aggregate,
    Cell,
    ComputeHost,
    Flavor,
    Group,
    Image,
    Instance,
    Service,
)

CONTROLLERS = ("ctl01",)
_TRAITS = ("COMPUTE_NODE", "COMPUTE_NET_ATTACH_INTERFACE", "HW_CPU_X86_SSE2", "HW_CPU_X86_AVX2")
_AGENTS = (("neutron-openvswitch-agent", "Open vSwitch agent"),)


@dataclass(frozen=True)
class HostSize:
    """What a host has, and how much of it is allocated at most."""

    vcpus: int = 64
    ram_mib: int = 262_144
    disk_gib: int = 4000
    cpu_ratio: float = 4.0
    ram_ratio: float = 1.0
    disk_ratio: float = 1.0
    reserved_ram_mib: int = 512


def new_fleet(
    cloud: Cloud, hosts: int = 4, per_host: int = 5, cells: int = 1, size: HostSize | None = None
) -> None:
    """Controllers, hosts c01, c02, ..., and instances vm-c01-01, ... of flavor small on each."""
    add_controllers(cloud)
    add_image(cloud, "cirros")
    flavor = add_flavor(cloud, "small", 1, 512, 1)
    names = [f"cell{number + 1}" for number in range(cells)]
    digits = max(2, len(str(hosts)))
    for number in range(hosts):
        cell = add_cell(cloud, names[number % cells])
        host = add_host(cloud, f"c{number + 1:0{digits}}", cell, size)
        for count in range(per_host):
            add_instance(cloud, f"vm-{host.name}-{count + 1:02}", host.name, flavor)


def add_controllers(cloud: Cloud, names: tuple[str, ...] = CONTROLLERS) -> None:
    """The control plane's own services."""
    for name in names:
        for binary in ("nova-scheduler", "nova-conductor"):
            cloud.services.begin_beats(_add_service(cloud, binary, name, "internal"))


def add_cell(cloud: Cloud, name: str) -> Cell:
    """A cell, or the one of that name."""
    state = cloud.state
    if name not in state.cells:
        state.cells[name] = Cell(name, state.new_id())
    return state.cells[name]


def add_host(
    cloud: Cloud,
    name: str,
    cell: Cell | None = None,
    size: HostSize | None = None,
    *,
    domain: str = "",
    zone: str | None = None,
) -> ComputeHost:
    """A compute host that runs. ``domain``: its node's name is then not its host's alone."""
    state, size = cloud.state, size or HostSize()
    number = len(state.hosts) + 1
    service = _add_service(cloud, "nova-compute", name, zone or "nova")
    host = ComputeHost(
        name=name,
        number=number,
        cell=cell or add_cell(cloud, "cell1"),
        service=service,
        id=state.new_id(),
        hostname=name + domain,
        ip=f"10.{number // 62500 % 250}.{number // 250 % 250}.{number % 250 + 1}",
        vcpus=size.vcpus,
        ram_mib=size.ram_mib,
        disk_gib=size.disk_gib,
        cpu_ratio=size.cpu_ratio,
        ram_ratio=size.ram_ratio,
        disk_ratio=size.disk_ratio,
        reserved_ram_mib=size.reserved_ram_mib,
        booted_at=state.clock.now(),
        hypervisor_version=state.settings.hypervisor_version,
        traits=set(_TRAITS),
        zone=zone,
    )
    state.hosts[name] = state.hosts_by_id[host.id] = host
    cloud.services.begin_beats(service)
    for binary, kind in _AGENTS:
        agent = Agent(state.new_id(), binary, kind, name)
        state.agents[agent.id] = agent
    return host


def _add_service(cloud: Cloud, binary: str, host: str, zone: str) -> Service:
    state = cloud.state
    service = Service(state.new_id(), len(state.services) + 1, binary, host, zone)
    state.services[service.id] = service
    return service


def add_flavor(
    cloud: Cloud,
    name: str,
    vcpus: int,
    ram_mib: int,
    disk_gib: int,
    extra_specs: dict[str, str] | None = None,
    *,
    ephemeral_gib: int = 0,
    swap_mib: int = 0,
    is_public: bool = True,
) -> Flavor:
    """A flavor."""
    state = cloud.state
    flavor = Flavor(
        id=state.new_id(),
        number=len(state.flavors) + 1,
        name=name,
        vcpus=vcpus,
        ram_mib=ram_mib,
        disk_gib=disk_gib,
        ephemeral_gib=ephemeral_gib,
        swap_mib=swap_mib,
        extra_specs=dict(extra_specs or {}),
        is_public=is_public,
    )
    state.flavors[flavor.id] = flavor
    return flavor


def add_image(cloud: Cloud, name: str, **properties: str) -> Image:
    """An image that instances boot from."""
    image = Image(cloud.state.new_id(), name, properties=properties)
    cloud.state.images[image.id] = image
    return image


def add_group(cloud: Cloud, name: str, policy: str, **rules: int) -> Group:
    """A server group; instances become members when they are made."""
    state = cloud.state
    group = Group(state.new_id(), name, policy, rules, [], "demo", "user-of-demo")
    state.groups[group.id] = group
    return group


def add_aggregate(
    cloud: Cloud,
    name: str,
    hosts: list[str],
    metadata: dict[str, str] | None = None,
    zone: str | None = None,
) -> Aggregate:
    """A host aggregate; with a zone, its hosts are in it from now on."""
    state = cloud.state
    number = len(state.aggregates) + 1
    known = dict(metadata or {})
    if zone:
        known["availability_zone"] = zone
    aggregate = Aggregate(number, state.new_id(), name, hosts, known, state.now(), zone)
    state.aggregates[number] = aggregate
    if zone:
        for host in hosts:
            state.hosts[host].zone = zone
            state.hosts[host].service.zone = zone
    return aggregate


def add_instance(
    cloud: Cloud,
    name: str,
    host: str,
    flavor: Flavor | None = None,
    *,
    is_running: bool = True,
    has_volume: bool = False,
    group: Group | None = None,
    project: str = "demo",
) -> Instance:
    """An instance that has been on a host since before the story."""
    state = cloud.state
    image = None if has_volume else next(iter(state.images.values()))
    flavor = flavor or next(iter(state.flavors.values()))
    instance = cloud.builds.new(name, flavor, image, project, group=group)
    return cloud.builds.add(instance, host, is_running=is_running)
