"""Can an instance move, and how? One rule from Nova's own state checks, no I/O."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from openstack_maintenance.domain.blocker import Blocker
from openstack_maintenance.domain.cloud import PAUSED, POWER_NAMES, RUNNING, Instance

Method = Literal["live", "cold", "stop"]
OnBlocked = Literal["fail", "leave", "stop"]

_REMEDIES = {
    "suspended": "Resume it (`openstack server resume {id}`), or run with on_blocked=leave",
    "rescued": "Unrescue it (`openstack server unrescue {id}`)",
    "error": "Find the cause, then run `openstack server set --state active {id}`, or delete it",
    "resized": "Confirm its resize (`openstack server resize confirm {id}`), or revert it",
    "shelved": "Offload it (`openstack server shelve --offload {id}`), or unshelve it",
    "soft-delete": "Restore it, or delete it for good",
}


@dataclass(frozen=True)
class Movement:
    """One instance that will be moved, and how."""

    instance: Instance
    method: Method


@dataclass(frozen=True)
class DrainPlan:
    """What happens to each instance of a host: moved, left where it is, or in the way."""

    moves: tuple[Movement, ...]
    left: tuple[Instance, ...]
    blockers: tuple[Blocker, ...]


def plan_drain(instances: Iterable[Instance], on_blocked: OnBlocked) -> DrainPlan:
    """Decide for every instance of a host; largest RAM first, as that shortens the tail."""
    moves: list[Movement] = []
    left: list[Instance] = []
    blockers: list[Blocker] = []
    for instance in sorted(instances, key=lambda each: (-each.ram_mib, each.id)):
        verdict = movability(instance)
        if not isinstance(verdict, Blocker):
            moves.append(Movement(instance, verdict))
        elif on_blocked == "stop" and _can_be_stopped(instance):
            moves.append(Movement(instance, "stop"))
        elif on_blocked == "leave" and not instance.may_be_running:
            left.append(instance)
        else:
            blockers.append(verdict)
    return DrainPlan(tuple(moves), tuple(left), tuple(blockers))


def movability(instance: Instance) -> Method | Blocker:
    """How an instance moves off its host, or what keeps it there.

    A task under way (a snapshot, a reboot, a build) is no blocker: the move waits for its end.
    Source: nova.compute.api live_migrate and resize state checks; nova.api policies reject
    SEV and accelerators for good.
    """
    if instance.vm_state in {"active", "paused", "building"}:
        return _refused_feature(instance) or _guest_not_there(instance) or "live"
    if instance.vm_state == "stopped":
        return _accelerated(instance) or _guest_still_there(instance) or "cold"
    return _stays(instance)


def _stays(instance: Instance) -> Blocker:
    running = "its guest is running" if instance.may_be_running else "its guest is not running"
    power = POWER_NAMES.get(instance.power_state, str(instance.power_state))
    fault = f", fault: {instance.fault}" if instance.fault else ""
    return Blocker(
        f"instance {instance.label}",
        f"is {instance.status}, which Nova cannot migrate ({running}, power_state {power}{fault})",
        _REMEDIES.get(instance.vm_state, "Bring it to ACTIVE or SHUTOFF").format(id=instance.id)
        + ".",
    )


def _guest_not_there(instance: Instance) -> Blocker | None:
    if instance.vm_state == "building" or instance.power_state in {RUNNING, PAUSED}:
        return None
    power = POWER_NAMES.get(instance.power_state, str(instance.power_state))
    return Blocker(
        f"instance {instance.label}",
        f"is {instance.status}, but its power_state is {power}: Nova refuses to live-migrate it",
        f"Start it (`openstack server start {instance.id}`) or stop it (`openstack server stop "
        f"{instance.id}`), so that both agree.",
    )


def _guest_still_there(instance: Instance) -> Blocker | None:
    """Nova would power a guest off that runs behind its back, to move it cold."""
    if not instance.may_be_running:
        return None
    power = POWER_NAMES.get(instance.power_state, str(instance.power_state))
    return Blocker(
        f"instance {instance.label}",
        f"is {instance.status}, but its guest may be running (power_state {power})",
        f"Start it (`openstack server start {instance.id}`) or stop it (`openstack server stop "
        f"{instance.id}`), so that both agree.",
    )


def _refused_feature(instance: Instance) -> Blocker | None:
    sev = (
        instance.extra_specs.get("hw:mem_encryption"),
        instance.image_properties.get("hw_mem_encryption"),
    )
    if any(str(value).lower() == "true" for value in sev):
        return Blocker(
            f"instance {instance.label}",
            "uses memory encryption (SEV), which Nova cannot live-migrate",
            "Stop it, or run with on_blocked=stop.",
        )
    return _accelerated(instance)


def _accelerated(instance: Instance) -> Blocker | None:
    if "accel:device_profile" not in instance.extra_specs:
        return None
    return Blocker(
        f"instance {instance.label}",
        "has a cyborg accelerator (accel:device_profile), which Nova cannot migrate",
        "Shelve or delete it with its owner's consent.",
    )


def _can_be_stopped(instance: Instance) -> bool:
    """Nova stops ACTIVE and ERROR instances that ran once; what then is STOPPED moves cold."""
    is_stoppable = instance.vm_state in {"active", "error"} and instance.is_launched
    return is_stoppable and _accelerated(instance) is None


def still_in_the_way(instances: Iterable[Instance], on_blocked: OnBlocked) -> tuple[Instance, ...]:
    """The instances that forbid stopping or rebooting their host, now.

    With ``leave``, those that surely do not run and cannot move may stay; nothing else may.
    """
    return tuple(
        instance
        for instance in instances
        if on_blocked != "leave"
        or instance.may_be_running
        or instance.task_state is not None
        or not isinstance(movability(instance), Blocker)
    )
