"""Where a run's record is kept: JSON for machines, a page for people."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from airflow.sdk import ObjectStoragePath

from openstack_maintenance.domain.errors import PolicyError

if TYPE_CHECKING:
    from openstack_maintenance.domain.policy import Policy


def records_url(policy: Policy) -> str:
    """The policy's storage, by default ``records`` in AIRFLOW_HOME."""
    home = os.environ.get("AIRFLOW_HOME") or os.path.expanduser("~/airflow")  # noqa: PTH111
    return policy.records or f"file://{home}/records"


def record_path(policy: Policy, dag_id: str, run_id: str) -> ObjectStoragePath:
    """The record's JSON file."""
    return ObjectStoragePath(records_url(policy)) / dag_id / f"{file_name(run_id)}.json"


def file_name(text: str) -> str:
    # Airflow lets run ids carry characters that a path must not, such as '/'.
    return "".join(char if char.isalnum() or char in "._-+:" else "_" for char in text)


def find_record(policy: Policy, dag_id: str, run_id: str) -> dict[str, Any] | None:
    """An earlier record of this run; None when there is none."""
    path = record_path(policy, dag_id, run_id)
    try:
        return dict(json.loads(path.read_text())) if path.exists() else None
    except (OSError, ValueError) as error:
        raise unusable_storage(policy, error) from error


def write_record(policy: Policy, record: dict[str, Any], page: str) -> str:
    """Store a record and its page. Returns where. Raises: PolicyError."""
    path = record_path(policy, record["dag_id"], record["run_id"])
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(record, indent=2, sort_keys=False) + "\n")
        path.with_suffix(".html").write_text(page)
    except OSError as error:
        raise unusable_storage(policy, error) from error
    return str(path)


def find_note(policy: Policy, dag_id: str, run_id: str, name: str) -> Any:
    """What this run noted under a name; None when it did not. Raises: PolicyError."""
    path = _note_path(policy, dag_id, run_id, name)
    try:
        return json.loads(path.read_text()) if path.exists() else None
    except (OSError, ValueError) as error:
        raise unusable_storage(policy, error) from error


def write_note(policy: Policy, dag_id: str, run_id: str, name: str, value: Any) -> None:
    """Note something beside the run's record that outlives any task. Raises: PolicyError."""
    path = _note_path(policy, dag_id, run_id, name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(value) + "\n")
    except OSError as error:
        raise unusable_storage(policy, error) from error


def _note_path(policy: Policy, dag_id: str, run_id: str, name: str) -> ObjectStoragePath:
    record = record_path(policy, dag_id, run_id)
    return record.parent / "notes" / f"{record.stem}.{file_name(name)}.json"


def unusable_storage(policy: Policy, error: Exception) -> PolicyError:
    """The error that says that records cannot be kept, and why."""
    return PolicyError(
        f"records storage {records_url(policy)}",
        f"cannot be used: {error}",
        "Mend the policy's field records, or the storage.",
    )
