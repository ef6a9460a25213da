"""A fleet in a file: what a plan needs to know of it, as plain JSON. No secrets, no addresses.

``docs/fleet.schema.json`` says what is in it. New keys may come without a new version; a reader
leaves aside what it does not know.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, TypeVar

from openstack_maintenance.domain.foreign_text import quoted
from openstack_maintenance.domain.nights.due import Verdict
from openstack_maintenance.domain.nights.fleet import Fleet, FleetHost, FleetInstance, Size
from openstack_maintenance.domain.nights.tonight import Blocking, Tonight

SCHEMA = "openstack-maintenance/fleet"
# Raised where a reader of older snapshots would misread a newer one.
VERSION = 1
_KINDS = ("due", "not_due", "passed_over")
_ON_BLOCKED = ("fail", "leave", "stop")
# No host has more, and what was multiplied by it can still be added up.
_MOST = 10**12
_A_NIGHT_SECONDS = 86_400
_LONGEST_SECONDS = 100 * 366 * 86_400

Kind = TypeVar("Kind", str, int, bool)


def snapshot_of(tonight: Tonight, taken_at: datetime) -> dict[str, Any]:
    """The snapshot of a fleet."""
    judged = {each.host: each for each in tonight.verdicts}
    fleet = tonight.fleet
    return {
        "schema": {"name": SCHEMA, "version": VERSION},
        "taken_at": taken_at.isoformat(timespec="seconds"),
        "on_blocked": tonight.on_blocked,
        "out": {"working": list(tonight.working), "failed": list(tonight.failed)},
        "hosts": [_host(each, judged.get(each.name)) for each in fleet.hosts],
        "instances": [_instance(each) for each in fleet.instances],
        "blocking": [asdict(each) for each in tonight.blocking],
    }


def _host(host: FleetHost, verdict: Verdict | None) -> dict[str, Any]:
    return {
        "name": host.name,
        "zone": host.zone,
        "capacity": asdict(host.capacity),
        "tonight": verdict.kind if verdict else "due" if host.is_due else "not_due",
        "reason": verdict.reason if verdict else "",
        "is_open": host.is_open,
        "provides": sorted(host.provides),
        "keeps_out": host.keeps_out,
        "was_left": host.left_for > timedelta(0),
        "left_for_seconds": int(host.left_for.total_seconds()),
    }


def _instance(instance: FleetInstance) -> dict[str, Any]:
    return {
        "id": instance.id,
        "host": instance.host,
        "size": asdict(instance.size),
        "requires": sorted(instance.requires),
        "group": instance.group,
    }


def read_snapshot(found: Any) -> Tonight:
    """The fleet of a snapshot. Raises: ValueError, saying what is wrong with it."""
    if not isinstance(found, Mapping):
        raise ValueError("it is not the snapshot of a fleet")
    _check_schema(found.get("schema"))
    hosts = [(_read_host(each), _read_verdict(each)) for each in _mappings(found, "hosts")]
    instances = [_read_instance(each) for each in _mappings(found, "instances")]
    names = {host.name for host, _ in hosts}
    _check_once("hosts", [host.name for host, _ in hosts])
    _check_once("instances", [each.id for each in instances])
    if stray := next((each for each in instances if each.host not in names), None):
        raise ValueError(f"instance {quoted(stray.id)} is on {quoted(stray.host)}, no host of it")
    out = _mapping(found, "out")
    on_blocked = _one_of(found, "on_blocked", _ON_BLOCKED)
    return Tonight(
        Fleet(tuple(host for host, _ in hosts), tuple(instances)),
        tuple(verdict for _, verdict in hosts),
        tuple(_read_blocking(each) for each in _mappings(found, "blocking")),
        working=_texts(out, "working"),
        failed=_texts(out, "failed"),
        on_blocked=on_blocked,  # type: ignore[arg-type]  # one of three texts
    )


def _check_schema(schema: Any) -> None:
    named = schema if isinstance(schema, Mapping) else {}
    version = named.get("version")
    if named.get("name") != SCHEMA or not isinstance(version, int) or isinstance(version, bool):
        raise ValueError("it is not the snapshot of a fleet")
    if version != VERSION:
        raise ValueError(f"its version is {quoted(version)}, and this release reads {VERSION}")


def _read_host(row: Mapping[str, Any]) -> FleetHost:
    keeps_out = row.get("keeps_out")
    return FleetHost(
        _get(row, "name", str),
        _get(row, "zone", str),
        _size(row, "capacity"),
        is_due=_one_of(row, "tonight", _KINDS) == "due",
        is_open=_get(row, "is_open", bool),
        provides=frozenset(_texts(row, "provides")),
        keeps_out=None if keeps_out is None else _get(row, "keeps_out", str),
        left_for=_left_for(row),
    )


def _left_for(row: Mapping[str, Any]) -> timedelta:
    """Older releases said whether, not for how long."""
    if not _get(row, "was_left", bool):
        return timedelta(0)
    seconds = row.get("left_for_seconds", _A_NIGHT_SECONDS)
    is_number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
    if not is_number or not 0 <= seconds <= _LONGEST_SECONDS:
        raise ValueError(f"left_for_seconds is {quoted(seconds)}, no number of seconds")
    return timedelta(seconds=seconds)


def _read_verdict(row: Mapping[str, Any]) -> Verdict:
    kind = _one_of(row, "tonight", _KINDS)
    return Verdict(row["name"], kind, _get(row, "reason", str))  # type: ignore[arg-type]  # one of three


def _read_instance(row: Mapping[str, Any]) -> FleetInstance:
    return FleetInstance(
        _get(row, "id", str),
        _get(row, "host", str),
        _size(row, "size"),
        requires=frozenset(_texts(row, "requires")),
        group=None if row.get("group") is None else _get(row, "group", str),
    )


def _read_blocking(row: Mapping[str, Any]) -> Blocking:
    return Blocking(*(_get(row, key, str) for key in ("host", "instance", "reason", "remedy")))


def _size(row: Mapping[str, Any], key: str) -> Size:
    found = _mapping(row, key)
    return Size(*(_get(found, each, int) for each in ("vcpus", "ram_mib", "disk_gib")))


def _get(row: Mapping[str, Any], key: str, kind: type[Kind]) -> Kind:
    value = row.get(key)
    if type(value) is not kind or (isinstance(value, int) and abs(value) > _MOST):
        raise ValueError(f"{key}: {quoted(value)} is not what belongs there")
    return value


def _one_of(row: Mapping[str, Any], key: str, choices: tuple[str, ...]) -> str:
    value = _get(row, key, str)
    if value not in choices:
        raise ValueError(f"{key}: {quoted(value)} is none of {', '.join(choices)}")
    return value


def _texts(row: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = row.get(key)
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise ValueError(f"{key}: {quoted(value)} is not a list of texts")
    return tuple(value)


def _mapping(row: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = row.get(key)
    if not isinstance(value, Mapping):
        raise ValueError(f"{key}: {quoted(value)} is not what belongs there")
    return value


def _mappings(row: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    value = row.get(key)
    if not isinstance(value, list) or not all(isinstance(each, Mapping) for each in value):
        raise ValueError(f"{key}: {quoted(value)} is not a list of its rows")
    return value


def _check_once(what: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"{what}: {quoted(name)} is there twice")
        seen.add(name)
