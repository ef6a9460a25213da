"""What the record of one host's run teaches: which phases went well, which failed, how long."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from openstack_maintenance.domain.moment import read_moment

# The phases of a host's run, in their order, and the tasks of each.
PHASES: Mapping[str, tuple[str, ...]] = {
    "check": ("check_host", "disable_service", "list_instances"),
    "drain": ("migrate_instance", "list_arrivals", "migrate_arrival", "check_host_empty"),
    "stop": ("stop_nova_compute",),
    "script": ("run_script",),
    "boot": ("reboot", "wait_for_host"),
    "proofs": ("wait_for_nova_compute", "assert_amqp", "enable_service"),
}
# What is beside them: Airflow's own time between two tasks.
REST = "rest"
# To move an instance costs as much as so many GiB more, whatever its RAM.
MOVE_GIB = 2.0
_PHASE_OF = {task: phase for phase, tasks in PHASES.items() for task in tasks}
_TOLD = ("done", "already_done", "failed", "incomplete")
_WINDOW = "maintenance window"
_LONGEST_SECONDS = 366 * 86400.0


@dataclass(frozen=True)
class PastRun:
    """One run. ``reached``: the phases that began; ``failed``: those that failed at any try.

    ``seconds``: how long each phase and the rest took, without the drain; empty where the run did
    not go through at once. ``drain_seconds`` for ``drained_gib`` (see `gib_of`). ``instances``: on
    the host before; ``blocked``: how many of them were in the way of the run.
    """

    host: str
    run_id: str
    began: datetime
    ended: datetime
    reached: frozenset[str]
    failed: frozenset[str]
    seconds: Mapping[str, float] = field(default_factory=dict)
    drain_seconds: float = 0.0
    drained_gib: float = 0.0
    instances: int = 0
    blocked: int = 0


def gib_of(instances: int, ram_mib: int) -> float:
    """How much there is to drain: RAM, and MOVE_GIB more for each instance."""
    return ram_mib / 1024 + MOVE_GIB * instances


def read_past_run(record: Any) -> PastRun | None:
    """The run of a record; None where that teaches nothing, whatever its shape is."""
    if not isinstance(record, Mapping) or record.get("outcome") not in _TOLD:
        return None
    host, run_id = record.get("host"), record.get("run_id")
    began, ended = read_moment(record.get("started_at")), read_moment(record.get("ended_at"))
    if not (isinstance(host, str) and isinstance(run_id, str) and began and ended):
        return None
    tasks = list(_dicts(record.get("tasks")))
    errors = list(_dicts(record.get("errors")))
    earlier = [each.get("task_id") for each in _dicts(record.get("failed_before"))]
    failed = _failed(tasks, errors) | _phases(earlier)
    went = _phases(each.get("task_id") for each in tasks if each.get("state") == "success")
    if not (went | failed):
        return None
    drain = _drain(record)
    whole = (ended - began).total_seconds()
    went_through = record["outcome"] == "done" and not failed and not earlier
    return PastRun(
        host,
        run_id,
        began,
        ended,
        reached=went | failed,
        failed=failed,
        seconds=_seconds(tasks, whole, drain[0]) if went_through else {},
        drain_seconds=drain[0] if went_through else 0.0,
        drained_gib=drain[1] if went_through else 0.0,
        instances=len(_instances(record)),
        blocked=_blocked(errors),
    )


def moves_of(record: Mapping[str, Any]) -> int:
    """How many instances a run has moved, with times."""
    return sum(
        bool(read_moment(each.get("started_at")) and read_moment(each.get("ended_at")))
        for each in _dicts(record.get("moves"))
    )


def failed_before(earlier: Any, now: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Where a run failed at earlier tries: task_id, ended_at; each task once.

    ``earlier``: the run's record that ``now`` replaces, if there is one.
    """
    if not isinstance(earlier, Mapping):
        return []
    told = list(_dicts(earlier.get("failed_before")))
    tasks = _dicts(earlier.get("tasks"))
    failed = [each.get("task_id") for each in tasks if each.get("state") == "failed"]
    told += [{"task_id": each, "ended_at": earlier.get("ended_at")} for each in failed]
    still = {each["task_id"] for each in now["tasks"] if each["state"] == "failed"}
    found = {
        each["task_id"]: {"task_id": each["task_id"], "ended_at": each.get("ended_at")}
        for each in told
        if isinstance(each.get("task_id"), str) and each["task_id"] not in still
    }
    return list(found.values())


def _failed(tasks: list[Mapping[str, Any]], errors: list[Mapping[str, Any]]) -> frozenset[str]:
    """The first phase that failed. A window that closed says nothing of the host."""
    by_window = {each.get("task_id") for each in errors if each.get("subject") == _WINDOW}
    failed = _phases(
        each.get("task_id")
        for each in tasks
        if each.get("state") == "failed" and each.get("task_id") not in by_window
    )
    return frozenset([phase for phase in PHASES if phase in failed][:1])


def _phases(task_ids: Any) -> frozenset[str]:
    return frozenset(_PHASE_OF[each] for each in task_ids if each in _PHASE_OF)


def _seconds(tasks: list[Mapping[str, Any]], whole: float, drain: float) -> dict[str, float]:
    found = dict.fromkeys((phase for phase in PHASES if phase != "drain"), 0.0)
    waited = 0.0
    for each in tasks:
        phase, length = _PHASE_OF.get(str(each.get("task_id"))), _number(each.get("seconds"))
        if each.get("state") != "success":
            continue
        if phase in found:
            found[phase] += length
        elif each.get("task_id") == "wait_for_window":
            waited += length
    found[REST] = max(0.0, whole - drain - waited - sum(found.values()))
    return found


def _drain(record: Mapping[str, Any]) -> tuple[float, float]:
    """Seconds from the first move's start to the last one's end, and how much was moved."""
    ram = _instances(record)
    spans = [
        (read_moment(each.get("started_at")), read_moment(each.get("ended_at")), each)
        for each in _dicts(record.get("moves"))
    ]
    moved = [(began, ended, each) for began, ended, each in spans if began and ended]
    if not moved:
        return 0.0, 0.0
    first, last = min(each[0] for each in moved), max(each[1] for each in moved)
    ram_mib = sum(ram.get(str(each.get("instance_id")), 0.0) for _, _, each in moved)
    seconds = max(0.0, (last - first).total_seconds())
    return min(seconds, _LONGEST_SECONDS), gib_of(len(moved), int(ram_mib))


def _instances(record: Mapping[str, Any]) -> dict[str, float]:
    """The instances that the run was to move, with their RAM in MiB, by id."""
    before = record.get("before")
    listed = _dicts(before.get("moves")) if isinstance(before, Mapping) else iter(())
    return {str(each.get("id")): _number(each.get("ram_mib")) for each in listed}


def _blocked(errors: list[Mapping[str, Any]]) -> int:
    """Instances that the pre-check named as being in the way."""
    found = 0
    for each in errors:
        if each.get("task_id") == "check_host":
            found += str(each.get("subject")).startswith("instance ")
            lines = str(each.get("remedy")).splitlines()
            found += sum(line.lstrip(" .0123456789").startswith("instance ") for line in lines)
    return found


def _number(value: Any) -> float:
    """A number of our own; what is none counts as nothing, so that it spoils no median."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if is_number and 0 <= value <= _LONGEST_SECONDS else 0.0


def _dicts(value: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, list):
        yield from (each for each in value if isinstance(each, Mapping))
