"""A story is plain JSON: a fleet, a policy, what is asked of the plugin, and what happens.

    {"seed": 7, "start": "2026-03-10T00:55:00+00:00",
     "fleet": {"deployment": "debian", "controllers": ["ctl01"], "hosts": [{"name": "c01"}],
               "groups": [{"name": "g1", "policy": "anti-affinity"}],
               "instances": [{"name": "vm1", "host": "c01", "state": "active"}]},
     "policy": {}, "cloud": {}, "airflow": {},
     "requests": [{"at": 0, "do": "host", "host": "c01"}],
     "events": [{"at": 12, "do": "conductor_away", "for": 30},
                {"when": "task reboot running", "do": "kill_worker"}]}

What requests and events can be is in `simulator.asked` and `simulator.events`.
"""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from simulator.airflow import Settings as AirflowSettings
from simulator.clock import START, VirtualTime
from simulator.cloud import Cloud
from simulator.cloud import Settings as CloudSettings
from simulator.cloud import fleet as fleets
from simulator.cloud.model import Flavor, Instance
from simulator.hosts.nova_compute import NovaComputeHabits
from simulator.hosts.state import Unit
from simulator.whole_world import Setup, WholeWorld
from simulator.world import Kind

Json = dict[str, Any]
_STATES = {
    "active": ("active", 1),
    "paused": ("paused", 3),
    "stopped": ("stopped", 4),
    "suspended": ("suspended", 4),
    "error": ("error", 1),
}


@dataclass
class Story:
    """See the module. ``must``: of a named story, what is true at its end (`simulator.must`)."""

    seed: int = 0
    title: str = ""
    start: str = START.isoformat()
    fleet: Json = field(default_factory=dict)
    policy: Json = field(default_factory=dict)
    cloud: Json = field(default_factory=dict)
    airflow: Json = field(default_factory=dict)
    requests: list[Json] = field(default_factory=list)
    events: list[Json] = field(default_factory=list)
    must: Json = field(default_factory=dict)

    @classmethod
    def of(cls, known: Json) -> Story:
        """Raises: ValueError: a key that no story has."""
        if strange := set(known) - {each.name for each in fields(cls)}:
            raise ValueError(f"no story has {', '.join(sorted(strange))}")
        return cls(**copy.deepcopy(known))

    @classmethod
    def read(cls, path: Path) -> Story:
        """A story of a file."""
        return cls.of(json.loads(path.read_text()))

    def as_json(self) -> Json:
        """What `of` takes; nothing that is empty."""
        found = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: copy.deepcopy(value) for name, value in found.items() if value}

    def __str__(self) -> str:
        return json.dumps(self.as_json())

    @property
    def hosts(self) -> list[str]:
        """The compute hosts' names."""
        return [each["name"] for each in self.fleet["hosts"]]


def build(story: Story, folder: Path) -> WholeWorld:
    """The world that a story begins in."""
    clock = VirtualTime(datetime.fromisoformat(story.start))
    settings = CloudSettings(seed=story.seed, **_listed(story.cloud))
    cloud = Cloud(clock, settings)
    _fill(cloud, story.fleet)
    controllers = tuple(story.fleet.get("controllers", ["ctl01"]))
    setup = Setup(
        seed=story.seed,
        policy=story.policy,
        kind=_kind(story.fleet),
        airflow=AirflowSettings(**story.airflow),
        controllers=controllers,
    )
    world = WholeWorld(folder, cloud, clock, setup)
    for each in story.fleet["hosts"]:
        _set_up(world, each)
    return world


def _set_up(world: WholeWorld, given: Json) -> None:
    """What is strange about a host: ``stray_guests``, ``forced_down``, ``left_over_unit``."""
    machine, name = world.hosts.machines[given["name"]], given["name"]
    machine.stray_guests += given.get("stray_guests", [])
    if given.get("forced_down"):
        world.cloud.state.hosts[name].service.is_forced_down = True
    if unit := given.get("left_over_unit"):
        machine.state.units[unit] = Unit(unit)


def _kind(fleet: Json) -> Kind:
    """``logs_connections``: nova-compute logs each connection to the broker."""
    habits = NovaComputeHabits(logs_connections=bool(fleet.get("logs_connections")))
    has_unit = not fleet.get("in_containers")
    return Kind(fleet.get("deployment", "debian"), has_unit=has_unit, nova_compute=habits)


def _listed(settings: Json) -> Json:
    return {key: set(value) if key == "denied" else value for key, value in settings.items()}


def _fill(cloud: Cloud, fleet: Json) -> None:
    fleets.add_controllers(cloud, tuple(fleet.get("controllers", ["ctl01"])))
    fleets.add_image(cloud, "cirros")
    for each in fleet["hosts"]:
        _add_host(cloud, each)
    zones: dict[str, list[str]] = {}
    for each in fleet["hosts"]:
        if each.get("zone"):
            zones.setdefault(each["zone"], []).append(each["name"])
    for zone, hosts in zones.items():
        fleets.add_aggregate(cloud, f"aggregate-{zone}", hosts, zone=zone)
    for each in fleet.get("groups", []):
        fleets.add_group(cloud, each["name"], each["policy"])
    for each in fleet.get("instances", []):
        _add_instance(cloud, each)


def _add_host(cloud: Cloud, given: Json) -> None:
    cell = fleets.add_cell(cloud, given.get("cell", "cell1"))
    size = fleets.HostSize(
        vcpus=given.get("vcpus", 64), ram_mib=given.get("ram_mib", 65_536), disk_gib=2000
    )
    host = fleets.add_host(cloud, given["name"], cell, size)
    if given.get("disabled"):
        cloud.services.update(host.service, "disabled", given["disabled"], who="another admin")


def flavor_of(cloud: Cloud, ram_mib: int, disk_gib: int = 1, specs: Json | None = None) -> Flavor:
    """A flavor of this size; made where there is none yet."""
    name = f"m{ram_mib}-{disk_gib}" + ("-" + "-".join(specs) if specs else "")
    found = (each for each in cloud.state.flavors.values() if each.name == name)
    return next(found, None) or fleets.add_flavor(cloud, name, 1, ram_mib, disk_gib, specs)


def _add_instance(cloud: Cloud, given: Json) -> None:
    state = cloud.state
    named = {group.name: group for group in state.groups.values()}
    flavor = flavor_of(
        cloud, given.get("ram_mib", 1024), given.get("disk_gib", 1), given.get("specs")
    )
    kind = given.get("state", "active")
    instance = fleets.add_instance(
        cloud,
        given["name"],
        given["host"],
        flavor,
        is_running=kind in ("active", "paused", "error"),
        has_volume=bool(given.get("volume")),
        group=named.get(given.get("group", "")),
    )
    _bring_to(cloud, instance, kind)


def _bring_to(cloud: Cloud, instance: Instance, kind: str) -> None:
    vm_state, power = _STATES[kind]
    cloud.state.update(instance, vm_state=vm_state, power_state=power)
    guest = cloud.state.guest_of(instance.id)
    if kind == "paused" and guest is not None:
        guest.state = "paused"
    if kind == "error":
        cloud.state.blame(instance, "Something that was before the story.")
