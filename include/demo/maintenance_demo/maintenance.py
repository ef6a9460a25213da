"""The maintenance itself: triggered as the UI triggers it, followed, and judged by the cloud."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from airflow_local import AirflowApi, TaskInstance
from airflow_local.home import write_private
from maintenance_demo.narrator import Narrator
from maintenance_demo.stage import HOST, notes_folder
from openstack_lab import Cloud, Instance, Lab

DAG = "compute_host_maintenance"
CONF = {"host": HOST, "reason": "demo", "ignore_window": True}
RUN_TIMEOUT = 900
LOOK_AT_NOVA_EVERY = 2.0
QUIET = frozenset({None, "scheduled", "queued", "restarting"})
SAID_AS = {
    "running": "...",
    "deferred": "waits without a worker slot",
    "success": "done",
    "up_for_reschedule": "waits without a worker slot",
    "up_for_retry": "will be tried again",
    "upstream_failed": "not run: an earlier task failed",
    "skipped": "not needed",
}


@dataclass(frozen=True)
class Before:
    """How things were when the run began: what the end is compared with."""

    run_id: str
    boot_id: str
    instances: list[Instance]

    def save(self) -> None:
        write_private(_notes(), json.dumps(asdict(self)))

    @classmethod
    def load(cls) -> Before | None:
        if not _notes().exists():
            return None
        found = json.loads(_notes().read_text())
        return cls(**found | {"instances": [Instance(**i) for i in found["instances"]]})


def find_run_under_way(api: AirflowApi) -> Before | None:
    """The run of an earlier demo that was left while it went on."""
    before = Before.load()
    active = [r["dag_run_id"] for r in api.runs(DAG) if r["state"] in ("queued", "running")]
    return before if before and before.run_id in active else None


def trigger(api: AirflowApi, lab: Lab, instances: list[Instance]) -> Before:
    run_id = f"demo-{datetime.now(UTC):%Y%m%dT%H%M%S}"
    before = Before(run_id, lab.boot_id(HOST), instances)
    before.save()
    api.trigger(DAG, CONF, run_id)
    return before


def follow(narrator: Narrator, api: AirflowApi, cloud: Cloud, before: Before) -> str:
    """Tell every task and every instance until the run has ended; return the run's state."""
    moves = _Moves(narrator, cloud, before)

    def ended(_: list[TaskInstance]) -> str:
        moves.look()
        state = str(api.run(DAG, before.run_id)["state"])
        return state if state in ("success", "failed") else ""

    def tell(task: TaskInstance) -> None:
        if task.state not in QUIET:
            narrator.say("airflow", f"{task.name}: {SAID_AS.get(str(task.state), task.state)}")

    return api.wait_until(DAG, before.run_id, ended, RUN_TIMEOUT, tell)


def failures(api: AirflowApi, run_id: str) -> Iterator[str]:
    """What the failed tasks said: what is wrong with what, and what to do."""
    for task in api.task_instances(DAG, run_id):
        if task.state == "failed":
            said = api.xcom(DAG, run_id, task.task_id, "error", task.map_index)
            parts = [str(said[part]) for part in ("subject", "found", "remedy")] if said else []
            yield f"{task.name}: {' '.join(parts) or 'see its log in the UI'}"


def verdicts(cloud: Cloud, lab: Lab, before: Before, state: str) -> Iterator[tuple[bool, str]]:
    """Every promise of the demo, each with whether the cloud says that it was kept."""
    yield state == "success", f"the run ended: {state}"
    now = {instance.id: instance for instance in cloud.instances()}
    for was in before.instances:
        found = now.get(was.id)
        if found is None:
            yield False, f"{was.name}: gone"
            continue
        kept = found.host != HOST and found.status == was.status and found.task_state is None
        yield (
            kept,
            f"{was.name}: {was.host} -> {found.host}, was {was.status}, is {found.status}",
        )
    boot_id = lab.boot_id(HOST)
    yield boot_id != before.boot_id, f"{HOST} has rebooted: boot_id {before.boot_id} -> {boot_id}"
    service = cloud.service(HOST)
    in_service = (service["status"], service["state"]) == ("enabled", "up")
    yield in_service, f"{HOST} is {service['status']} and {service['state']}"


def find_record(records: Path, run_id: str) -> tuple[Path, dict[str, Any]] | None:
    """The run's record and where it is."""
    for file in sorted(records.rglob("*.json")):
        if run_id in file.name and file.parent.name != "notes":
            return file, json.loads(file.read_text())
    return None


def readable(record: dict[str, Any]) -> str:
    """A record as a person at a terminal reads it; the file holds the tasks too."""
    shown = {name: value for name, value in record.items() if name not in ("tasks", "before")}
    return yaml.safe_dump(shown, sort_keys=False, width=100, default_flow_style=None)


class _Moves:
    """Tells when an instance changes its host or its state, asking Nova every other second."""

    def __init__(self, narrator: Narrator, cloud: Cloud, before: Before) -> None:
        self._narrator, self._cloud = narrator, cloud
        self._known = {instance.id: instance for instance in before.instances}
        self._looked = 0.0

    def look(self) -> None:
        if time.monotonic() - self._looked < LOOK_AT_NOVA_EVERY:
            return
        self._looked = time.monotonic()
        for now in self._cloud.instances():
            was = self._known.get(now.id)
            if was is not None and was != now:
                self._tell(was, now)
                self._known[now.id] = now

    def _tell(self, was: Instance, now: Instance) -> None:
        place = f"{was.host} -> {now.host}" if was.host != now.host else f"on {now.host}"
        doing = f", {now.task_state}" if now.task_state else ""
        self._narrator.say("cloud", f"{now.name}: {place}, {now.status}{doing}")


def _notes() -> Path:
    return notes_folder() / "run.json"
