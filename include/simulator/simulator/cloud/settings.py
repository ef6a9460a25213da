"""How a simulated cloud behaves: limits as in nova.conf, durations, and what goes wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulator.cloud.model import Instance, Migration


class LiveEnd(Enum):
    """How a live migration ends."""

    COMPLETES = "completes"
    FAILS = "fails"  # rolled back: the guest runs on at the source, the migration is `failed`
    STICKS = "sticks"  # it never converges: only an abort or force_complete ends it
    CANCELS_ITSELF = "cancels itself"  # as after Nova's own limit
    ERRORS_ON_SOURCE = "errors on the source"  # the instance in ERROR, its guest at the source
    ERRORS_ON_DESTINATION = "errors on the destination"  # in ERROR, and its guest has moved
    COMPLETED_IN_PLACE = (
        "completed in place"  # `completed`, though nothing moved (seen in the field)
    )


class ColdEnd(Enum):
    """How a cold migration, or a resize, ends."""

    COMPLETES = "completes"
    FAILS = "fails"  # before the guest was shut down: all is as it was
    ERRORS = "errors"  # after it: the instance in ERROR on its source, its guest off


def _completes(instance: Instance, migration: Migration) -> LiveEnd:
    return LiveEnd.COMPLETES


def _completes_cold(instance: Instance, migration: Migration) -> ColdEnd:
    return ColdEnd.COMPLETES


def _succeeds(instance: Instance, action: str) -> bool:
    return True


@dataclass
class Settings:
    """Seconds, unless the name says otherwise. All may be changed while the cloud runs."""

    newest: int = 104  # microversion 2.x
    seed: int = 0
    # nova.conf
    page_limit: int = 1000
    report_interval: float = 10.0
    service_down_time: float = 60.0
    rpc_response_timeout: float = 60.0
    max_concurrent_live_migrations: int = 1
    timeout_per_gib: float = 800.0  # live_migration_completion_timeout
    reclaim_instance_interval: float = 0.0  # above 0: deleted instances are SOFT_DELETED first
    power_sync: float = 30.0  # from the start of nova-compute until a power state is put right
    power_sync_again: float = 600.0  # sync_power_state_interval
    is_storage_shared: bool = False
    # how long things take
    conductor: float = 0.3
    scheduling: float = 0.5
    messaging: float = 0.1  # from one service, or thread, to the next
    preparing: float = 2.0
    live_bandwidth_mib: float = 500.0  # RAM and copied disk, per second
    live_least: float = 3.0
    forced: float = 2.0
    aborting: float = 0.5
    after_switch: float = 0.5  # from the guest's start on the destination to instance.host
    write_gap: float = 0.3  # between two writes that belong together
    cold_bandwidth_mib: float = 200.0
    cold_least: float = 4.0
    confirming: float = 1.0
    building: float = 5.0
    deleting: float = 1.0
    powering_off: float = 4.0
    powering_on: float = 2.0
    other_actions: float = 3.0
    # what differs between clouds, and what goes wrong
    is_status_first: bool = False  # `completed` is written before instance.host
    shows_post_migrating: bool = False  # older releases do for a live migration
    job_outlives_compute: bool = False  # libvirt ends a migration whose nova-compute has died
    list_lag: float = 0.0  # lists come from a replica that is so far behind
    hypervisor_type: str = "QEMU"
    hypervisor_version: int = 8002002
    live_seconds: Callable[[Instance, Migration], float] | None = None  # instead of the above
    live_end: Callable[[Instance, Migration], LiveEnd] = _completes
    cold_end: Callable[[Instance, Migration], ColdEnd] = _completes_cold
    cold_failure: tuple[str, str] = (  # its kind, and what the source's hypervisor says
        "ResizeError",
        "Resize error: not able to execute ssh command",
    )
    power_succeeds: Callable[[Instance, str], bool] = _succeeds
    clock_ahead: float = 0.0  # of the control plane's clock
    # credentials and rights
    password: str = "secret"  # noqa: S105 - of a cloud that exists in memory
    token_lifetime: float = 3600.0
    denied: set[str] = field(default_factory=set)  # rules of Nova's policy
    default_project: str = "admin"
