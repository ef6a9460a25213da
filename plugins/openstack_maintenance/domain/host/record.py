"""A run's record: what was asked, what was done, by which evidence, and what is left to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from openstack_maintenance.domain.moment import read_moment

# States of a task that mean: this did not end well.
_BAD = ("failed", "upstream_failed")
_BEFORE_REBOOT = "empty_before_reboot"
# In the order of the steps.
_EVIDENCE = {
    "disabled": "disable_service",
    "empty": "check_host_empty",
    "stopped": "stop_nova_compute",
    "script": "run_script",
    _BEFORE_REBOOT: "reboot",
    "reboot": "wait_for_host",
    "nova_compute": "wait_for_nova_compute",
    "amqp": "assert_amqp",
    "enabled": "enable_service",
}


def build_record(
    run: Mapping[str, Any],
    tasks: Sequence[Mapping[str, Any]],
    results: Mapping[str, Any],
    errors: Sequence[Mapping[str, Any]],
    now: datetime,
) -> dict[str, Any]:
    """Compose the record, as plain JSON.

    ``run``: dag_id, run_id, params, started_at, triggered_by. ``tasks``: task_id, map_index,
    state, duration. ``results``: return values by task id (mapped tasks: a list). ``errors``:
    task_id, subject, found, remedy of each task that said why it failed.
    """
    bad = [task for task in tasks if task["state"] in _BAD]
    checked = results.get("check_host") or {}
    return {
        "dag_id": run["dag_id"],
        "run_id": run["run_id"],
        "outcome": _outcome(bad, results, run["params"]),
        "host": run["params"].get("host"),
        "asked": dict(run["params"]),
        "triggered_by": run.get("triggered_by"),
        "started_at": run["started_at"],
        "ended_at": now.isoformat(),
        "problem": problem(bad, errors),
        "errors": list(errors),
        "before": {key: value for key, value in checked.items() if key != "would"},
        "would": checked.get("would", []),
        "moves": moves(results),
        "left": (results.get("check_host_empty") or {}).get("left", checked.get("left", [])),
        "evidence": {name: _evidence(name, results.get(task)) for name, task in _EVIDENCE.items()},
        "tasks": list(tasks),
    }


def _evidence(name: str, result: Any) -> Any:
    # Of the reboot's order only the proof before it counts: the order itself proves nothing.
    return (result or {}).get("empty") if name == _BEFORE_REBOOT else result


def _outcome(
    bad: Sequence[Mapping[str, Any]], results: Mapping[str, Any], params: Mapping[str, Any]
) -> str:
    if bad:
        return "failed"
    if (results.get("check_host") or {}).get("already_done"):
        return "already_done"
    if params.get("dry_run"):
        return "dry_run"
    # Green tasks are not enough: done is what ended with the host given back.
    return "done" if results.get("enable_service") else "incomplete"


def moves(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every instance's move of both rounds, with how long Nova took."""
    found = []
    for task_id in ("migrate_instance", "migrate_arrival"):
        for each in results.get(task_id) or []:
            if each:
                found.append({**each, "round": task_id, "seconds": _seconds(each)})
    return found


def _seconds(move: Mapping[str, Any]) -> float | None:
    start, end = (read_moment(move.get(key)) for key in ("started_at", "ended_at"))
    return (end - start).total_seconds() if start and end else None


def problem(bad: Sequence[Mapping[str, Any]], errors: Sequence[Mapping[str, Any]]) -> str | None:
    """One sentence for the first thing that went wrong: subject, what was found, what to do."""
    failed = [task for task in bad if task["state"] == "failed"]
    if not failed:
        return None if not bad else "A task could not run because an earlier one failed."
    first = failed[0]
    said = next((each for each in errors if each["task_id"] == first["task_id"]), None)
    more = f" ({len(failed)} tasks failed)" if len(failed) > 1 else ""
    if said is None:
        return (
            f"task {first['task_id']}: it ended without saying why (killed, or its worker died)"
            f"{more}. See its log, then clear it with Downstream."
        )
    return f"{said['subject']}: {said['found'].rstrip('.')}{more}. {said['remedy']}"
