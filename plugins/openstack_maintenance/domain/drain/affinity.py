"""Hard affinity groups: members that are together on a host cannot leave it. And hard anti-affinity
groups, where a destination is named.

Nova migrates instances one by one, and its scheduler lets a member go only where the others are.
Source: ServerGroupAffinityFilter, which the default enabled_filters have.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from openstack_maintenance.domain.blocker import Blocker
from openstack_maintenance.domain.cloud import Instance


@dataclass(frozen=True)
class AffinityGroup:
    """A server group with the policy affinity; ``members`` are the ids of its instances."""

    id: str
    name: str
    members: frozenset[str]


def affinity_blockers(
    instances: Iterable[Instance], moving: Iterable[Instance], groups: Iterable[AffinityGroup]
) -> list[Blocker]:
    """The groups that keep instances on their host. ``instances``: all that are there.

    A group with a member on another host keeps nobody: the others may follow it.
    """
    there = {each.id: each for each in instances}
    wanted = {each.id for each in moving}
    return [
        _blocker(group, [there[each] for each in sorted(group.members)])
        for group in groups
        if len(group.members) > 1 and group.members <= there.keys() and group.members & wanted
    ]


def apart_blockers(
    moving: Iterable[Instance],
    there: Iterable[Instance],
    destination: str,
    groups: Mapping[str, str],
) -> list[Blocker]:
    """Who can never go to the destination that is named. ``there``: the instances on it.

    ``groups``: the anti-affinity group of each instance that allows no other member on its host.
    """
    held = {groups[each.id]: each for each in there if each.id in groups}
    return [
        Blocker(
            f"instance {each.label}",
            f"cannot go to {destination}: {held[groups[each.id]].label} of its anti-affinity group "
            "is there",
            "Name another destination, or leave it empty. If this cloud's scheduler does not use "
            "ServerGroupAntiAffinityFilter, write affinity_filter: false into the policy.",
        )
        for each in moving
        if groups.get(each.id) in held
    ]


def _blocker(group: AffinityGroup, members: Sequence[Instance]) -> Blocker:
    who = "neither can leave without the other"
    if len(members) > 2:
        who = "none can leave without the others"
    return Blocker(
        f"instances {', '.join(each.label for each in members)}",
        f"are in the hard affinity group {group.name}: {who}",
        "With their owner's consent, shelve all but one of them until the host is back "
        f"(`openstack server shelve --offload {members[0].id}`). If this cloud's scheduler does "
        "not use ServerGroupAffinityFilter, write affinity_filter: false into the policy.",
    )
