"""What the last checks saw of each controller, so that the next ones notice a restart."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from types import NoneType
from typing import TYPE_CHECKING, Any

from openstack_maintenance.domain.checks.service_rules import (
    LastCheck,
    plain_last_check,
    read_last_check,
)
from openstack_maintenance.records.store import NotJson, read_json, records_path, write_json

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

    from openstack_maintenance.domain.policy import Policy

_log = logging.getLogger(__name__)


def find_last_check(policy: Policy, host: str) -> LastCheck:
    """The last check of a controller; an empty one where there was none."""
    return _read(policy).get(host, LastCheck())


def write_last_checks(policy: Policy, seen: Mapping[str, Mapping[str, Any]]) -> None:
    """Remember what was seen: boot_id, clock and restarts by controller. Raises: PolicyError."""
    known = {host: plain_last_check(last) for host, last in _read(policy).items()}
    write_json(policy, _path(policy), {**known, **seen})


def _read(policy: Policy) -> dict[str, LastCheck]:
    """By controller; what cannot be used counts as no check: a restart may go unnoticed once."""
    path = _path(policy)
    try:
        stored = read_json(policy, path)
        if not isinstance(stored, (Mapping, NoneType)):
            raise NotJson("it is not a list of controllers")
    except NotJson as error:
        _log.warning("%s is ignored: %s", path, error)
        return {}
    found = {host: read_last_check(each) for host, each in (stored or {}).items()}
    return {host: last for host, last in found.items() if last.clock is not None}


def _path(policy: Policy) -> ObjectStoragePath:
    return records_path(policy, "controller_checks", "last_check.json")
