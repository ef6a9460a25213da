"""What earlier runs have left: when each host was last maintained, and who is still waiting."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from airflow.sdk import ObjectStoragePath

from openstack_maintenance.operators.run_record import file_name, records_url, unusable_storage

if TYPE_CHECKING:
    from openstack_maintenance.domain.policy import Policy


def write_last_maintenance(policy: Policy, host: str, told: Mapping[str, Any]) -> None:
    """Remember a maintenance that is done: ended_at, run_id, and how long what took."""
    path = _folder(policy) / f"{file_name(host)}.json"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(told, indent=2) + "\n")
    except OSError as error:
        raise unusable_storage(policy, error) from error


def find_last_maintenances(policy: Policy) -> dict[str, dict[str, Any]]:
    """What is remembered, by host's file name; what is cut short counts as nothing."""
    folder = _folder(policy)
    try:
        files = list(folder.iterdir()) if folder.exists() else []
        read = {path.stem: path.read_text() for path in files if path.suffix == ".json"}
    except OSError as error:
        raise unusable_storage(policy, error) from error
    return {name: told for name, text in read.items() if (told := _told(text))}


def left_last_night(policy: Policy) -> frozenset[str]:
    """The hosts that were due on the last night or before, and have not been done since.

    A file that is cut short counts as none: these hosts are due all the same, only not first.
    Raises: PolicyError, where the storage cannot be used.
    """
    path = _left_path(policy)
    try:
        told = _told(path.read_text()) if path.exists() else None
    except OSError as error:
        raise unusable_storage(policy, error) from error
    hosts = told.get("hosts") if told else None
    return frozenset(map(str, hosts)) if isinstance(hosts, list) else frozenset()


def write_left(policy: Policy, left: Iterable[str], done: Iterable[str]) -> None:
    """Remember at a night's end which hosts are to come first on the next one.

    ``left``: due, and not done. ``done``: maintained. Who is in neither stays as it was: a run by
    hand of one host does not make the others lose their place. Twice the same changes nothing.
    Raises: PolicyError, where the storage cannot be used.
    """
    hosts = sorted((left_last_night(policy) - frozenset(done)) | frozenset(left))
    path = _left_path(policy)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"hosts": hosts}, indent=2) + "\n")
    except OSError as error:
        raise unusable_storage(policy, error) from error


def _told(text: str) -> dict[str, Any] | None:
    try:
        return dict(json.loads(text))
    except (TypeError, ValueError):
        return None


def _folder(policy: Policy) -> ObjectStoragePath:
    return ObjectStoragePath(records_url(policy)) / "compute_host_maintenance" / "hosts"


def _left_path(policy: Policy) -> ObjectStoragePath:
    # In a folder of its own: what lies beside it is named after runs.
    return ObjectStoragePath(records_url(policy)) / "nightly_compute_maintenance/hosts/left.json"
