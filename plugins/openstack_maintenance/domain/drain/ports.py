"""Ports whose devices Nova cannot move, or can move live only under conditions.

Source: nova.compute.api live_migrate and resize (block_port_accelerators, reject_vdpa_instances)
and nova.conductor.tasks.live_migrate _check_can_migrate_pci; live migration with a port's resource
request is new in Ussuri.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from openstack_maintenance.domain.blocker import Blocker
from openstack_maintenance.domain.drain.movability import Microversion, Movement

_ACCELERATORS = frozenset({"accelerator-direct", "accelerator-direct-physical"})
_SR_IOV = frozenset({"direct", "macvtap", "direct-physical", "virtio-forwarder", "remote-managed"})
_VDPA = "vdpa"
# The last microversions before Train and before Ussuri.
_BEFORE_TRAIN, _BEFORE_USSURI = (2, 72), (2, 79)


@dataclass(frozen=True)
class HostPort:
    """A port that is bound on a host. ``has_request``: Placement holds resources for it."""

    instance_id: str
    vnic_type: str = "normal"
    has_request: bool = False


def port_blockers(
    moves: Iterable[Movement],
    ports: Sequence[HostPort],
    newest: Microversion | None,
    *,
    may_stop: bool,
) -> list[Blocker]:
    """Instances that Nova surely refuses to move because of a port.

    ``may_stop``: what it refuses to move live is stopped and moved cold.
    """
    blockers = []
    for move in moves:
        own = [each for each in ports if each.instance_id == move.instance.id]
        if any(each.vnic_type in _ACCELERATORS for each in own):
            why = "has a port with an accelerator, which Nova cannot migrate"
            remedy = "Shelve or delete it with its owner's consent."
        elif move.method == "live" and not may_stop and (why := _refused_live(own, newest)):
            remedy = "Run with on_blocked=stop, or stop it with its owner's consent."
        else:
            continue
        blockers.append(Blocker(f"instance {move.instance.label}", why, remedy))
    return blockers


def why_ports_may_fail(move: Movement, ports: Sequence[HostPort]) -> str | None:
    """On what it depends whether an instance's ports move live; None where on nothing known."""
    if move.method != "live":
        return None
    own = [each for each in ports if each.instance_id == move.instance.id]
    found = []
    if kinds := sorted({each.vnic_type for each in own} & _SR_IOV):
        found.append(
            f"its {', '.join(kinds)} port needs Neutron's binding-extended, and is unplugged "
            "meanwhile"
        )
    if any(each.vnic_type == _VDPA for each in own):
        found.append("its vdpa port needs a nova-compute of 2023.1 or later on all hosts")
    if any(each.has_request for each in own):
        found.append("its port asks Placement for resources that another host must have")
    return "; ".join(found) or None


def _refused_live(ports: Iterable[HostPort], newest: Microversion | None) -> str:
    if newest is None:
        return ""
    for port in ports:
        if port.vnic_type in _SR_IOV | {_VDPA} and newest <= _BEFORE_TRAIN:
            return (
                f"has a port of type {port.vnic_type}, which a Nova before Train cannot move live"
            )
        if port.has_request and newest <= _BEFORE_USSURI:
            return "has a port with a resource request, which a Nova before Ussuri cannot move live"
    return ""
