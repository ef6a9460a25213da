"""The policy: what an operator allows, every field with a safe default."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from openstack_maintenance.domain.duration import parse_duration
from openstack_maintenance.domain.window import Window

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


@dataclass(frozen=True)
class Due:
    """Which hosts a nightly run takes: any of these makes a host due."""

    days_since_boot: int = 30
    reboot_required: bool = True
    hosts: tuple[str, ...] = ()
    aggregate: str | None = None
    zone: str | None = None

    def __post_init__(self) -> None:
        if self.days_since_boot < 1:
            raise ValueError(f"days_since_boot: {self.days_since_boot} is below 1; write 1 or more")


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
    amqp_evidence: Literal["any", "log_line"] = "any"
    failure_budget: int = 1
    reserve_hosts: int = 1
    approval: bool = False
    close_waiting_hosts: bool = False
    due: Due = field(default_factory=Due)
    records: str | None = None
    nova_live_migration_limit: int | None = None
    stuck_migration: Literal["abort", "force_complete"] = "abort"
    migration_retries: int = 1
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
            if getattr(self, name) < least:
                value = getattr(self, name)
                raise ValueError(f"{name}: {value} is below {least}; write {least} or more")
        if self.nova_live_migration_limit is not None and self.nova_live_migration_limit < 1:
            raise ValueError(
                f"nova_live_migration_limit: {self.nova_live_migration_limit} is below 1; write "
                "the max_concurrent_live_migrations of nova.conf, or leave the field out"
            )
        for name in _DURATIONS:
            try:
                length = parse_duration(getattr(self, name))
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None
            if not length and name != "window_patience":
                raise ValueError(f"{name}: {getattr(self, name)!r} is no time at all; write more")

    def seconds(self, name: str) -> float:
        """The length of one of the duration fields, in seconds."""
        return parse_duration(getattr(self, name)).total_seconds()
