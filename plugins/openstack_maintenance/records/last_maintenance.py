"""What earlier runs have left: when each host was last maintained, and who is still waiting."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from datetime import datetime
from types import NoneType
from typing import TYPE_CHECKING, Any

from openstack_maintenance.domain.moment import read_moment
from openstack_maintenance.domain.record_name import file_name
from openstack_maintenance.records.store import (
    UNUSABLE,
    NotJson,
    read_json,
    records_path,
    unusable_storage,
    write_json,
)

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

    from openstack_maintenance.domain.policy import Policy

_log = logging.getLogger(__name__)


def write_last_maintenance(policy: Policy, host: str, told: Mapping[str, Any]) -> None:
    """Remember a maintenance that is done: ended_at, run_id, and how long what took."""
    write_json(policy, _folder(policy) / f"{file_name(host)}.json", told)


def find_last_maintenances(policy: Policy) -> dict[str, dict[str, Any]]:
    """What is remembered, by host's file name; what cannot be used counts as nothing."""
    folder = _folder(policy)
    try:
        files = list(folder.iterdir()) if folder.exists() else []
    except UNUSABLE as error:
        raise unusable_storage(policy, error) from error
    read = {path.stem: _told(policy, path) for path in files if path.suffix == ".json"}
    return {name: told for name, told in read.items() if read_moment(told.get("ended_at"))}


def find_left(policy: Policy) -> dict[str, datetime | None]:
    """The hosts that a night has left while they were due, and that have not been done since.

    With when that first was; None where an older release noted it. A file that is cut short is
    ignored: these hosts are due all the same, only not first.
    Raises: PolicyError, where the storage cannot be used.
    """
    told = _told(policy, _left_path(policy))
    hosts, since = told.get("hosts"), told.get("since")
    known = since if isinstance(since, dict) else {}
    names = [each for each in hosts if isinstance(each, str)] if isinstance(hosts, list) else []
    return {each: read_moment(known.get(each)) for each in names}


def write_left(policy: Policy, left: Iterable[str], done: Iterable[str], now: datetime) -> None:
    """Remember at a night's end which hosts are to come first on the next one.

    ``left``: due, and not done. ``done``: maintained. Who is in neither stays as it was: a run by
    hand of one host does not make the others lose their place. Twice the same changes nothing.
    Raises: PolicyError, where the storage cannot be used.
    """
    over = frozenset(done)
    found = {host: since for host, since in find_left(policy).items() if host not in over}
    found |= {host: found.get(host) or now for host in left}
    since = {host: moment.isoformat() for host, moment in sorted(found.items()) if moment}
    write_json(policy, _left_path(policy), {"hosts": sorted(found), "since": since})


def _told(policy: Policy, path: ObjectStoragePath) -> dict[str, Any]:
    try:
        found = read_json(policy, path)
        if not isinstance(found, (dict, NoneType)):
            raise NotJson("it does not have the expected fields")
    except NotJson as error:
        _log.warning("%s is ignored: %s", path, error)
        return {}
    return found or {}


def _folder(policy: Policy) -> ObjectStoragePath:
    return records_path(policy, "compute_host_maintenance", "hosts")


def _left_path(policy: Policy) -> ObjectStoragePath:
    # In a folder of its own: what lies beside it is named after runs.
    return records_path(policy, "nightly_compute_maintenance", "hosts", "left.json")
