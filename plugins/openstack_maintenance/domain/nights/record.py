"""A night's record: which hosts were due, were maintained, were left and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from openstack_maintenance.domain.errors import LONGEST_SENTENCE
from openstack_maintenance.domain.foreign_text import shortened
from openstack_maintenance.domain.record import build, failures, is_bad


def build_night_record(
    run: Mapping[str, Any],
    tasks: Sequence[Mapping[str, Any]],
    found: Mapping[str, Any],
    errors: Sequence[Mapping[str, Any]],
    now: datetime,
) -> dict[str, Any]:
    """Compose the record, as plain JSON.

    ``found``: due (verdicts of select_hosts), planned (hosts of plan), night (its XCom), done
    (what maintain_host returned), skipped (host and reason of those that were not started),
    no_window (why the policy has none on this night; None where it has).
    """
    done = [dict(each) for each in found["done"]]
    own = {
        "due": [each for each in found["due"] if each["kind"] == "due"],
        "planned": list(found["planned"]),
        "done": done,
        "left": [*found["night"].get("left", ()), *found["skipped"]],
        "bound": {key: found["night"].get(key) for key in ("instances", "migrations", "seconds")},
        "rehearsal": found["night"].get("rehearsal"),
        "no_window": found.get("no_window"),
        "outlook": found["night"].get("outlook"),
    }
    outcome = "failed" if is_bad(tasks) else _outcome(run["params"], found)
    problem = _what_went_wrong(tasks, errors)
    return build("night", run, tasks, errors, now, outcome=outcome, problem=problem, own=own)


def _outcome(params: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    if found.get("no_window"):
        return "no_window"
    if params.get("dry_run"):
        return "dry_run"
    due = {each["host"] for each in found["due"] if each["kind"] == "due"}
    done = {each["host"] for each in found["done"]}
    # Of those it is not known, or a run of ours still has them: not "nothing due", not "done".
    is_open = any(each.get("is_open") for each in found["due"])
    if not due and not is_open:
        return "nothing_due"
    if not done:
        return "none_done"
    return "done" if done >= due and not is_open else "partly_done"


def _what_went_wrong(
    tasks: Sequence[Mapping[str, Any]], errors: Sequence[Mapping[str, Any]]
) -> str | None:
    """Everything that went wrong: each host's failure is one of its own."""
    if not is_bad(tasks):
        return None
    found = failures(tasks, errors)
    said = [str(each) for each in found if not each.is_silent]
    if silent := [each.task_id for each in found if each.is_silent]:
        counted = "1 task" if len(silent) == 1 else f"{len(silent)} tasks"
        names = ", ".join(dict.fromkeys(silent))
        said.append(
            f"{counted} ended without an error message (killed, or a worker died): {names}. "
            "See the logs, then clear the run's failed tasks."
        )
    told = " ".join(said) or "A task failed before anything was started. See the run."
    return shortened(told, LONGEST_SENTENCE)
