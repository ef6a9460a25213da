"""What a scenario comes to: for each task instance its states in order, for each run its end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

# DAGs whose mapped task has a limit.
LIMITED = ("one_at_a_time", "two_of_a_run")
_UNDER_WAY = ("queued", "running", "deferred")


class Seen(NamedTuple):
    """A state that a task instance has come to."""

    dag_id: str
    task_id: str
    map_index: int
    state: str | None

    @property
    def name(self) -> str:
        element = "" if self.map_index < 0 else f"[{self.map_index}]"
        return f"{self.dag_id}.{self.task_id}{element}"


def sequence(seen: Sequence[Seen], ends: dict[str, str], notes: Iterable[str]) -> dict[str, Any]:
    """As it is compared, and written to tests/fixtures/airflow.

    ``ends``: DAG -> how its run ended. ``notes``: what operators and triggers have noted.
    """
    tasks: dict[str, list[str]] = {}
    for each in seen:
        tasks.setdefault(each.name, []).append(each.state or "none")
    found: dict[str, Any] = {
        "tasks": dict(sorted(tasks.items())),
        "runs": dict(sorted(ends.items())),
    }
    found["notes"] = sorted(notes)
    if set(ends) & set(LIMITED):
        found["at_once"] = _at_once(each for each in seen if each.task_id == "each")
    return found


def _at_once(seen: Iterable[Seen]) -> int:
    """How many elements were under way at the same time, at most."""
    under_way: set[str] = set()
    most = 0
    for each in seen:
        (under_way.add if each.state in _UNDER_WAY else under_way.discard)(each.name)
        most = max(most, len(under_way))
    return most
