"""The record of a night's checks, and the same in the form that the runbook prints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from openstack_maintenance.domain.errors import LONGEST_SENTENCE
from openstack_maintenance.domain.foreign_text import shortened
from openstack_maintenance.domain.record import BAD, build, failures

_LOOK_UP = "See the record, and include/runbooks/controller_checks.md."
_NAME_WIDTH = 40


def build_checks_record(
    run: Mapping[str, Any],
    tasks: Sequence[Mapping[str, Any]],
    found: Mapping[str, Any],
    errors: Sequence[Mapping[str, Any]],
    now: datetime,
    night: tuple[datetime, datetime] | None,
) -> dict[str, Any]:
    """Compose the record, as plain JSON.

    ``found``: what each check handed on, by task id; of check_controller a list. ``night``: the
    past night that the run is about. The rest: see `domain.record`.
    """
    controllers = found.get("check_controller") or []
    checks = [
        _check(task, found.get(task["task_id"]), errors, night is not None)
        for task in tasks
        if task["task_id"].startswith("check_") and task["task_id"] != "check_controller"
    ]
    problem = what_went_wrong(tasks, errors)
    outcome = "failed" if problem else _outcome(controllers, checks)
    own = {
        "night": [moment.isoformat() for moment in night] if night else None,
        "controllers": controllers,
        "checks": checks,
    }
    return build("checks", run, tasks, errors, now, outcome=outcome, problem=problem, own=own)


def _check(
    task: Mapping[str, Any], found: Any, errors: Sequence[Mapping[str, Any]], is_past: bool
) -> dict[str, Any]:
    """One check by its task: what it found, or why it found nothing."""
    findings = list((found or {}).get("findings", []))
    if not findings:
        said = [each["found"] for each in errors if each["task_id"] == task["task_id"]]
        why = "nothing keeps a history of it" if is_past else "not asked"
        text, verdict = f"unknown ({why})", "unknown"
        if task["state"] in BAD:
            text, verdict = (said or ["it ended without an error message"])[0], "bad"
        findings = [{"name": "check", "verdict": verdict, "text": text, "journal": []}]
    title = task["task_id"].removeprefix("check_").replace("_", " ")
    return {"task_id": task["task_id"], "title": title, "findings": findings}


def _outcome(controllers: Sequence[Mapping[str, Any]], checks: Sequence[Mapping[str, Any]]) -> str:
    findings = [each for part in (*controllers, *checks) for each in part["findings"]]
    # Skipped checks of a past night do not make it unknown: what can be known then decides.
    proven = [each for part in controllers for each in part["findings"]]
    if any(each["verdict"] == "unknown" for each in proven) or not findings:
        return "unknown"
    return "passed"


def what_went_wrong(
    tasks: Sequence[Mapping[str, Any]], errors: Sequence[Mapping[str, Any]]
) -> str | None:
    """One sentence with everything that is wrong, and where; None where nothing is."""
    parts: dict[str, list[str]] = {}
    for each in failures(tasks, errors):
        found = each.found.rstrip(".")
        is_named = each.is_silent or each.subject == each.task_id
        text = found if is_named else f"{each.subject}: {found}"
        parts.setdefault(text, []).append(each.task_id)
    if not parts:
        return None
    told = [
        text if set(names) & {"check_controller", "list_controllers"} else f"{_and(names)}: {text}"
        for text, names in parts.items()
    ]
    return f"{shortened('; '.join(told), LONGEST_SENTENCE)}. {_LOOK_UP}"


def _and(names: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(names))


def in_runbook_form(record: Mapping[str, Any]) -> str:
    """The record as openstack-status prints it: `== Nova services ==`, `nova-api:   active`."""
    return "\n".join(_lines(record))


def _lines(record: Mapping[str, Any]) -> Iterator[str]:
    night = record["night"]
    for controller in record["controllers"]:
        when = f"in the night {night[0]} to {night[1]}" if night else f"at {controller['clock']}"
        yield f"{controller['host']} {when}"
        for group in controller["groups"]:
            yield f"== {group['title']} =="
            yield from _findings(group["findings"])
    for error in record["errors"]:
        if error["task_id"] in ("check_controller", "list_controllers"):
            yield f"{error['subject']}: {error['found']}"
    if record["checks"]:
        yield "the cloud"
    for check in record["checks"]:
        yield f"== {check['title']} =="
        yield from _findings(check["findings"])


def _findings(findings: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for finding in findings:
        yield f"{finding['name'] + ':':<{_NAME_WIDTH}}{finding['text']}"
        if finding["verdict"] == "bad":
            yield from (f"    {line}" for line in finding["journal"])
