"""What a run has done that it must never do twice, beside its record.

Airflow keeps the same in its task state store, which `airflow state-store clean` empties after a
while, and the end of a green task with ``clear_on_success``. These notes stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from openstack_maintenance.domain.errors import RecordUnreadable
from openstack_maintenance.records.store import NotJson, note_path, read_json, write_note

if TYPE_CHECKING:
    from openstack_maintenance.domain.policy import Policy


@dataclass(frozen=True)
class Deed:
    """One kind of deed. ``name``: its note's. ``facts``: what a note of it must say.

    ``unknown``: what is not known without it, for an error. ``find_out``: how a person finds out.
    """

    name: str
    facts: tuple[str, ...]
    unknown: str
    find_out: str


def find_deed(policy: Policy, dag_id: str, run_id: str, deed: Deed) -> dict[str, Any] | None:
    """What the run noted of it; None where it has not done it.

    Raises: RecordUnreadable, where that is not known: a person decides; PolicyError.
    """
    path = note_path(policy, dag_id, run_id, deed.name)
    try:
        found = read_json(policy, path)
        if found is None:
            return None
        if not isinstance(found, Mapping) or any(found.get(fact) is None for fact in deed.facts):
            raise NotJson(f"it does not say {', '.join(deed.facts)}")
    except NotJson as error:
        raise RecordUnreadable(
            f"note {path}",
            f"{error}, so it is not known {deed.unknown}",
            f"Nothing was done. {deed.find_out} If it may be done now, remove that file, then "
            "clear the task.",
        ) from error
    return dict(found)


def write_deed(
    policy: Policy, dag_id: str, run_id: str, deed: Deed, facts: Mapping[str, Any]
) -> None:
    """Note it, whole or not at all. Raises: PolicyError."""
    write_note(policy, dag_id, run_id, deed.name, dict(facts))
