"""Can an instance move, and how? One rule from Nova's own state checks, no I/O."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from openstack_maintenance.domain.blocker import Blocker
from openstack_maintenance.domain.cloud import PAUSED, POWER_NAMES, RUNNING, Instance

Method = Literal["live", "cold", "stop"]
OnBlocked = Literal["fail", "leave", "stop"]
Microversion = tuple[int, int]

# A Nova's newest microversion tells its release: the last one before 2026.1 (Gazpacho), that of
# 2025.1 (Epoxy) and that of 2024.1 (Caracal).
# Source: nova/api/openstack/compute/rest_api_version_history.rst
_BEFORE_2026_1, _2025_1, _2024_1 = (2, 100), (2, 100), (2, 96)

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


def parse_microversion(text: str | None) -> Microversion | None:
    """Nova's newest microversion, such as 2.95; None where it is not known."""
    major, _, minor = (text or "").partition(".")
    return (int(major), int(minor)) if major.isdecimal() and minor.isdecimal() else None


def plan_drain(
    instances: Iterable[Instance], on_blocked: OnBlocked, newest: Microversion | None = None
) -> DrainPlan:
    """Decide for every instance of a host; largest RAM first, as that shortens the tail.

    ``newest``: Nova's newest microversion, where it is known.
    """
    moves: list[Movement] = []
    left: list[Instance] = []
    blockers: list[Blocker] = []
    for instance in sorted(instances, key=lambda each: (-each.ram_mib, each.id)):
        verdict = movability(instance, newest)
        if not isinstance(verdict, Blocker):
            moves.append(Movement(instance, verdict))
        elif on_blocked == "stop" and _can_be_stopped(instance):
            moves.append(Movement(instance, "stop"))
        elif on_blocked == "leave" and not instance.may_be_running:
            left.append(instance)
        else:
            blockers.append(verdict)
    return DrainPlan(tuple(moves), tuple(left), tuple(blockers))


def movability(instance: Instance, newest: Microversion | None = None) -> Method | Blocker:
    """How an instance moves off its host, or what keeps it there, as far as that is certain.

    A task under way (a snapshot, a reboot, a build) is no blocker: the move waits for its end.
    Source: nova.compute.api live_migrate and resize state checks; nova.api policies reject
    SEV and accelerators for good.
    """
    if instance.vm_state in {"active", "paused", "building"}:
        return _refused_feature(instance, newest) or _guest_not_there(instance) or "live"
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


def why_live_may_fail(instance: Instance, newest: Microversion | None = None) -> str | None:
    """On what it depends whether an instance that may move live does; None where on nothing known.

    Source: https://docs.openstack.org/nova/latest/admin/pci-passthrough.html and virtual-gpu.html,
    vtpm.html beside it.
    """
    if movability(instance, newest) != "live":
        return None
    found = []
    if _has_pci_alias(instance):
        found.append("every PCI device behind its flavor's alias must be live_migratable")
    if _has_vgpu(instance):
        found.append("its vGPU needs libvirt 8.6, QEMU 8.1 and a driver that can migrate it")
    if _has_vtpm(instance):
        found.append("its vTPM needs a nova-compute of 2026.1 or later on all hosts")
    return "; ".join(found) or None


def _has_pci_alias(instance: Instance) -> bool:
    return bool(instance.extra_specs.get("pci_passthrough:alias"))


def _has_vgpu(instance: Instance) -> bool:
    keys = (each.partition(":") for each in instance.extra_specs)
    return any(group.startswith("resources") and kind == "VGPU" for group, _, kind in keys)


def _has_vtpm(instance: Instance) -> bool:
    return bool(
        instance.extra_specs.get("hw:tpm_version")
        or instance.image_properties.get("hw_tpm_version")
    )


def _refused_device(instance: Instance, newest: Microversion | None) -> str | None:
    """What of its devices Nova, in this release, surely refuses to move live."""
    mode = instance.extra_specs.get("hw:tpm_secret_security") or "user"
    if _has_vtpm(instance) and newest is not None and newest <= _BEFORE_2026_1:
        return "has a vTPM, which a Nova before 2026.1 cannot live-migrate"
    if _has_vtpm(instance) and mode == "user":
        return "has a vTPM with the secret mode user, which Nova cannot live-migrate"
    if _has_pci_alias(instance) and newest is not None and newest < _2025_1:
        return (
            "has a PCI device of its flavor (pci_passthrough:alias), which a Nova before 2025.1 "
            "cannot live-migrate"
        )
    if _has_vgpu(instance) and newest is not None and newest < _2024_1:
        return "has a vGPU, which a Nova before 2024.1 cannot live-migrate"
    return None


def _refused_feature(instance: Instance, newest: Microversion | None) -> Blocker | None:
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
    if device := _refused_device(instance, newest):
        return Blocker(
            f"instance {instance.label}",
            device,
            "Run with on_blocked=stop (it is stopped, moved cold and started again), or stop it "
            "with its owner's consent.",
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
