"""A run's record: what was asked, what was done, by which evidence, and what is left to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from openstack_maintenance.domain.moment import read_moment
from openstack_maintenance.domain.record import NEVER_BEGAN, build, failures, is_bad

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

    ``results``: return values by task id (mapped tasks: a list). The rest: see `domain.record`.
    """
    checked = results.get("check_host") or {}
    own = {
        "host": run["params"].get("host"),
        "before": {key: value for key, value in checked.items() if key != "would"},
        "would": checked.get("would", []),
        "moves": moves(results),
        "left": (results.get("check_host_empty") or {}).get("left", checked.get("left", [])),
        "evidence": {name: _evidence(name, results.get(task)) for name, task in _EVIDENCE.items()},
    }
    outcome = "failed" if is_bad(tasks) else _outcome(results, run["params"])
    problem = what_went_wrong(tasks, errors)
    return build("host", run, tasks, errors, now, outcome=outcome, problem=problem, own=own)


def _evidence(name: str, result: Any) -> Any:
    # Of the reboot's order only the proof before it counts: the order itself proves nothing.
    return (result or {}).get("empty") if name == _BEFORE_REBOOT else result


def _outcome(results: Mapping[str, Any], params: Mapping[str, Any]) -> str:
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


def what_went_wrong(
    tasks: Sequence[Mapping[str, Any]], errors: Sequence[Mapping[str, Any]]
) -> str | None:
    """One sentence for the first thing that went wrong; the others only follow from it."""
    found = failures(tasks, errors)
    if not found:
        return NEVER_BEGAN if is_bad(tasks) else None
    # Any of a mapped task's instances will do where the first one said nothing.
    same = [each for each in found if each.task_id == found[0].task_id]
    first = next((each for each in same if not each.is_silent), found[0])
    return first.sentence(f" ({len(found)} tasks failed)" if len(found) > 1 else "")
