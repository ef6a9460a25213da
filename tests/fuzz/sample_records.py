"""A record of each kind, as its builder makes it of what its tasks have told."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hostile import TIMES
from openstack_maintenance.domain.checks.record import build_checks_record
from openstack_maintenance.domain.controllers.record import build_controller_record
from openstack_maintenance.domain.host.record import build_record
from openstack_maintenance.domain.nights.record import build_night_record

NOW = datetime(2026, 3, 10, 1, 40, tzinfo=UTC)
AT = TIMES[3]
DAG, RUN = "compute_host_maintenance", "r1"
ASKED = {"host": "c01", "reason": "kernel", "dry_run": False}


def run_of(dag_id: str) -> dict[str, Any]:
    """What run_facts tells of a run."""
    facts = {"dag_id": dag_id, "run_id": RUN, "params": ASKED, "started_at": AT}
    return {**facts, "triggered_by": "ana"}


TASKS = [
    {"task_id": "reboot", "map_index": -1, "state": "success", "seconds": 1.5},
    {"task_id": "check_clocks", "map_index": -1, "state": "failed", "seconds": None},
]
STEPS = [
    {"at": AT, "step": "start_live", "why": "first try"},
    {"at": AT, "step": "fewer", "why": "it comes no nearer to its end"},
]
SAID = {"subject": "s", "found": "f", "remedy": "r"}
ERRORS = [
    {"task_id": "check_clocks", "map_index": -1, **SAID},
    {"task_id": "migrate_instance", "map_index": 0, **SAID, "steps": STEPS},
]
MOVE = {
    "name": "web-1",
    "instance_id": "i1",
    "source": "c01",
    "host": "c02",
    "status": "ACTIVE",
    "method": "live",
    "outcome": "moved to c02",
    "started_at": AT,
    "ended_at": AT,
    "steps": STEPS,
}
INSTANCE = {"id": "i1", "name": "web-1", "status": "ACTIVE"}
FINDING = {"name": "nova-api", "verdict": "bad", "text": "failed", "journal": ["a line", AT]}
RESULTS = {
    "check_host": {"host": "c01", "left": [INSTANCE], "would": []},
    "check_host_empty": {"checked_at": AT, "left": [INSTANCE]},
    "migrate_instance": [MOVE],
    "enable_service": {"state": "enabled"},
    "run_script": {"script": "a.sh", "output": ["<b>", AT]},
}
PLAYED = {
    "seed": 1,
    "nights": 200,
    "planned": 1,
    "done": {"median": 1, "worst_tenth": 0},
    "end_seconds": {"median": 300.0, "worst_tenth": 400.0},
    "chances": {"c02": 0.0, "c01": 0.95},
    "stops": [{"reason": "the window ends", "nights": 9, "failed_in": {"boot": 9}}],
    "failures": {"boot": 9},
    "migrations_per_instance": 1.5,
    "blocking": [{"host": "c02", "instance": "db (i2)", "reason": "is ERROR", "remedy": "Look."}],
    "records": 30,
    "basis": [
        {"what": "boot", "value": 90.0, "unit": "seconds", "records": 30, "is_assumed": False}
    ],
}
NIGHT = {
    "due": [{"host": "c01", "kind": "due", "reason": "old"}],
    "planned": [
        {
            "host": "c01",
            "zone": "nova",
            "starts_seconds": 0.0,
            "seconds": 300.0,
            "destinations": {"i1": "c02"},
        }
    ],
    "night": {
        "left": [{"host": "c02", "reason": "no room"}],
        "instances": 1,
        "migrations": 1,
        "rehearsal": PLAYED,
    },
    "done": [{"host": "c01", "run_id": "nightly__c01__x", "outcome": "done"}],
    "skipped": [],
}
CHECKS = {
    "check_controller": [
        {
            "host": "ctl01",
            "clock": AT,
            "groups": [{"title": "Nova services", "findings": [FINDING]}],
            "findings": [FINDING],
        }
    ],
    "check_clocks": {"findings": [FINDING]},
}
PLAN = {"ctl01": {"action": "restart", "stages": [["a", "b"], ["c"]], "boot_id": "b"}}
PICTURE = {
    "at": AT,
    "instances": [{**INSTANCE, "host": "c01", "power_state": 1, "task_state": None}],
}
CONTROLLERS = [
    {"host": "ctl01", "evidence": {"reboot": {"at": AT}}, "before": PICTURE, "after": None}
]
NIGHTS_SPAN = (NOW, NOW)
RECORDS: dict[str, dict[str, Any]] = {
    "host": {
        **build_record(run_of(DAG), TASKS, RESULTS, ERRORS, NOW),
        "notes": ["a note"],
        "failed_before": [{"task_id": "reboot", "ended_at": AT}],
    },
    "night": build_night_record(run_of("nightly_compute_maintenance"), TASKS, NIGHT, ERRORS, NOW),
    "checks": build_checks_record(
        run_of("controller_checks"), TASKS, CHECKS, ERRORS, NOW, NIGHTS_SPAN
    ),
    "controllers": build_controller_record(
        run_of("controller_maintenance"), TASKS, PLAN, CONTROLLERS, ERRORS, NOW
    ),
}
