"""A night's record: who was due, who was maintained, who was left and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from openstack_maintenance.domain.errors import LONGEST_SENTENCE
from openstack_maintenance.domain.foreign_text import shortened

_BAD = ("failed", "upstream_failed")


def build_roll_record(
    run: Mapping[str, Any],
    tasks: Sequence[Mapping[str, Any]],
    found: Mapping[str, Any],
    errors: Sequence[Mapping[str, Any]],
    now: datetime,
) -> dict[str, Any]:
    """Compose the record, as plain JSON.

    ``found``: due (verdicts of select_hosts), planned (hosts of plan), night (its XCom), done
    (what maintain_host returned), skipped (host and reason of those that were not started).
    """
    bad = [task for task in tasks if task["state"] in _BAD]
    done = [dict(each) for each in found["done"]]
    return {
        "dag_id": run["dag_id"],
        "run_id": run["run_id"],
        "outcome": _outcome(bad, run["params"], found),
        "asked": dict(run["params"]),
        "triggered_by": run.get("triggered_by"),
        "started_at": run["started_at"],
        "ended_at": now.isoformat(),
        "problem": _problem(bad, errors),
        "errors": list(errors),
        "due": [each for each in found["due"] if each["kind"] == "due"],
        "planned": list(found["planned"]),
        "done": done,
        "left": [*found["night"].get("left", ()), *found["skipped"]],
        "bound": {key: found["night"].get(key) for key in ("instances", "migrations", "seconds")},
        "tasks": list(tasks),
    }


def _outcome(
    bad: Sequence[Mapping[str, Any]], params: Mapping[str, Any], found: Mapping[str, Any]
) -> str:
    if bad:
        return "failed"
    if params.get("dry_run"):
        return "dry_run"
    due = {each["host"] for each in found["due"] if each["kind"] == "due"}
    done = {each["host"] for each in found["done"]}
    if not due:
        return "nothing_due"
    if not done:
        return "none_done"
    return "done" if done >= due else "partly_done"


def _problem(bad: Sequence[Mapping[str, Any]], errors: Sequence[Mapping[str, Any]]) -> str | None:
    if not bad:
        return None
    said = [f"{each['subject']}: {each['found']}. {each['remedy']}" for each in errors]
    silent = sum(task["state"] == "failed" for task in bad) - len(said)
    if silent > 0:
        said.append(f"{silent} tasks ended without saying why. See their logs.")
    told = " ".join(said) or "A task failed before anything was started. See the run."
    return shortened(told, LONGEST_SENTENCE)
