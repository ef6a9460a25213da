"""What Nova answers, row by row, as facts."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from openstack_maintenance.domain.cloud import ComputeService, Hypervisor, Instance, Migration
from openstack_maintenance.domain.errors import CloudError

# What the SDK calls it, and what Nova does.
_SERVER_KEYS = {
    "id": "id",
    "name": "name",
    "status": "status",
    "flavor": "flavor",
    "image": "image",
    "fault": "fault",
    "compute_host": "OS-EXT-SRV-ATTR:host",
    "vm_state": "OS-EXT-STS:vm_state",
    "task_state": "OS-EXT-STS:task_state",
    "power_state": "OS-EXT-STS:power_state",
    "launched_at": "OS-SRV-USG:launched_at",
}


def read_time(text: str | None) -> datetime | None:
    """A time of Nova in UTC; None where there is none."""
    if not text:
        return None
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def read_service(row: Any) -> ComputeService:
    """A row of os-services."""
    return ComputeService(
        id=str(row.id),
        binary=row.binary,
        host=row.host,
        zone=row.availability_zone or "",
        is_enabled=row.status == "enabled",
        is_up=row.state == "up",
        is_forced_down=bool(row.is_forced_down),
        disabled_reason=row.disabled_reason,
        updated_at=read_time(row.updated_at),
    )


def read_hypervisor(row: Any) -> Hypervisor:
    """A row of os-hypervisors."""
    service = row.service_details or {}
    return Hypervisor(
        id=str(row.id),
        hostname=row.name or "",
        host=service.get("host", ""),
        host_ip=row.host_ip or "",
        hypervisor_type=row.hypervisor_type or "",
    )


def read_instance(row: Any) -> Instance:
    """A row of servers/detail."""
    flavor = row.flavor or {}
    image = row.image or {}
    return Instance(
        id=row.id,
        name=row.name,
        host=row.compute_host or None,
        status=row.status,
        vm_state=row.vm_state or "",
        task_state=row.task_state,
        power_state=row.power_state or 0,
        ram_mib=flavor.get("ram") or 0,
        disk_gib=flavor.get("disk") or 0,
        is_launched=bool(row.launched_at),
        extra_specs=dict(flavor.get("extra_specs") or {}),
        image_properties={
            key: str(value) for key, value in (image.get("properties") or {}).items()
        },
        fault=(row.fault or {}).get("message"),
        vcpus=flavor.get("vcpus") or 0,
        # Nova shows no image for what boots from a volume.
        is_volume_backed=not image.get("id"),
    )


def read_listed(row: dict[str, Any]) -> Instance:
    """A row of servers/detail as Nova sends it: the SDK's objects cost 5 ms of CPU each."""
    named = {name: row.get(key) for name, key in _SERVER_KEYS.items()}
    return read_instance(SimpleNamespace(**named))


def read_migration(row: Any) -> Migration:
    """A row of os-migrations. Raises: CloudError."""
    created = read_time(row.created_at)
    if created is None:
        raise CloudError("migration list", f"migration {row.id} has no created_at", "Look at Nova.")
    return Migration(
        id=int(row.id),
        uuid=row.uuid or "",
        instance_id=row.server_id,
        kind=row.migration_type,
        status=row.status,
        source=row.source_compute,
        destination=row.dest_compute,
        created_at=created,
        updated_at=read_time(row.updated_at) or created,
    )


def read_failure(action: Any) -> str | None:
    """What the failed events say. Nova lists the newest first, which is the deepest: a compute's
    own reason stands before the conductor's "No valid host was found".
    """
    said = [text for text in map(_event_text, action.events or []) if text]
    if not said:
        return str(action.message) if action.message else None
    return "; ".join(dict.fromkeys((said[0], said[-1])))


def _event_text(event: Any) -> str:
    if not isinstance(event, dict):
        return ""
    last = (event.get("traceback") or "").strip().rsplit("\n", 1)[-1].strip()
    # Newer traces end in a line of code; what it raised is in the details (from 2.84 on).
    text = str(event.get("details") or ("" if last.startswith("raise ") else last))
    return text.partition("\n")[0][:300]
