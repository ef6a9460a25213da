"""What Nova answers, row by row, as facts. Every reader raises Unreadable."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from openstack_maintenance.adapters.api_answers import Row, Unreadable
from openstack_maintenance.domain.cloud import ComputeService, Hypervisor, Instance, Migration

HOST = "OS-EXT-SRV-ATTR:host"
# What Nova says of a row whose cell does not answer, from 2.69 on: it leaves out nearly all else.
_CELL_IS_SILENT = "UNKNOWN"
_LONGEST_NAME = 255
_LONGEST_REASON = 300


def read_service(values: Mapping[str, Any]) -> ComputeService:
    """A row of os-services."""
    row = Row("services", values)
    status = row.name("status")
    is_silent = status == _CELL_IS_SILENT
    return ComputeService(
        id="" if is_silent and not row.has("id") else row.id("id"),
        binary=row.name("binary"),
        host=row.name("host"),
        zone=row.find_name("zone") or "",
        is_enabled=status == "enabled",
        is_up=(row.find_name("state") if is_silent else row.name("state")) == "up",
        is_forced_down=row.find_flag("forced_down"),
        disabled_reason=row.words("disabled_reason"),
        updated_at=row.find_time("updated_at"),
        is_unknown=is_silent,
    )


def read_hypervisor(values: Mapping[str, Any]) -> Hypervisor:
    """A row of os-hypervisors."""
    row = Row("hypervisors", values)
    return Hypervisor(
        id=row.id("id"),
        hostname=row.find_name("hypervisor_hostname") or "",
        host=row.part("service").name("host"),
        host_ip=row.find_name("host_ip") or "",
        hypervisor_type=row.find_name("hypervisor_type") or "",
    )


def read_instance(values: Mapping[str, Any]) -> Instance:
    """A row of servers/detail. ``host`` is None also where Nova does not show it: see HOST."""
    row = Row("servers", values)
    instance_id, status = row.id("id"), row.name("status")
    if status == _CELL_IS_SILENT:
        raise Unreadable(f"instance {instance_id} is UNKNOWN: its cell does not answer")
    flavor, image = row.part("flavor"), row.find_part("image")
    return Instance(
        id=instance_id,
        name=row.words("name", _LONGEST_NAME) or "",
        host=row.find_name(HOST),
        status=status,
        vm_state=row.name("OS-EXT-STS:vm_state"),
        task_state=row.find_name("OS-EXT-STS:task_state"),
        power_state=row.find_number("OS-EXT-STS:power_state") or 0,
        ram_mib=flavor.number("ram"),
        disk_gib=flavor.number("disk"),
        is_launched=bool(row.find_name("OS-SRV-USG:launched_at")),
        extra_specs=flavor.find_texts("extra_specs"),
        image_properties=image.find_texts("properties"),
        fault=row.find_part("fault").words("message", _LONGEST_REASON),
        guest_name=row.find_name("OS-EXT-SRV-ATTR:instance_name") or "",
        vcpus=flavor.number("vcpus"),
        # Nova shows no image for what boots from a volume.
        is_volume_backed=image.find_name("id") is None,
        ephemeral_gib=flavor.find_number("ephemeral") or 0,
        swap_mib=flavor.find_number("swap") or 0,
    )


def read_migration(values: Mapping[str, Any]) -> Migration:
    """A row of os-migrations."""
    row = Row("migrations", values)
    created = row.time("created_at")
    return Migration(
        id=row.number("id"),
        uuid=row.find_name("uuid") or "",
        instance_id=row.id("instance_uuid"),
        kind=row.find_name("migration_type") or "",
        status=row.name("status"),
        source=row.name("source_compute"),
        destination=row.find_name("dest_compute"),
        created_at=created,
        updated_at=row.find_time("updated_at") or created,
    )


def read_failure(events: list[dict[str, Any]], message: str | None) -> str | None:
    """What the failed events say. Nova lists the newest first, which is the deepest: a compute's
    own reason stands before the conductor's "No valid host was found".
    """
    said = [text for text in map(_event_text, events) if text]
    if not said:
        return message or None
    return "; ".join(dict.fromkeys((said[0], said[-1])))


def _event_text(values: Mapping[str, Any]) -> str:
    row = Row("events", values)
    last = (row.words("traceback", 100_000) or "").strip().rsplit("\n", 1)[-1].strip()
    # Newer traces end in a line of code; what it raised is in the details (from 2.84 on).
    text = row.words("details") or ("" if last.startswith("raise ") else last)
    return text.partition("\n")[0][:_LONGEST_REASON]
