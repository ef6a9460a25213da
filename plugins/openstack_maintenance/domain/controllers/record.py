"""The record of a run of controller_maintenance: each controller's evidence, and the outcome."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

_BAD = ("failed", "upstream_failed")
STEPS = (
    "restart_services",
    "reboot",
    "wait_for_controller",
    "check_controller",
    "check_serving",
    "wait_for_nova_services",
    "check_instances",
)


def build_controller_record(
    run: Mapping[str, Any],
    tasks: Sequence[Mapping[str, Any]],
    plan: Mapping[str, Any] | None,
    controllers: Sequence[Mapping[str, Any]],
    errors: Sequence[Mapping[str, Any]],
    now: datetime,
) -> dict[str, Any]:
    """Compose the record, as plain JSON.

    ``plan``: by controller, in the order of their maintenance; None where the pre-check refused.
    ``controllers``: host, evidence (results by step), before and after (all instances) of each
    that was begun. ``errors``: task_id, map_index, subject, found, remedy of each task that said
    why it failed.
    """
    problem = problem_of(tasks, errors)
    return {
        "dag_id": run["dag_id"],
        "run_id": run["run_id"],
        "outcome": "failed" if problem else _outcome(run["params"], plan, controllers),
        "asked": dict(run["params"]),
        "triggered_by": run.get("triggered_by"),
        "started_at": run["started_at"],
        "ended_at": now.isoformat(),
        "problem": problem,
        "errors": list(errors),
        "plan": dict(plan or {}),
        "controllers": [dict(each) for each in controllers],
        "left": left_out(plan, controllers),
        "tasks": list(tasks),
    }


def _outcome(
    params: Mapping[str, Any],
    plan: Mapping[str, Any] | None,
    controllers: Sequence[Mapping[str, Any]],
) -> str:
    if plan == {}:
        return "already_done"
    if params.get("dry_run"):
        return "dry_run"
    # Green tasks are not enough: done is what ended with the last proof on every controller.
    return "done" if plan and not left_out(plan, controllers) else "incomplete"


def left_out(plan: Mapping[str, Any] | None, controllers: Sequence[Mapping[str, Any]]) -> list[str]:
    """The planned controllers that were not brought to their end."""
    done = {each["host"] for each in controllers if each["evidence"].get("check_instances")}
    return [host for host in plan or {} if host not in done]


def problem_of(
    tasks: Sequence[Mapping[str, Any]], errors: Sequence[Mapping[str, Any]]
) -> str | None:
    """One sentence for what went wrong on the first controller that failed; None: nothing."""
    failed = [task for task in tasks if task["state"] == "failed"]
    if not failed:
        is_bad = any(task["state"] in _BAD for task in tasks)
        return "A task could not run because an earlier one failed." if is_bad else None
    # Those that come later only say that this one failed.
    first = min(failed, key=lambda task: int(task["map_index"]))
    said = next((each for each in errors if _is_of(each, first)), None)
    if said is None:
        return (
            f"task {first['task_id']}: it ended without saying why (killed, or its worker died). "
            "See its log, then clear the run's failed tasks."
        )
    return f"{said['subject']}: {said['found'].rstrip('.')}. {said['remedy']}"


def _is_of(error: Mapping[str, Any], task: Mapping[str, Any]) -> bool:
    return (error["task_id"], error["map_index"]) == (task["task_id"], task["map_index"])
