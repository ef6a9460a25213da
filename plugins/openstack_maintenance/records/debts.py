"""Which guests are off because a drain has shut them down: a note for each, until it runs again.

Beside the records, by instance id: no clearing of tasks, no new run and no death of a process
forgets one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from openstack_maintenance.domain.drain.debt import Debt, plain_debt, read_debt
from openstack_maintenance.domain.errors import RecordUnreadable
from openstack_maintenance.domain.record_name import file_name
from openstack_maintenance.records.store import (
    UNUSABLE,
    NotJson,
    list_names,
    read_json,
    records_path,
    unusable_storage,
    write_json,
)

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

    from openstack_maintenance.domain.policy import Policy

_FOLDER = "debts"


class Debts:
    """The debts of all runs. Every call reads or writes the storage. Raises: PolicyError."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    def write(self, debt: Debt) -> None:
        """Note a debt, or that another run has taken it over."""
        write_json(self._policy, self._path(debt.instance_id), plain_debt(debt))

    def find(self, instance_id: str) -> Debt | None:
        """What is owed to an instance. Raises: RecordUnreadable, also PolicyError."""
        return self._read(self._path(instance_id))

    def strike(self, instance_id: str) -> None:
        """Its guest was seen running, or needs no start any more."""
        try:
            self._path(instance_id).unlink(missing_ok=True)
        except UNUSABLE as error:
            raise unusable_storage(self._policy, error) from error

    def all(self) -> list[Debt]:
        """Every open debt. Raises: RecordUnreadable, also PolicyError."""
        folder = records_path(self._policy, _FOLDER)
        names = sorted(list_names(self._policy, folder))
        found = [self._read(folder / each) for each in names if each.endswith(".json")]
        return [each for each in found if each is not None]

    def _path(self, instance_id: str) -> ObjectStoragePath:
        return records_path(self._policy, _FOLDER, f"{file_name(instance_id)}.json")

    def _read(self, path: ObjectStoragePath) -> Debt | None:
        try:
            found = read_json(self._policy, path)
        except NotJson as error:
            raise _unreadable(path, str(error)) from error
        if found is None:
            return None
        debt = read_debt(found)
        if debt is None:
            raise _unreadable(path, "it does not name an instance, a host, a run and a time")
        return debt


def _unreadable(path: ObjectStoragePath, found: str) -> RecordUnreadable:
    return RecordUnreadable(
        f"note {path}",
        f"it says that a guest was shut down for its move, but it cannot be used: {found}",
        "The file is called after the instance's id. Look at it with `openstack server show ID`, "
        "start it if it must run (`openstack server start ID`), remove the file, then clear the "
        "task.",
    )
