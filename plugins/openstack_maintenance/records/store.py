"""Where a run's record is kept: JSON for machines, a page for people."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import ObjectStoragePath

from openstack_maintenance.domain.errors import PolicyError, RecordUnreadable
from openstack_maintenance.domain.foreign_text import quoted, storable
from openstack_maintenance.domain.record_name import file_name, plain_name

if TYPE_CHECKING:
    from openstack_maintenance.domain.policy import Policy

# A record of ten thousand instances has a tenth of that.
_MOST_BYTES = 64 * 1024 * 1024
_ASIDE = ".unreadable"
# What a storage raises that is not there, may not be used, or whose driver is not installed.
UNUSABLE = (OSError, ImportError, ValueError, NotImplementedError)
_LOCAL = ("file", "local", "")


def records_url(policy: Policy) -> str:
    """The policy's storage, by default ``records`` in AIRFLOW_HOME."""
    home = os.environ.get("AIRFLOW_HOME") or os.path.expanduser("~/airflow")  # noqa: PTH111
    return policy.records or f"file://{home}/records"


def records_path(policy: Policy, *parts: str) -> ObjectStoragePath:
    """A file or folder of the records. Raises: PolicyError, where their URL leads nowhere."""
    try:
        return ObjectStoragePath(records_url(policy)).joinpath(*parts)
    except UNUSABLE as error:
        raise unusable_storage(policy, error) from error


def record_path(policy: Policy, dag_id: str, run_id: str) -> ObjectStoragePath:
    """The record's JSON file."""
    return records_path(policy, dag_id, f"{file_name(run_id)}.json")


def find_record(policy: Policy, dag_id: str, run_id: str) -> dict[str, Any] | None:
    """An earlier record of this run; None when there is none.

    Raises: RecordUnreadable, naming the file and what to do; PolicyError.
    """
    path = record_path(policy, dag_id, run_id)
    found = _read_record(policy, path)
    if found is not None:
        return _own(found, run_id, path)
    # Older releases called the files of 'a/b' and 'a_b' alike, and could not write longer names.
    older = path.with_name(f"{plain_name(run_id)}.json")
    found = _read_record(policy, older) if older != path else None
    return found if found is not None and found.get("run_id") == run_id else None


def has_done(policy: Policy, dag_id: str, run_id: str) -> bool:
    """Whether a run has done its work already, by its record: then a rerun does nothing twice.

    Raises: RecordUnreadable, where that cannot be known; PolicyError.
    """
    record = find_record(policy, dag_id, run_id)
    if record is not None and record.get("outcome") in ("done", "already_done"):
        return True
    aside = _aside(record_path(policy, dag_id, run_id))
    if _is_there(policy, aside):
        raise _unreadable(aside, "an earlier record of this run could not be read")
    return False


def write_record(policy: Policy, record: Mapping[str, Any]) -> str:
    """Store a record. Returns where.

    One of the same run that cannot be read is put aside, not overwritten: it may say that the
    run has done its work. Raises: RecordUnreadable, for another run's file; PolicyError.
    """
    path = record_path(policy, record["dag_id"], record["run_id"])
    try:
        found = _read_record(policy, path)
    except RecordUnreadable:
        _put_aside(policy, path)
    else:
        _own(found or {}, record["run_id"], path)
    write_json(policy, path, record)
    return str(path)


def write_page(policy: Policy, record: Mapping[str, Any], page: str) -> None:
    """Store a record's page beside it. Raises: PolicyError."""
    path = record_path(policy, record["dag_id"], record["run_id"])
    _write(policy, path.with_suffix(".html"), page)


def find_note(policy: Policy, dag_id: str, run_id: str, name: str) -> Any:
    """What this run noted under a name; None when it did not.

    Raises: RecordUnreadable, naming the file and what to do; PolicyError.
    """
    path = note_path(policy, dag_id, run_id, name)
    try:
        return read_json(policy, path)
    except NotJson as error:
        raise _unreadable(path, str(error)) from error


def write_note(policy: Policy, dag_id: str, run_id: str, name: str, value: Any) -> None:
    """Note something beside the run's record that outlives any task. Raises: PolicyError."""
    write_json(policy, note_path(policy, dag_id, run_id, name), value)


def note_path(policy: Policy, dag_id: str, run_id: str, name: str) -> ObjectStoragePath:
    """Where a note of a run lies."""
    record = record_path(policy, dag_id, run_id)
    return record.parent / "notes" / f"{file_name(f'{record.stem}.{file_name(name)}')}.json"


class NotJson(Exception):
    """What lies in a file is no JSON that can be used."""


def read_json(policy: Policy, path: ObjectStoragePath) -> Any:
    """A file's JSON; None where there is no file.

    Raises: NotJson, whatever else lies there; PolicyError, where the storage cannot be used.
    """
    try:
        if not path.exists():
            return None
        content = b""
        if is_file := path.is_file():
            with path.open("rb") as file:
                content = file.read(_MOST_BYTES + 1)
    except UNUSABLE as error:
        raise unusable_storage(policy, error) from error
    if not is_file:  # a pipe would never end
        raise NotJson("it is not a regular file")
    if len(content) > _MOST_BYTES:
        raise NotJson("it is too large")
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:  # not UTF-8, cut short, nested without end
        raise NotJson(f"it is not JSON: {error}") from error
    if found is None:  # nothing of ours is ever written as that
        raise NotJson("it is empty")
    return found


def list_names(policy: Policy, folder: ObjectStoragePath) -> list[str]:
    """The names in a folder, as they are now; none where it is not there. Raises: PolicyError.

    A file system of fsspec may answer with what it listed before; other processes write here, too.
    """
    try:
        fs = folder.__wrapped__.fs  # the one that all other calls use, too
        fs.invalidate_cache(folder.path)
        return [str(each).rpartition("/")[2] for each in fs.ls(folder.path, detail=False)]
    except FileNotFoundError:
        return []
    except UNUSABLE as error:
        raise unusable_storage(policy, error) from error


def write_json(policy: Policy, path: ObjectStoragePath, value: Any) -> None:
    """Write a file that every reader of JSON takes. Raises: PolicyError."""
    _write(policy, path, json.dumps(storable(value), indent=2) + "\n")


def _write(policy: Policy, path: ObjectStoragePath, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.protocol in _LOCAL:
            _replace(Path(path.path), text)
        else:
            path.write_text(text, encoding="utf-8")
    except UNUSABLE as error:
        raise unusable_storage(policy, error) from error


def _replace(path: Path, text: str) -> None:
    """At once or not at all: if the process dies meanwhile, the file is still whole."""
    beside = path.with_name(f".{uuid.uuid4().hex}")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _read_record(policy: Policy, path: ObjectStoragePath) -> dict[str, Any] | None:
    try:
        found = read_json(policy, path)
    except NotJson as error:
        raise _unreadable(path, str(error)) from error
    if found is None:
        return None
    if not isinstance(found, dict) or not isinstance(found.get("outcome"), str):
        raise _unreadable(path, "it is not the record of a run")
    return found


def _own(found: dict[str, Any], run_id: str, path: ObjectStoragePath) -> dict[str, Any]:
    # A store may take names that differ in upper and lower case only for one.
    if found.get("run_id", run_id) == run_id:
        return found
    raise RecordUnreadable(
        _subject(path),
        f"it is the record of another run, {quoted(found['run_id'])}",
        "Move that file away, or trigger a new run with another run id.",
    )


def _is_there(policy: Policy, path: ObjectStoragePath) -> bool:
    try:
        return bool(path.exists())
    except UNUSABLE as error:
        raise unusable_storage(policy, error) from error


def _aside(path: ObjectStoragePath) -> ObjectStoragePath:
    return path.with_name(f"{path.name}{_ASIDE}")


def _put_aside(policy: Policy, path: ObjectStoragePath) -> None:
    try:
        path.rename(_aside(path))
    except UNUSABLE as error:
        raise unusable_storage(policy, error) from error


def _subject(path: ObjectStoragePath) -> str:
    return f"record {path}"


def _unreadable(path: ObjectStoragePath, found: str) -> RecordUnreadable:
    return RecordUnreadable(
        _subject(path),
        f"it cannot be used: {found}",
        "Restore the file from a backup if you can. If you remove it instead, the run counts as "
        "not done. Then clear the task.",
    )


def unusable_storage(policy: Policy, error: Exception) -> PolicyError:
    """The error that says that records cannot be kept, and why."""
    return PolicyError(
        f"records storage {records_url(policy)}",
        f"cannot be used: {error}",
        "Fix the policy's field records, or the storage.",
    )
