"""What the last checks saw of each controller, so that the next ones notice a restart."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.sdk import ObjectStoragePath

from openstack_maintenance.domain.service_rules import LastCheck, read_last_check
from openstack_maintenance.operators.run_record import records_url, unusable_storage

if TYPE_CHECKING:
    from openstack_maintenance.domain.policy import Policy


def find_last_check(policy: Policy, host: str) -> LastCheck:
    """The last check of a controller; an empty one where there was none."""
    stored = _read(policy).get(host)
    return read_last_check(stored) if stored else LastCheck()


def write_last_checks(policy: Policy, seen: Mapping[str, Mapping[str, Any]]) -> None:
    """Remember what was seen: boot_id, clock and restarts by controller. Raises: PolicyError."""
    path = _path(policy)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({**_read(policy), **seen}, indent=2) + "\n")
    except OSError as error:
        raise unusable_storage(policy, error) from error


def _read(policy: Policy) -> dict[str, Any]:
    path = _path(policy)
    try:
        return dict(json.loads(path.read_text())) if path.exists() else {}
    except ValueError:
        return {}  # cut short by a crash: as if there had been no check
    except OSError as error:
        raise unusable_storage(policy, error) from error


def _path(policy: Policy) -> ObjectStoragePath:
    return ObjectStoragePath(records_url(policy)) / "controller_checks" / "last_check.json"
