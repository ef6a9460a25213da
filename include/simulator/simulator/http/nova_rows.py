"""Rows of Nova's answers besides servers, as each microversion shows them.

Source: nova.api.openstack.compute.views and the controllers, read in Nova 34.0.0; compared with
the answers that were recorded from the lab (tests/fixtures/nova).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from simulator.cloud.model import (
    Action,
    Aggregate,
    ComputeHost,
    Event,
    Flavor,
    Group,
    Instance,
    Migration,
    Service,
)
from simulator.http.nova_request import Asked, host_id, links, stamp

_LINKED = {"queued", "preparing", "running", "post-migrating"}


def migration(asked: Asked, each: Migration, *, sees_hosts: bool, status: str) -> dict[str, Any]:
    """A row of os-migrations."""
    hosts = asked.cloud.state.hosts
    destination = hosts.get(each.destination or "")
    # Written when the conductor has found a destination.
    node = hosts[each.source].hostname if destination or not each.is_live else None
    row: dict[str, Any] = {
        "id": each.id,
        "uuid": each.uuid,
        "source_compute": each.source,
        "dest_compute": each.destination,
        "source_node": node,
        "dest_node": destination.hostname if destination else None,
        "dest_host": destination.ip if destination and not each.is_live else None,
        "old_instance_type_id": each.old_flavor.number,
        "new_instance_type_id": each.new_flavor.number,
        "instance_uuid": each.instance.id,
        "status": status,
        "migration_type": each.kind,
        "user_id": each.user_id,
        "project_id": each.project_id,
        "created_at": stamp(each.created_at),
        "updated_at": stamp(each.updated_at),
    }
    if not sees_hosts:
        names = ("source_compute", "dest_compute", "source_node", "dest_node", "dest_host")
        row.update(dict.fromkeys(names))
    if asked.minor < 80:
        del row["user_id"], row["project_id"]
    if asked.minor < 59:
        del row["uuid"]
    if asked.minor < 23:
        del row["migration_type"]
    elif each.is_live and status in _LINKED:
        row["links"] = links(asked, f"servers/{each.instance.id}/migrations", str(each.id))
    return row


def server_migration(asked: Asked, each: Migration) -> dict[str, Any]:
    """A row of GET /servers/{id}/migrations."""
    row = migration(asked, each, sees_hosts=True, status=each.status)
    hosts = ("source_compute", "source_node", "dest_compute", "dest_node", "dest_host")
    times = ("created_at", "updated_at", "user_id", "project_id")
    kept = ("id", "uuid", "status", *times, *hosts)
    found = {name: row[name] for name in kept if name in row}
    return {**found, "server_uuid": each.instance.id, **_progress(asked, each)}


def _progress(asked: Asked, each: Migration) -> dict[str, int | None]:
    """Unknown until the hypervisor has told."""
    if each.running_since is None:
        names = ("total", "processed", "remaining")
        return {f"{what}_{name}_bytes": None for what in ("memory", "disk") for name in names}
    total = each.instance.flavor.ram_mib * 2**20
    share = min(1.0, _share(asked, each, each.running_since))
    return {
        "memory_total_bytes": total,
        "memory_processed_bytes": int(total * share),
        "memory_remaining_bytes": int(total * (1 - share)),
        "disk_total_bytes": 0,
        "disk_processed_bytes": 0,
        "disk_remaining_bytes": 0,
    }


def _share(asked: Asked, each: Migration, running_since: datetime) -> float:
    settings = asked.cloud.settings
    passed = (asked.cloud.state.now() - running_since).total_seconds()
    whole = max(settings.live_least, each.instance.flavor.ram_mib / settings.live_bandwidth_mib)
    return max(0.0, passed / whole)


def service(asked: Asked, each: Service) -> dict[str, Any]:
    """A row of os-services."""
    is_up, updated_at = asked.cloud.services.shown(each)
    row: dict[str, Any] = {
        "binary": each.binary,
        "host": each.host,
        "id": each.id if asked.minor >= 53 else each.number,
        "zone": each.zone,
        "status": "disabled" if each.is_disabled else "enabled",
        "state": "up" if is_up else "down",
        "updated_at": stamp(updated_at),
        "disabled_reason": each.disabled_reason,
    }
    if asked.minor >= 11:
        row["forced_down"] = each.is_forced_down
    return row


def hypervisor(asked: Asked, host: ComputeHost, *, is_detailed: bool) -> dict[str, Any]:
    """A row of os-hypervisors."""
    is_up = asked.cloud.services.is_up(host.service)
    row: dict[str, Any] = {
        "id": host.id if asked.minor >= 53 else host.number,
        "hypervisor_hostname": host.hostname,
        "state": "up" if is_up else "down",
        "status": "disabled" if host.service.is_disabled else "enabled",
    }
    if not is_detailed:
        return row
    row["hypervisor_type"] = asked.cloud.settings.hypervisor_type
    row["hypervisor_version"] = host.hypervisor_version
    row["host_ip"] = host.ip
    row["service"] = {
        "id": host.service.id if asked.minor >= 53 else host.service.number,
        "host": host.name,
        "disabled_reason": host.service.disabled_reason,
    }
    if asked.minor < 88:
        row.update(_load(host))
    else:
        row["uptime"] = _uptime(asked, host) if is_up and host.is_computing else None
    return row


def _load(host: ComputeHost) -> dict[str, Any]:
    used = host.used
    return {
        "cpu_info": {"arch": "x86_64", "model": "Nehalem", "vendor": "Intel", "features": []},
        "current_workload": 0,
        "disk_available_least": host.disk_gib - used["DISK_GB"],
        "free_disk_gb": host.disk_gib - used["DISK_GB"],
        "free_ram_mb": host.ram_mib - host.reserved_ram_mib - used["MEMORY_MB"],
        "local_gb": host.disk_gib,
        "local_gb_used": used["DISK_GB"],
        "memory_mb": host.ram_mib,
        "memory_mb_used": used["MEMORY_MB"] + host.reserved_ram_mib,
        "running_vms": len(host.instances),
        "vcpus": host.vcpus,
        "vcpus_used": used["VCPU"],
    }


def _uptime(asked: Asked, host: ComputeHost) -> str | None:
    if host.booted_at is None:
        return None
    minutes = int((asked.cloud.state.clock.now() - host.booted_at).total_seconds() // 60)
    return f"up {minutes // 1440} days, {minutes // 60 % 24}:{minutes % 60:02}"


def aggregate(asked: Asked, each: Aggregate) -> dict[str, Any]:
    """A row of os-aggregates."""
    row: dict[str, Any] = {
        "id": each.id,
        "uuid": each.uuid,
        "name": each.name,
        "hosts": each.hosts,
        "metadata": each.metadata,
        "created_at": stamp(each.created_at),
        "updated_at": None,
        "deleted_at": None,
        "deleted": False,
        "availability_zone": each.zone,
    }
    if asked.minor < 41:
        del row["uuid"]
    return row


def group(asked: Asked, each: Group) -> dict[str, Any]:
    """A row of os-server-groups."""
    row: dict[str, Any] = {"id": each.id, "name": each.name}
    if asked.minor >= 64:
        row |= {"policy": each.policy, "rules": each.rules}
    else:
        row |= {"policies": [each.policy], "metadata": {}}
    known = asked.cloud.state.instances
    row["members"] = [member for member in each.members if _is_listed(known[member])]
    return {**row, "project_id": each.project_id, "user_id": each.user_id}


def _is_listed(member: Instance) -> bool:
    """Members in a cell that does not answer are taken for deleted."""
    is_silent = member.cell is not None and member.cell.is_away
    return not is_silent and member.vm_state != "soft-delete"


def flavor(asked: Asked, each: Flavor, *, is_detailed: bool) -> dict[str, Any]:
    """A row of flavors."""
    row: dict[str, Any] = {
        "id": each.id,
        "name": each.name,
        "links": links(asked, "flavors", each.id),
    }
    if asked.minor >= 55:
        row["description"] = None
    if not is_detailed:
        return row
    row |= {
        "ram": each.ram_mib,
        "disk": each.disk_gib,
        "swap": each.swap_mib or (0 if asked.minor >= 75 else ""),
        "OS-FLV-EXT-DATA:ephemeral": each.ephemeral_gib,
        "vcpus": each.vcpus,
        "os-flavor-access:is_public": each.is_public,
    }
    if asked.minor < 102:
        row |= {"OS-FLV-DISABLED:disabled": False, "rxtx_factor": 1.0}
    if asked.minor >= 61:
        row["extra_specs"] = each.extra_specs
    return row


def action(asked: Asked, instance: Instance, each: Action) -> dict[str, Any]:
    """A row of os-instance-actions."""
    row: dict[str, Any] = {
        "action": each.name,
        "instance_uuid": instance.id,
        "request_id": each.request_id,
        "user_id": each.user_id,
        "project_id": each.project_id,
        "start_time": stamp(each.started_at),
        "message": each.message,
    }
    if asked.minor >= 58:
        row["updated_at"] = stamp(each.updated_at)
    return row


def event(asked: Asked, instance: Instance, each: Event) -> dict[str, Any]:
    """One event of an action. Since 2.84 the details say what a traceback's end said before."""
    row: dict[str, Any] = {
        "event": each.name,
        "start_time": stamp(each.started_at),
        "finish_time": stamp(each.finished_at),
        "result": each.result,
        "traceback": None,
    }
    if each.details is not None:
        last = "    raise result\n"
        if asked.cloud.settings.newest < 84:
            last += f"nova.exception.{each.kind}: {each.details}\n"
        row["traceback"] = f'  File "nova/compute/utils.py", line 1483, in decorated\n{last}'
    if asked.minor >= 62:
        row["host"] = each.host
        row["hostId"] = host_id(each.host, instance.project_id)
    if asked.minor >= 84:
        row["details"] = each.details
    return row
