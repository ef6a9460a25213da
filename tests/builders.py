"""What Nova and hosts say: complete facts, of which a test names only what it is about."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from openstack_maintenance.domain.checks.controller_facts import Clock, SeenController
from openstack_maintenance.domain.cloud import (
    NOSTATE,
    PAUSED,
    RUNNING,
    SHUTDOWN,
    SUSPENDED,
    ComputeService,
    Hypervisor,
    Instance,
    Migration,
)
from openstack_maintenance.domain.host.facts import HostFacts, UnitState

NOW = datetime(2026, 3, 10, 1, 0, tzinfo=UTC)
# What Nova says besides, by the status that it shows.
_STATES = {
    "ACTIVE": ("active", RUNNING),
    "PAUSED": ("paused", PAUSED),
    "SHUTOFF": ("stopped", SHUTDOWN),
    "SUSPENDED": ("suspended", SUSPENDED),
    "BUILD": ("building", NOSTATE),
    "RESCUE": ("rescued", RUNNING),
    "VERIFY_RESIZE": ("resized", RUNNING),
    "SHELVED": ("shelved", SHUTDOWN),
    "SOFT_DELETED": ("soft-delete", SHUTDOWN),
}


def instance(id: str = "i1", status: str = "ACTIVE", **given: Any) -> Instance:
    """An instance on c01; its states are those that go with its status."""
    vm_state, power_state = _STATES.get(status, (status.lower(), RUNNING))
    facts = {
        "name": id,
        "host": "c01",
        "vm_state": vm_state,
        "task_state": None,
        "power_state": power_state,
        "ram_mib": 512,
        "disk_gib": 1,
        "is_launched": True,
    }
    return Instance(id=id, status=status, **{**facts, **given})


def service(host: str = "c01", reason: str | None = None, **given: Any) -> ComputeService:
    """The nova-compute of a host, up; disabled where ``reason`` is given."""
    facts = {
        "id": host,
        "binary": "nova-compute",
        "zone": "nova",
        "is_enabled": reason is None,
        "is_up": True,
        "is_forced_down": False,
        "disabled_reason": reason,
        "updated_at": NOW,
    }
    return ComputeService(host=host, **{**facts, **given})


def migration(id: int = 1, status: str = "running", **given: Any) -> Migration:
    """A live migration of i1 from c01 to c02."""
    facts = {
        "uuid": f"u{id}",
        "instance_id": "i1",
        "kind": "live-migration",
        "source": "c01",
        "destination": "c02",
        "created_at": NOW,
        "updated_at": NOW,
    }
    return Migration(id=id, status=status, **{**facts, **given})


def hypervisor(host: str = "c01", **given: Any) -> Hypervisor:
    """The hypervisor record of a host."""
    facts = {
        "id": f"hypervisor-{host}",
        "hostname": f"{host}.example.com",
        "host_ip": "10.0.0.21",
        "hypervisor_type": "QEMU",
    }
    return Hypervisor(host=host, **{**facts, **given})


def unit_state(name: str = "nova-compute", **given: Any) -> UnitState:
    """A systemd unit that runs, with one process."""
    facts = {
        "kind": "systemd",
        "active_state": "active",
        "sub_state": "running",
        "main_pid": 812,
        "pids": (812,),
    }
    return UnitState(name=name, **{**facts, **given})


def host_facts(host: str = "c01", **given: Any) -> HostFacts:
    """A compute host whose nova-compute runs, without guests, in its boot b1."""
    facts = {
        "hostname": host,
        "fqdn": f"{host}.example.com",
        "boot_id": "b1",
        "booted": NOW,
        "clock": NOW,
        "zone_name": "UTC",
        "nova_compute": unit_state(),
        "log_path": "/var/log/nova/nova-compute.log",
        "log_error": "",
        "sudo_missing": (),
        "guests": (),
    }
    return HostFacts(**{**facts, **given})


def amqp_line(
    message: str, at: str = "2026-03-10 01:05:00.123", level: str = "DEBUG", **given: str
) -> str:
    """A line of nova-compute's log, as the driver of the message bus writes it."""
    context = given.get("context", "[None req-5d2c - - - - - -]")
    return f"{at} 812 {level} oslo.messaging._drivers.impl_rabbit {context} {message}"


def controller(hostname: str = "ctl01", **given: Any) -> SeenController:
    """A controller that nothing was found out about but its boot, b1, and its clock."""
    facts = {
        "boot_id": "b1",
        "booted": None,
        "clock_now": NOW,
        "services": (),
        "broker": None,
        "database": None,
        "cache": None,
        "clock": Clock(ahead_at_least=0, ahead_at_most=0),
    }
    return SeenController(hostname=hostname, **{**facts, **given})
