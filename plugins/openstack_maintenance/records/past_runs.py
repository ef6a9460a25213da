"""The records of earlier host runs, read for what they teach."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from openstack_maintenance.domain.nights.past_run import PastRun, read_past_run
from openstack_maintenance.records.store import (
    UNUSABLE,
    NotJson,
    read_json,
    records_path,
    unusable_storage,
)

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

    from openstack_maintenance.domain.policy import Policy

# The newest ones: older ones tell of another kernel, and of other hardware.
_MOST = 1000
_DATE = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+")


def find_past_runs(policy: Policy, patience_seconds: float) -> list[PastRun]:
    """What the newest records teach; those that cannot be used are left aside.

    ``patience_seconds``: after so long, what has been read has to do. Raises: PolicyError, where
    the storage cannot be used.
    """
    until = time.monotonic() + patience_seconds
    folder = records_path(policy, "compute_host_maintenance")
    try:
        files = (
            [each for each in folder.iterdir() if each.suffix == ".json"] if folder.exists() else []
        )
    except UNUSABLE as error:
        raise unusable_storage(policy, error) from error
    found = []
    for path in sorted(files, key=_age)[:_MOST]:
        if time.monotonic() > until:
            break
        if (run := _read(policy, path)) is not None:
            found.append(run)
    # In an order of their own, whatever order the storage lists them in.
    return sorted(found, key=lambda each: (each.ended, each.run_id))


def _age(path: ObjectStoragePath) -> tuple[bool, list[int], str]:
    """The newest first, by the date in the run's id; those without one last."""
    date = _DATE.search(path.name)
    return date is None, [-ord(each) for each in date[0]] if date else [], path.name


def _read(policy: Policy, path: ObjectStoragePath) -> PastRun | None:
    try:
        return read_past_run(read_json(policy, path))
    except NotJson:
        return None
