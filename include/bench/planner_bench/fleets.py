"""Synthetic fleets: three zones, flavors of four sizes, anti-affinity groups, 15 % free."""

from __future__ import annotations

import random

from openstack_maintenance.domain.nights.fleet import Fleet, FleetHost, FleetInstance, Size

ZONES = ("az1", "az2", "az3")
PER_HOST = 20
FREE_SHARE = 0.15
# A host of 512 GiB; disks are on shared storage. Flavors by how often they occur.
FLAVORS = {Size(2, 8192): 8, Size(4, 16384): 6, Size(8, 32768): 4, Size(16, 65536): 2}
GROUP_MEMBERS = 3
GROUPED_SHARE = 0.2


def make_fleet(hosts: int, seed: int = 1) -> Fleet:
    """So many hosts with 20 instances each on average; the same seed gives the same fleet.

    Instances are spread at random, so that some hosts hold more than others. A fifth of them are
    in anti-affinity groups of three.
    """
    dice = random.Random(seed)  # noqa: S311 - a simulation, no secret
    mean = sum((size.ram_mib * n for size, n in FLAVORS.items())) / sum(FLAVORS.values())
    capacity = Size(
        round(
            sum(size.vcpus * n for size, n in FLAVORS.items()) / 20 * PER_HOST / (1 - FREE_SHARE)
        ),
        round(mean * PER_HOST / (1 - FREE_SHARE)),
    )
    names = [f"n{number:05}" for number in range(hosts)]
    zone_of = {name: ZONES[index % len(ZONES)] for index, name in enumerate(names)}
    free = dict.fromkeys(names, capacity)
    groups: dict[str, set[str]] = {name: set() for name in names}
    instances = []
    for zone in ZONES:
        members = [name for name in names if zone_of[name] == zone]
        sizes = dice.choices(list(FLAVORS), list(FLAVORS.values()), k=PER_HOST * len(members))
        for number, size in enumerate(sorted(sizes, key=lambda each: -each.ram_mib)):
            is_grouped = dice.random() < GROUPED_SHARE
            group = f"{zone}-g{number // GROUP_MEMBERS}" if is_grouped else None
            host = _pick(dice, members, free, groups, size, group)
            if host is None:
                continue  # a crumb that fits nowhere any more
            free[host] -= size
            if group:
                groups[host].add(group)
            instances.append(FleetInstance(f"{zone}-i{number:06}", host, size, group=group))
    return Fleet(
        tuple(FleetHost(name, zone_of[name], capacity) for name in names), tuple(instances)
    )


def _pick(
    dice: random.Random,
    members: list[str],
    free: dict[str, Size],
    groups: dict[str, set[str]],
    size: Size,
    group: str | None,
) -> str | None:
    for _ in range(200):
        host = dice.choice(members)
        if free[host].holds(size) and group not in groups[host]:
            return host
    return None
