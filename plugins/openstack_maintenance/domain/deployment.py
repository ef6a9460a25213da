"""How one flavour of OpenStack names its services, units, containers and logs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Role = Literal["", "broker", "database", "cache", "api"]
Stage = Literal[
    "",
    "database",
    "broker",
    "cache",
    "identity",
    "services",
    "conductor",
    "scheduler",
    "api",
    "never",
]

# What needs another service is restarted after it.
RESTART_ORDER: tuple[Stage, ...] = (
    "database",
    "broker",
    "cache",
    "identity",
    "services",
    "conductor",
    "scheduler",
    "api",
)
# What is more than a unit to the checks: it is also asked how it is.
PROBED = ("broker", "database", "cache")


@dataclass(frozen=True)
class Service:
    """One service of a controller, under the name that the runbook or its package gives it.

    ``unit`` is a systemd unit (default: the name), ``container`` a container that stands in for
    it. ``role``: broker, database and cache are also asked how they are; of those and of an api
    the last one that runs is not restarted without leave. ``stage`` says when it is restarted,
    by default as its role says, else with "services"; "never": only a reboot restarts it. A
    service that is not ``required`` may be absent; where it is in use it must be active.
    ``retired`` says what ended the service and what does its work now; such a service is listed
    so that its absence is explained, and is never required.
    """

    name: str
    unit: str = ""
    container: str = ""
    required: bool = True
    retired: str = ""
    role: Role = ""
    stage: Stage = ""

    def __post_init__(self) -> None:
        if not self.stage:
            stage = self.role if self.role in PROBED else "services"
            object.__setattr__(self, "stage", stage)
        if self.retired and self.required:
            raise ValueError("required: a retired service cannot be required")
        if not self.unit and not self.container:
            object.__setattr__(self, "unit", self.name)

    @property
    def is_retired(self) -> bool:
        return bool(self.retired)


@dataclass(frozen=True)
class ServiceGroup:
    """Services under the title that the status report prints above them."""

    title: str
    services: tuple[Service, ...]


@dataclass(frozen=True)
class NovaCompute:
    """How nova-compute is reached on a compute host.

    ``unit`` is used where systemd knows it; otherwise ``container`` of the first of ``engines``
    that has it. ``log_paths`` are candidates: of those that exist, the one written last counts.
    ``guest_processes`` are shell patterns of the names that a guest's process carries.
    """

    unit: str
    log_paths: tuple[str, ...]
    container: str = ""
    engines: tuple[str, ...] = ()
    guest_processes: tuple[str, ...] = ("qemu-system*", "qemu-kvm", "kvm")

    def __post_init__(self) -> None:
        if not self.log_paths:
            raise ValueError("log_paths: name at least one log file")
        if not self.guest_processes:
            raise ValueError("guest_processes: name at least one pattern")
        if set(self.engines) - {"docker", "podman"}:
            raise ValueError("engines: only docker and podman are known")
        if bool(self.container) != bool(self.engines):
            raise ValueError("engines: a container needs its engines, and engines a container")


@dataclass(frozen=True)
class Deployment:
    """One file of include/deployments: what runs on controllers, and nova-compute on hosts."""

    title: str
    groups: tuple[ServiceGroup, ...]
    nova_compute: NovaCompute

    def __post_init__(self) -> None:
        names = [service.name for service in self]
        doubled = sorted({name for name in names if names.count(name) > 1})
        if doubled:
            raise ValueError(f"groups: listed more than once: {', '.join(doubled)}")

    def __iter__(self) -> Iterator[Service]:
        return (service for group in self.groups for service in group.services)

    def find_service(self, name: str) -> Service | None:
        return next((service for service in self if service.name == name), None)
