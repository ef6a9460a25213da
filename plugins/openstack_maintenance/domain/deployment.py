"""How one flavour of OpenStack names its services, units, containers and logs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from openstack_maintenance.domain.foreign_text import is_one_line, quoted

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

# RabbitMQ's, with and without TLS.
BROKER_PORTS = (5671, 5672)
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
# What systemd (man systemd.unit), Docker and Podman take for a name. No option is one.
_UNIT = re.compile(r"[A-Za-z0-9:_.\\@][A-Za-z0-9:_.\\@-]{0,254}")
_CONTAINER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,200}")


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
        _check_line("name", self.name)
        if self.retired:
            _check_line("retired", self.retired)
        if not self.unit and not self.container:
            object.__setattr__(self, "unit", self.name)
        if self.unit:
            _check_unit(self.unit)
        _check_container(self.container)

    @property
    def is_retired(self) -> bool:
        return bool(self.retired)


@dataclass(frozen=True)
class ServiceGroup:
    """Services under the title that the status report prints above them."""

    title: str
    services: tuple[Service, ...]

    def __post_init__(self) -> None:
        _check_line("title", self.title)


@dataclass(frozen=True)
class NovaCompute:
    """How nova-compute is reached on a compute host.

    ``unit`` is used where systemd knows it; otherwise ``container`` of the first of ``engines``
    that has it. ``log_paths`` are candidates: of those that exist, the one written last counts.
    ``guest_processes`` are shell patterns of the names that a guest's process carries.
    ``broker_ports`` are those of the message broker, or of the proxy in front of it.
    """

    unit: str
    log_paths: tuple[str, ...]
    container: str = ""
    engines: tuple[str, ...] = ()
    guest_processes: tuple[str, ...] = ("qemu-system*", "qemu-kvm", "kvm")
    broker_ports: tuple[int, ...] = BROKER_PORTS

    def __post_init__(self) -> None:
        _check_unit(self.unit)
        _check_container(self.container)
        for path in self.log_paths:
            _check_log_path(path)
        for pattern in self.guest_processes:
            _check_pattern(pattern)
        if not self.log_paths:
            raise ValueError("log_paths: name at least one log file")
        if not self.guest_processes:
            raise ValueError("guest_processes: name at least one pattern")
        if not self.broker_ports or not all(0 < port < 65536 for port in self.broker_ports):
            raise ValueError("broker_ports: name at least one port, from 1 to 65535")
        if set(self.engines) - {"docker", "podman"}:
            raise ValueError("engines: only docker and podman are known")
        if bool(self.container) != bool(self.engines):
            raise ValueError("engines: a container needs its engines, and engines a container")

    def plain(self) -> dict[str, Any]:
        """It as plain data; without the ports that older releases do not know, where they need not.

        A trigger that an older release reads again would not know the field.
        """
        found = asdict(self)
        if self.broker_ports == BROKER_PORTS:
            del found["broker_ports"]
        return found


@dataclass(frozen=True)
class Deployment:
    """One file of include/deployments: what runs on controllers, and nova-compute on hosts.

    ``network_agents``: whether a host's network must be proven; a policy may say otherwise.
    """

    title: str
    groups: tuple[ServiceGroup, ...]
    nova_compute: NovaCompute
    network_agents: Literal["required", "not_proven"] = "required"

    def __post_init__(self) -> None:
        _check_line("title", self.title)
        names = Counter(service.name for service in self)
        doubled = sorted(name for name, count in names.items() if count > 1)
        if doubled:
            raise ValueError(f"groups: listed more than once: {', '.join(doubled)}")

    def __iter__(self) -> Iterator[Service]:
        return (service for group in self.groups for service in group.services)

    def find_service(self, name: str) -> Service | None:
        return next((service for service in self if service.name == name), None)


# All of these reach hosts as arguments, where a space or a ":" may stand between two of them, or
# sudoers as the title of a rule.


def _check_line(field: str, text: str) -> None:
    if not text.strip():
        raise ValueError(f"{field}: is empty")
    if not is_one_line(text):
        raise ValueError(f"{field}: {quoted(text)} holds a line break or a control character")


def _check_unit(unit: str) -> None:
    if not _UNIT.fullmatch(unit):
        raise ValueError(
            f"unit: {quoted(unit)} is not a unit's name; systemd takes letters, digits and :-_.\\@"
        )


def _check_container(container: str) -> None:
    if container and not _CONTAINER.fullmatch(container):
        raise ValueError(
            f"container: {quoted(container)} is not a container's name; write letters, digits, "
            "'_', '.' and '-', a letter or digit first"
        )


def _check_log_path(path: str) -> None:
    _check_line("log_paths", path)
    if not path.startswith("/") or ":" in path:
        raise ValueError(f"log_paths: {quoted(path)} is not a path from / on without ':'")


def _check_pattern(pattern: str) -> None:
    _check_line("guest_processes", pattern)
    if pattern.startswith("-") or any(each.isspace() for each in pattern):
        raise ValueError(f"guest_processes: {quoted(pattern)} is not a pattern of one word")
