"""The record of a run of controller_maintenance: each controller's evidence, and the outcome."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from openstack_maintenance.domain.record import NEVER_BEGAN, build, failures, is_bad

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
    that was begun. The rest: see `domain.record`.
    """
    problem = what_went_wrong(tasks, errors)
    outcome = "failed" if problem else _outcome(run["params"], plan, controllers)
    own = {
        "plan": dict(plan or {}),
        "controllers": [dict(each) for each in controllers],
        "left": left_out(plan, controllers),
    }
    return build("controllers", run, tasks, errors, now, outcome=outcome, problem=problem, own=own)


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


def what_went_wrong(
    tasks: Sequence[Mapping[str, Any]], errors: Sequence[Mapping[str, Any]]
) -> str | None:
    """One sentence for what went wrong on the first controller that failed; None: nothing."""
    found = failures(tasks, errors, "See its log, then clear the run's failed tasks.")
    if not found:
        return NEVER_BEGAN if is_bad(tasks) else None
    # Those that come later only say that this one failed.
    return str(min(found, key=lambda each: each.map_index))
