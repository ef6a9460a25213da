"""Servers in Nova's answers, as each microversion shows them.

Source: nova.api.openstack.compute.views.servers, read in Nova 34.0.0; compared with the answers
that were recorded from the lab (tests/fixtures/nova).
"""

from __future__ import annotations

import json
import re
from typing import Any

from simulator.cloud.model import ComputeHost, Flavor, Instance
from simulator.http.nova_request import (
    SEE_EXTRA_SPECS,
    SEE_HOST,
    Asked,
    host_id,
    iso,
    links,
    stamp,
)

_TASKS = {
    "resize_prep": "RESIZE",
    "resize_migrating": "RESIZE",
    "resize_migrated": "RESIZE",
    "resize_finish": "RESIZE",
    "rebuilding": "REBUILD",
}
_REBOOTS = {
    f"{task}_hard": "HARD_REBOOT" for task in ("rebooting", "reboot_pending", "reboot_started")
}
_STATUSES = {
    "active": ("ACTIVE", {**_TASKS, "migrating": "MIGRATING", **_REBOOTS}),
    "building": ("BUILD", {}),
    "stopped": ("SHUTOFF", _TASKS),
    "resized": ("VERIFY_RESIZE", {"resize_reverting": "REVERT_RESIZE"}),
    "paused": ("PAUSED", {"migrating": "MIGRATING"}),
    "suspended": ("SUSPENDED", {}),
    "rescued": ("RESCUE", {}),
    "error": ("ERROR", {"rebuilding": "REBUILD"}),
    "deleted": ("DELETED", {}),
    "soft-delete": ("SOFT_DELETED", {}),
    "shelved": ("SHELVED", {}),
    "shelved_offloaded": ("SHELVED_OFFLOADED", {}),
}
STATUSES = {usual for usual, _ in _STATUSES.values()}
STATUSES |= {status for _, by_task in _STATUSES.values() for status in by_task.values()}
_IN_PROGRESS = {"ACTIVE", "BUILD", "REBUILD", "RESIZE", "VERIFY_RESIZE", "MIGRATING"}


def status_of(instance: Instance) -> str:
    """Source: nova.api.openstack.common.status_from_state."""
    usual, by_task = _STATUSES[instance.vm_state]
    return by_task.get(instance.task_state or "", usual)


def server_text(asked: Asked, instance: Instance) -> str:
    """A row of servers/detail as JSON; made anew only when the instance has changed."""
    key = asked.minor * 4 + asked.may(SEE_HOST) * 2 + asked.may(SEE_EXTRA_SPECS)
    revision, text = instance.rows.get(key, (-1, ""))
    if revision != instance.revision:
        text = json.dumps(server(asked, instance))
        instance.rows[key] = (instance.revision, text)
    if asked.minor >= 16:
        name = instance.host or ""
        if name not in asked.host_statuses:
            asked.host_statuses[name] = _host_status(asked, name)
        return f'{text[:-1]}, "host_status": "{asked.host_statuses[name]}"}}'
    return text


def _host_status(asked: Asked, name: str) -> str:
    host = asked.cloud.state.hosts.get(name)
    if host is None:
        return ""
    if not asked.cloud.services.is_up(host.service):
        return "DOWN" if host.service.is_forced_down else "UNKNOWN"
    return "MAINTENANCE" if host.service.is_disabled else "UP"


def server(asked: Asked, instance: Instance) -> dict[str, Any]:
    """A server in full, but for its host_status, which changes by itself."""
    status, minor = status_of(instance), asked.minor
    project = instance.project_id
    host = asked.cloud.state.hosts.get(instance.host or "")
    row: dict[str, Any] = {
        "accessIPv4": "",
        "accessIPv6": "",
        "addresses": {},
        "created": iso(instance.created_at),
        "flavor": _embedded_flavor(asked, instance.flavor),
        "hostId": host_id(instance.host, project),
        "id": instance.id,
        "image": _image(asked, instance),
        "links": links(asked, "servers", instance.id),
        "metadata": instance.metadata,
        "name": instance.name,
        "status": status,
        "tenant_id": project,
        "user_id": instance.user_id,
        "updated": iso(instance.updated_at),
        "OS-DCF:diskConfig": "MANUAL",
    }
    if status in ("ERROR", "DELETED") and instance.fault is not None:
        row["fault"] = _fault(instance)
    if status in _IN_PROGRESS:
        row["progress"] = 0
    row["OS-EXT-AZ:availability_zone"] = (host.zone or "nova") if host else ""
    row["config_drive"] = ""
    row["key_name"] = None
    row["OS-SRV-USG:launched_at"] = stamp(instance.launched_at)
    row["OS-SRV-USG:terminated_at"] = stamp(instance.terminated_at)
    if asked.may(SEE_HOST):
        row.update(_extended(instance, host))
    row["OS-EXT-STS:task_state"] = instance.task_state
    row["OS-EXT-STS:vm_state"] = instance.vm_state
    row["OS-EXT-STS:power_state"] = instance.power_state
    row["os-extended-volumes:volumes_attached"] = [
        {"id": each, "delete_on_termination": False} for each in instance.volumes
    ]
    since: tuple[tuple[int, str, Any], ...] = (
        (9, "locked", instance.is_locked),
        (19, "description", None),
        (26, "tags", []),
        (63, "trusted_image_certificates", None),
        (73, "locked_reason", instance.lock_reason),
        (96, "pinned_availability_zone", instance.zone),
        (100, "scheduler_hints", {"group": [instance.group.id]} if instance.group else {}),
    )
    row.update((name, value) for first, name, value in since if minor >= first)
    if minor >= 90 and not asked.may(SEE_HOST):
        row["OS-EXT-SRV-ATTR:hostname"] = _hostname(instance.name)
    return row


def _embedded_flavor(asked: Asked, flavor: Flavor) -> dict[str, Any]:
    if asked.minor < 47:
        bookmark = f"{asked.url}/flavors/{flavor.id}"
        return {"id": flavor.id, "links": [{"rel": "bookmark", "href": bookmark}]}
    row: dict[str, Any] = {
        "vcpus": flavor.vcpus,
        "ram": flavor.ram_mib,
        "disk": flavor.disk_gib,
        "ephemeral": flavor.ephemeral_gib,
        "swap": flavor.swap_mib,
        "original_name": flavor.name,
    }
    if asked.may(SEE_EXTRA_SPECS):
        row["extra_specs"] = flavor.extra_specs
    return row


def _image(asked: Asked, instance: Instance) -> Any:
    if instance.image_id is None:
        return ""
    bookmark = f"{asked.url}/images/{instance.image_id}"
    image: dict[str, Any] = {
        "id": instance.image_id,
        "links": [{"rel": "bookmark", "href": bookmark}],
    }
    if asked.minor >= 98:
        image["properties"] = instance.image_properties
    return image


def _fault(instance: Instance) -> dict[str, Any]:
    fault = instance.fault
    if fault is None:
        return {}
    row = {"code": fault.code, "created": iso(fault.created_at), "message": fault.message}
    return {**row, "details": fault.details} if fault.details else row


def _extended(instance: Instance, host: ComputeHost | None) -> dict[str, Any]:
    values = {
        "host": instance.host,
        "instance_name": instance.guest_name,
        "hypervisor_hostname": host.hostname if host else None,
        "hostname": _hostname(instance.name),
        "kernel_id": "",
        "launch_index": 0,
        "ramdisk_id": "",
        "reservation_id": f"r-{instance.number:08x}",
        "root_device_name": "/dev/vda" if instance.host else None,
        "user_data": None,
    }
    return {f"OS-EXT-SRV-ATTR:{name}": value for name, value in values.items()}


def _hostname(name: str) -> str:
    """Source: nova.utils.sanitize_hostname."""
    text = re.sub(r"[ _.]", "-", name)
    return re.sub(r"[^\w-]+", "", text).lower().strip("-")[:63]


def silent_server(asked: Asked, instance: Instance, *, is_alone: bool) -> dict[str, Any]:
    """What is known of an instance whose cell does not answer (from 2.69 on).

    ``is_alone``: of GET /servers/{id}, which knows more than a list.
    """
    row: dict[str, Any] = {
        "id": instance.id,
        "status": "UNKNOWN",
        "tenant_id": instance.project_id,
        "created": iso(instance.created_at),
        "links": links(asked, "servers", instance.id),
    }
    if is_alone:
        row["image"] = _image(asked, instance)
        row["flavor"] = _embedded_flavor(asked, instance.flavor)
        row["OS-EXT-AZ:availability_zone"] = instance.zone or "UNKNOWN"
        row["OS-EXT-STS:power_state"] = 0
        row["user_id"] = instance.user_id
        if asked.minor >= 71:
            row["server_groups"] = [instance.group.id] if instance.group else []
    return row
