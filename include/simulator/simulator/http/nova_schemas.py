"""The shapes that Nova's API asks for: of bodies, and of the parameters of a URL.

Source: nova.api.openstack.compute.schemas, nova.api.validation.parameter_types, of Nova 34.0.0.
"""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

_BOOLEAN: Schema = {
    "type": ["boolean", "string"],
    "enum": [
        *(True, "True", "TRUE", "true", "1", "ON", "On", "on", "YES", "Yes", "yes"),
        *(False, "False", "FALSE", "false", "0", "OFF", "Off", "off", "NO", "No", "no"),
    ],
}
_AUTO = {**_BOOLEAN, "enum": [*_BOOLEAN["enum"], "auto"]}
_FQDN: Schema = {
    "type": "string",
    "pattern": "^[a-zA-Z0-9-._]*$",
    "minLength": 1,
    "maxLength": 255,
}
_HOST = {**_FQDN, "type": ["string", "null"]}
_TEXT: Schema = {"type": "string"}
_SHORT: Schema = {"type": "string", "minLength": 1, "maxLength": 255}
_NUMBER: Schema = {
    "type": ["integer", "string"],
    "pattern": "^[0-9]*$",
    "minimum": 0,
    "minLength": 1,
}
_TIME: Schema = {"type": "string", "format": "date-time"}
_REGEX: Schema = {"type": "string", "format": "regex"}


def _closed(properties: Schema, *required: str, kind: str | list[str] = "object") -> Schema:
    found: Schema = {"type": kind, "properties": properties}
    if required:
        found["required"] = list(required)
    return {**found, "additionalProperties": False}


def _many(schema: Schema) -> Schema:
    return {"type": "array", "items": schema}


def _one(schema: Schema) -> Schema:
    return {**_many(schema), "maxItems": 1}


# -- actions of servers

_UNSEEN: Schema = {}  # anything may be given, and is not looked at
_OPEN = (
    *("os-start", "os-stop", "pause", "unpause", "suspend", "resume", "unlock", "shelve"),
    *("confirmResize", "revertResize", "unrescue"),
)


def action(name: str, minor: int) -> Schema:
    """The body of POST /servers/{id}/action; an empty schema where it is not looked at."""
    if name in _OPEN:
        return _closed({name: _UNSEEN}, name)
    shape = _ACTIONS[name](minor) if name in _ACTIONS else None
    return _UNSEEN if shape is None else _closed({name: shape}, name)


def _migrate_live(minor: int) -> Schema:
    if minor < 25:
        names = {"block_migration": _BOOLEAN, "disk_over_commit": _BOOLEAN, "host": _HOST}
        return _closed(names, "block_migration", "disk_over_commit", "host")
    names = {"block_migration": _AUTO, "host": _HOST}
    if 30 <= minor < 68:
        names["force"] = _BOOLEAN
    return _closed(names, "block_migration", "host")


def _migrate(minor: int) -> Schema | None:
    return None if minor < 56 else _closed({"host": _HOST}, kind=["object", "null"])


def _reboot(_: int) -> Schema:
    kinds = ["HARD", "Hard", "hard", "SOFT", "Soft", "soft"]
    return _closed({"type": {"type": "string", "enum": kinds}}, "type")


def _reset(_: int) -> Schema:
    return _closed({"state": {"type": "string", "enum": ["active", "error"]}}, "state")


def _lock(minor: int) -> Schema:
    if minor < 73:
        return _UNSEEN
    return _closed({"locked_reason": _SHORT}, kind=["object", "null"])


_ACTIONS = {
    "os-migrateLive": _migrate_live,
    "migrate": _migrate,
    "reboot": _reboot,
    "os-resetState": _reset,
    "lock": _lock,
}


# -- other bodies


def force_complete(_: int) -> Schema:
    """POST /servers/{id}/migrations/{id}/action."""
    return _closed({"force_complete": {"type": "null"}}, "force_complete")


def service(minor: int) -> Schema:
    """PUT /os-services/{id}."""
    if minor < 53:
        names = {"host": _FQDN, "binary": _SHORT, "disabled_reason": _SHORT}
        if minor >= 11:
            names["forced_down"] = _BOOLEAN
        return _closed(names, "host", "binary")
    status = {"type": "string", "enum": ["enabled", "disabled"]}
    return _closed({"status": status, "disabled_reason": _SHORT, "forced_down": _BOOLEAN})


_POLICIES = ["anti-affinity", "affinity", "soft-anti-affinity", "soft-affinity"]


def server_group(minor: int) -> Schema:
    """POST /os-server-groups."""
    if minor < 64:
        policies = {"type": "array", "minItems": 1, "maxItems": 1, "uniqueItems": True}
        policies["prefixItems"] = [{"type": "string", "enum": _POLICIES}]
        group = _closed({"name": _SHORT, "policies": policies}, "name", "policies")
    else:
        rules = _closed({"max_server_per_host": {**_NUMBER, "minimum": 1}})
        policy = {"type": "string", "enum": _POLICIES}
        names = {"name": _SHORT, "policy": policy, "rules": rules}
        group = _closed(names, "name", "policy")
    return _closed({"server_group": group}, "server_group")


_OF_NEW_SERVER: Schema = {
    "name": _SHORT,
    "imageRef": {
        "oneOf": [{"type": "string", "format": "uuid"}, {"type": "string", "maxLength": 0}]
    },
    "flavorRef": {"type": ["string", "integer"], "minLength": 1},
    "networks": {
        "oneOf": [
            {"type": "array", "items": {"type": "object"}},
            {"type": "string", "enum": ["none", "auto"]},
        ]
    },
    **dict.fromkeys(
        (
            *("adminPass", "metadata", "OS-DCF:diskConfig", "accessIPv4", "accessIPv6"),
            *("availability_zone", "block_device_mapping", "block_device_mapping_v2"),
            *("config_drive", "key_name", "min_count", "max_count", "return_reservation_id"),
            *("security_groups", "user_data", "description", "tags"),
        ),
        _UNSEEN,
    ),
}


def server(minor: int) -> Schema:
    """POST /servers; of what the simulated cloud does not know, only the name is looked at."""
    names = dict(_OF_NEW_SERVER)
    if minor >= 63:
        names["trusted_image_certificates"] = _UNSEEN
    if minor >= 74:
        names |= {"host": _FQDN, "hypervisor_hostname": _FQDN}
    if minor >= 90:
        names["hostname"] = _UNSEEN
    required = ("name", "flavorRef", *(("networks",) if minor >= 37 else ()))
    hints = dict.fromkeys(("os:scheduler_hints", "OS-SCH-HNT:scheduler_hints"), _UNSEEN)
    return _closed({"server": _closed(names, *required), **hints}, "server")


# -- parameters of URLs


def _query(names: Schema, *, is_closed: bool) -> Schema:
    return {"type": "object", "properties": names, "additionalProperties": not is_closed}


_PAGES = {"limit": _many(_NUMBER), "marker": _many(_TEXT)}
_PAGE = {"limit": _one(_NUMBER), "marker": _one(_TEXT)}
_EXACT = (
    *("user_id", "project_id", "tenant_id", "launch_index", "image_ref", "image", "vm_state"),
    *("task_state", "host", "uuid", "sort_key", "sort_dir", "all_tenants", "soft_deleted"),
    *("deleted", "status", "block_device_mapping", "services", "metadata", "system_metadata"),
    *("info_cache", "security_groups", "pci_devices"),
)
_PATTERNS = (
    *("kernel_id", "ramdisk_id", "hostname", "key_name", "power_state", "node", "flavor"),
    *("reservation_id", "launched_at", "terminated_at", "availability_zone", "name"),
    *("display_name", "description", "display_description", "locked_by", "root_device_name"),
    *("config_drive", "access_ip_v4", "access_ip_v6", "auto_disk_config", "progress", "ip"),
    *("ip6", "created_at"),
)


def servers_query(minor: int) -> Schema:
    """GET /servers."""
    names = dict.fromkeys(_EXACT, _many(_TEXT)) | dict.fromkeys(_PATTERNS, _many(_REGEX)) | _PAGES
    names["changes-since"] = _many(_TIME)
    if minor >= 26:
        tags = ("tags", "tags-any", "not-tags", "not-tags-any")
        names |= dict.fromkeys(tags, _many(_REGEX))
    if minor >= 66:
        names["changes-before"] = _many(_TIME)
    if minor >= 73:
        names["locked"] = _many(_TEXT)
    return {**_query(names, is_closed=minor >= 75), "patternProperties": {"^_": _many(_TEXT)}}


def migrations_query(minor: int) -> Schema:
    """GET /os-migrations."""
    known = ("hidden", "host", "instance_uuid", "source_compute", "status", "migration_type")
    names = dict.fromkeys(known, _many(_TEXT))
    if minor >= 59:
        names |= {**_PAGE, "changes-since": _one(_TIME)}
    if minor >= 66:
        names["changes-before"] = _one(_TIME)
    if minor >= 80:
        names |= {"user_id": _one(_TEXT), "project_id": _one(_TEXT)}
    return _query(names, is_closed=minor >= 59)


def services_query(minor: int) -> Schema:
    """GET /os-services."""
    return _query({"host": _many(_TEXT), "binary": _many(_TEXT)}, is_closed=minor >= 75)


def hypervisors_query(minor: int) -> Schema:
    """GET /os-hypervisors."""
    if minor < 33:
        return _query({}, is_closed=False)
    if minor < 53:
        return _query(_PAGES, is_closed=False)
    more = {"hypervisor_hostname_pattern": _one(_FQDN), "with_servers": _one(_BOOLEAN)}
    return _query({**_PAGE, **more}, is_closed=True)


def actions_query(minor: int) -> Schema:
    """GET /servers/{id}/os-instance-actions."""
    if minor < 58:
        return _query({}, is_closed=False)
    names = {**_PAGE, "changes-since": _one(_TIME)}
    if minor >= 66:
        names["changes-before"] = _one(_TIME)
    return _query(names, is_closed=True)


def groups_query(minor: int) -> Schema:
    """GET /os-server-groups."""
    names = {"all_projects": _many(_TEXT), "limit": _many(_NUMBER), "offset": _many(_NUMBER)}
    return _query(names, is_closed=minor >= 75)
