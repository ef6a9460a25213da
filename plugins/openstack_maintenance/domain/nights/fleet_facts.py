"""The fleet, composed from what Nova and Placement say."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from openstack_maintenance.domain.blocker import Blocker
from openstack_maintenance.domain.cloud import ComputeService, Instance
from openstack_maintenance.domain.drain.affinity import AffinityGroup, affinity_blockers
from openstack_maintenance.domain.drain.movability import Microversion, OnBlocked, plan_drain
from openstack_maintenance.domain.nights.due import Verdict
from openstack_maintenance.domain.nights.fleet import Fleet, FleetHost, FleetInstance, Size
from openstack_maintenance.domain.nights.requirements import demands, is_met

_NONE: frozenset[str] = frozenset()


@dataclass(frozen=True)
class FleetInCloud:
    """What was read. ``capacities``, ``properties`` and ``traits`` by host, ``groups`` by instance.

    ``together``: the hard affinity groups. ``newest``: Nova's newest microversion.
    ``properties``: the metadata of a host's aggregates, ``KEY=VALUE``. ``traits`` may be empty
    where no instance asks for one.
    """

    services: tuple[ComputeService, ...]
    capacities: Mapping[str, Size]
    properties: Mapping[str, frozenset[str]]
    instances: tuple[Instance, ...]
    groups: Mapping[str, str]
    traits: Mapping[str, frozenset[str]] = field(default_factory=dict)
    together: tuple[AffinityGroup, ...] = ()
    newest: Microversion | None = None


def compose_fleet(
    facts: FleetInCloud,
    verdicts: Iterable[Verdict],
    left_for: Mapping[str, timedelta] | None = None,
    on_blocked: OnBlocked = "fail",
    affinity_filter: bool = True,
) -> Fleet:
    """The fleet for a plan. A host that nobody judged is not due.

    ``left_for``: how long ago nights first left hosts that were due. ``on_blocked``: the
    policy's; a due host that holds an instance which is in the way then is kept out, by name. So is
    one whose instances a hard affinity group keeps there, where the policy says that it does
    (``affinity_filter``). A host without a hypervisor record, or whose capacity is unknown, takes
    nothing.
    """
    judged = {each.host: each for each in verdicts}
    instances = [_instance(each, facts) for each in facts.instances if each.host is not None]
    demanded = _NONE.union(*(each.requires for each in instances))
    hosts = [_host(each, facts, demanded, judged.get(each.host)) for each in facts.services]
    on_host: dict[str, list[Instance]] = defaultdict(list)
    for each in facts.instances:
        on_host[str(each.host)].append(each)
    together = facts.together if affinity_filter else ()
    return Fleet(
        tuple(
            replace(
                each,
                left_for=(left_for or {}).get(each.name, timedelta(0)),
                keeps_out=(
                    _in_the_way(
                        drain_blockers(on_host[each.name], on_blocked, together, facts.newest)
                    )
                    if each.is_due
                    else None
                ),
            )
            for each in hosts
        ),
        tuple(instances),
    )


def drain_blockers(
    instances: Sequence[Instance],
    on_blocked: OnBlocked,
    together: Iterable[AffinityGroup],
    newest: Microversion | None,
) -> list[Blocker]:
    """Everything about a host's instances that is in the way of its drain."""
    plan = plan_drain(instances, on_blocked, newest)
    moving = [each.instance for each in plan.moves]
    return [*plan.blockers, *affinity_blockers(instances, moving, together)]


def _in_the_way(blockers: Sequence[Blocker]) -> str | None:
    if not blockers:
        return None
    more = f" (and {len(blockers) - 1} more in the way)" if len(blockers) > 1 else ""
    return f"{blockers[0].subject} {blockers[0].reason}{more}"


def _host(
    service: ComputeService, facts: FleetInCloud, demanded: frozenset[str], verdict: Verdict | None
) -> FleetHost:
    traits = facts.traits.get(service.host, _NONE)
    properties = facts.properties.get(service.host, _NONE)
    return FleetHost(
        name=service.host,
        zone=service.zone,
        capacity=facts.capacities.get(service.host, Size()),
        is_due=verdict is not None and verdict.kind == "due",
        is_open=service.is_enabled and service.is_up and service.host in facts.capacities,
        provides=frozenset(each for each in demanded if is_met(each, traits, properties)),
    )


def _instance(instance: Instance, facts: FleetInCloud) -> FleetInstance:
    host = str(instance.host)
    size = Size(instance.vcpus, instance.ram_mib, instance.disk_gib)
    capacity = facts.capacities.get(host)
    if instance.is_volume_backed or (capacity is not None and not capacity.disk_gib):
        size = replace(size, disk_gib=0)  # its disk is not on the host
    requires = demands(instance.extra_specs, facts.properties.get(host, _NONE))
    return FleetInstance(instance.id, host, size, requires, facts.groups.get(instance.id))
