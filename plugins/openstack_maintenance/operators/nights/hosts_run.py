"""What became of the run that a night has started for a host, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from openstack_maintenance.domain.errors import CheckFailed
from openstack_maintenance.operators.night_link import CHILD_DAG
from openstack_maintenance.operators.silence import NO_ANSWER


def run_is_gone(host: str, run_id: str, task_id: str) -> CheckFailed:
    """A person has deleted it."""
    return CheckFailed(
        f"host {host}",
        f"its run {run_id} of {CHILD_DAG} was deleted while the night waited for its end; the "
        "host stays as it is",
        f"Look at it (`openstack compute service list --host {host} --long`). If that run "
        f"has disabled it, trigger {CHILD_DAG} with host={host}: it takes the host over. "
        f"Else clear {task_id} here: it starts the run again while the host is due.",
    )


def run_never_began(host: str, run_id: str, task_id: str, patience: str) -> CheckFailed:
    """It stays queued. ``patience``: the policy's turn_patience."""
    return CheckFailed(
        f"host {host}",
        f"its run {run_id} of {CHILD_DAG} was queued for longer than turn_patience "
        f"({patience}) and has not begun",
        f"Unpause {CHILD_DAG}, or see why no run of it begins (max_active_runs, pools, a "
        f"scheduler). It begins then by itself, if the window is open. Then clear "
        f"{task_id} here.",
    )


def run_did_not_finish(
    host: str, run_id: str, task_id: str, record: Mapping[str, Any]
) -> CheckFailed:
    """It has failed. ``record``: its own; empty where it left none."""
    problem = str(record.get("problem") or "it left no record").rstrip(".")
    return CheckFailed(
        f"host {host}",
        f"run {run_id} of {CHILD_DAG} did not finish it: {problem}",
        "Fix that and clear the failed task of that run. When that run is green, clear "
        f"{task_id} here.",
    )


def stayed_queued(event: Any) -> bool:
    """Whether our own trigger says so: Airflow's, which waits first, sends no dict."""
    result = event.get("result") if isinstance(event, Mapping) else None
    return isinstance(result, Mapping) and bool(result.get("is_queued"))


def was_refused(record: Mapping[str, Any]) -> bool:
    """Whether a host's run ended at its first look, with a reason: so nothing has failed.

    One that was killed, or had no answer, has found out nothing.
    """
    tasks, errors = (record.get(key) for key in ("tasks", "errors"))
    rows = tasks if isinstance(tasks, list) else []
    failed = {each.get("task_id") for each in rows if each.get("state") == "failed"}
    said = [
        str(each.get("found"))
        for each in (errors if isinstance(errors, list) else [])
        if each.get("task_id") == "check_host"
    ]
    has_answer = bool(said) and not any(NO_ANSWER in each for each in said)
    return has_answer and failed - {"report"} == {"check_host"}
