"""What the records of all kinds of runs share: their head, and what went wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

Kind = Literal["host", "night", "checks", "controllers"]

# Raised where a reader of older records would misread a newer one; new keys alone do not.
SCHEMA_VERSION = 1
# States of a task that mean: this did not end well.
BAD = ("failed", "upstream_failed")
NEVER_BEGAN = "A task could not run because an earlier one failed."
_SILENT = "it ended without an error message (killed, or its worker died)"


@dataclass(frozen=True)
class Failure:
    """A task that failed, in its own words, or in ours where it left none."""

    task_id: str
    map_index: int
    subject: str
    found: str
    remedy: str
    is_silent: bool = False

    def __str__(self) -> str:
        return self.sentence()

    def sentence(self, more: str = "") -> str:
        """Subject, what was found (``more`` after it), and what to do."""
        return f"{self.subject}: {self.found.rstrip('.')}{more}. {self.remedy}"


def build(
    kind: Kind,
    run: Mapping[str, Any],
    tasks: Sequence[Mapping[str, Any]],
    errors: Sequence[Mapping[str, Any]],
    now: datetime,
    *,
    outcome: str,
    problem: str | None,
    own: Mapping[str, Any],
) -> dict[str, Any]:
    """A record, as plain JSON: what every kind has, and its ``own``. Schemas: docs/records.

    ``run``: dag_id, run_id, params, started_at, triggered_by. ``tasks``: task_id, map_index, state,
    seconds. ``errors``: task_id, map_index, subject, found, remedy of each that said why it failed.
    """
    return {
        "schema": {"name": f"openstack-maintenance/{kind}", "version": SCHEMA_VERSION},
        "dag_id": run["dag_id"],
        "run_id": run["run_id"],
        "outcome": outcome,
        "asked": dict(run["params"]),
        "triggered_by": run.get("triggered_by"),
        "started_at": run["started_at"],
        "ended_at": now.isoformat(),
        "problem": problem,
        "errors": list(errors),
        **own,
        "tasks": list(tasks),
    }


def is_bad(tasks: Sequence[Mapping[str, Any]]) -> bool:
    """Whether any task failed."""
    return any(task["state"] in BAD for task in tasks)


def failures(
    tasks: Sequence[Mapping[str, Any]],
    errors: Sequence[Mapping[str, Any]],
    silent_remedy: str = "See its log, then clear it with Downstream.",
) -> list[Failure]:
    """Every task that failed, in the order of the tasks; one that said nothing is said to be so."""
    said = {(each["task_id"], each.get("map_index", -1)): each for each in errors}
    return [
        _failure(task, said.get((task["task_id"], task["map_index"])), silent_remedy)
        for task in tasks
        if task["state"] == "failed"
    ]


def _failure(
    task: Mapping[str, Any], said: Mapping[str, Any] | None, silent_remedy: str
) -> Failure:
    of = (task["task_id"], task["map_index"])
    if said is None:
        return Failure(*of, f"task {task['task_id']}", _SILENT, silent_remedy, is_silent=True)
    return Failure(*of, str(said["subject"]), str(said["found"]), str(said["remedy"]))
