"""The policy: what an operator allows, every field with a safe default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from openstack_maintenance.domain.duration import parse_duration
from openstack_maintenance.domain.foreign_text import is_one_line, quoted
from openstack_maintenance.domain.window import Window

# More than any cloud has, and less than any arithmetic minds.
_MOST = 100_000
_AT_LEAST = {
    "migrations_per_host": 1,
    "migrations_total": 1,
    "max_hosts_out": 1,
    "failure_budget": 0,
    "reserve_hosts": 0,
    "migration_retries": 0,
}
_DURATIONS = (
    "migration_timeout_per_gib",
    "turn_patience",
    "api_patience",
    "stop_timeout",
    "script_timeout",
    "reboot_timeout",
    "nova_compute_timeout",
    "amqp_timeout",
    "service_timeout",
    "checks_timeout",
    "window_patience",
)


@dataclass(frozen=True)
class Controller:
    """A control-plane node: its name, and the SSH address where that differs."""

    host: str
    address: str | None = None

    def __post_init__(self) -> None:
        check_host_word("host", self.host)
        if self.address is not None:
            check_host_word("address", self.address)


@dataclass(frozen=True)
class Due:
    """Which hosts a nightly run takes: any of these makes a host due."""

    days_since_boot: int = 30
    reboot_required: bool = True
    hosts: tuple[str, ...] = ()
    aggregate: str | None = None
    zone: str | None = None

    def __post_init__(self) -> None:
        _check_number("days_since_boot", self.days_since_boot, 1)
        for host in self.hosts:
            check_host_word("hosts", host)
        for name in ("aggregate", "zone"):
            if (text := getattr(self, name)) is not None:
                _check_text(name, text)


@dataclass(frozen=True)
class Policy:
    """What maintenance may do. ``Policy()`` is valid; include/policies documents each field.

    Durations are texts such as ``15min`` (see `duration.parse_duration`).
    """

    deployment: str = "debian"
    window: Window = field(default_factory=Window)
    controllers: tuple[Controller, ...] = ()
    addresses: dict[str, str] = field(default_factory=dict)
    migrations_per_host: int = 1
    migrations_total: int = 4
    max_hosts_out: int = 1
    on_blocked: Literal["fail", "leave", "stop"] = "fail"
    affinity_filter: bool = True
    amqp_evidence: Literal["any", "log_line"] = "any"
    failure_budget: int = 1
    reserve_hosts: int = 1
    network_agents: Literal["required", "not_proven"] | None = None
    approval: bool = False
    close_waiting_hosts: bool = False
    script: str | None = None
    due: Due = field(default_factory=Due)
    records: str | None = None
    nova_live_migration_limit: int | None = None
    stuck_migration: Literal["abort", "force_complete"] = "abort"
    migration_retries: int = 1
    repair_error_state: bool = False
    migration_timeout_per_gib: str = "800s"
    turn_patience: str = "4h"
    api_patience: str = "10min"
    stop_timeout: str = "3min"
    script_timeout: str = "2h"
    reboot_timeout: str = "20min"
    nova_compute_timeout: str = "10min"
    amqp_timeout: str = "2min"
    service_timeout: str = "5min"
    checks_timeout: str = "10min"
    window_patience: str = "4h"

    def __post_init__(self) -> None:
        for name, least in _AT_LEAST.items():
            _check_number(name, getattr(self, name), least)
        if self.nova_live_migration_limit is not None:
            _check_number(
                "nova_live_migration_limit",
                self.nova_live_migration_limit,
                1,
                "write the max_concurrent_live_migrations of nova.conf, or leave the field out",
            )
        _check_addresses(self.addresses)
        for name in ("records", "script"):
            if (text := getattr(self, name)) is not None:
                _check_text(name, text)
        for name in _DURATIONS:
            try:
                length = parse_duration(getattr(self, name))
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None
            if not length and name != "window_patience":
                raise ValueError(
                    f"{name}: {quoted(getattr(self, name))} must be longer than zero; write for "
                    "example 15min"
                )

    def length(self, name: str) -> timedelta:
        """The length of one of the duration fields."""
        return parse_duration(getattr(self, name))


def check_host_word(field: str, text: str) -> None:
    """A host's name or address as SSH gets it. Raises: ValueError, naming the field."""
    _check_text(field, text)
    if text.startswith("-") or any(each.isspace() for each in text):
        raise ValueError(f"{field}: {quoted(text)} is not a host's name or address")


def _check_text(field: str, text: str) -> None:
    if not text.strip():
        raise ValueError(f"{field}: is empty; write it, or leave the field out")
    if not is_one_line(text):
        raise ValueError(f"{field}: {quoted(text)} holds a line break or a control character")


def _check_number(field: str, value: int, least: int, remedy: str = "") -> None:
    if value < least:
        raise ValueError(
            f"{field}: {quoted(value)} is below {least}; {remedy or f'write {least} or more'}"
        )
    if value > _MOST:
        raise ValueError(f"{field}: {quoted(value)} is above {_MOST}; write {_MOST} or less")


def _check_addresses(addresses: Mapping[str, str]) -> None:
    for host, address in addresses.items():
        check_host_word("addresses", host)
        check_host_word("addresses", address)
