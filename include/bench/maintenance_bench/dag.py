"""The way with Airflow: a run of compute_host_maintenance, watched from its database and /proc.

Nothing is asked of Airflow's API while it is measured: that would cost it CPU.
"""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from airflow_local import Home, LocalAirflow
from airflow_local.database import Database
from airflow_local.home import PROJECT
from airflow_local.ports import free_port
from maintenance_bench.api_log import ApiLog
from maintenance_bench.clients import SETTLE_SECONDS
from maintenance_bench.errors import BenchError
from maintenance_bench.measured import Drain
from maintenance_bench.observer import Observer, Sample
from maintenance_bench.processes import DATABASE, cpu_seconds, minus
from maintenance_bench.stage import HOST, Stage

DAG = "compute_host_maintenance"
MIGRATES = ("migrate_instance", "migrate_arrival")
# The dag-processor reads the DAG files again and again, whatever runs.
WORKING = ("api-server", "scheduler", "triggerer", DATABASE)
HOLDS_A_SLOT = ("running", "queued")
IDLE_SECONDS = 10
EVERY_SECONDS = 0.5
# What comes after the drain, which is not measured but must end well.
REST_SECONDS = 240

Say = Callable[[str], None]


@dataclass(frozen=True)
class Look:
    """Worker slots that migrate tasks held at one moment.

    ``starting``: by tasks that have yet to hand their move to the triggerer; ``waiting``: by
    tasks that had done so before.
    """

    at: float
    starting: int
    waiting: int


@dataclass
class Watched:
    """One run as its database shows it twice a second."""

    database: Database
    run_id: str
    looks: list[Look] = field(default_factory=list)
    _handed_over: set[tuple[str, int]] = field(default_factory=set)

    def states(self) -> dict[tuple[str, int], str | None]:
        rows = self._read("SELECT task_id, map_index, state FROM task_instance WHERE run_id = %s")
        return {(task_id, map_index): state for task_id, map_index, state in rows}

    def note_slots(self, states: dict[tuple[str, int], str | None]) -> None:
        moves = {key: state for key, state in states.items() if key[0] in MIGRATES}
        holding = {key for key, state in moves.items() if state in HOLDS_A_SLOT}
        waiting = len(holding & self._handed_over)
        self.looks.append(Look(time.time(), len(holding) - waiting, waiting))
        self._handed_over |= {key for key, state in moves.items() if state == "deferred"}

    def run_state(self) -> str:
        return str(self._read("SELECT state FROM dag_run WHERE run_id = %s")[0][0])

    def times(self) -> list[dict[str, Any]]:
        """When each task was queued, began and ended, in the order of their beginnings."""
        rows = self._read(
            "SELECT task_id, map_index, state, queued_dttm, start_date, end_date "
            "FROM task_instance WHERE run_id = %s ORDER BY start_date"
        )
        names = ("task", "map_index", "state", "queued", "started", "ended")
        return [
            dict(zip(names, (*row[:3], *(_epoch(each) for each in row[3:])), strict=True))
            for row in rows
        ]

    def _read(self, query: str) -> list[tuple[Any, ...]]:
        return self.database.read(query, self.run_id)


@dataclass
class AirflowUnderTest:
    """An Airflow of the bench's own."""

    airflow: LocalAirflow
    policy: Path

    @classmethod
    def start(cls, stage: Stage, folder: Path, say: Say) -> AirflowUnderTest:
        home = Home(folder / "airflow")
        policy = folder / "policy.yaml"
        environment = stage.lab.airflow_environment() | {
            "OPENSTACK_MAINTENANCE_POLICY": str(policy)
        }
        dags = folder / "dags"
        airflow = LocalAirflow(home, port=free_port(), dags=dags, environment=environment)
        airflow.stop()
        # A run that an earlier bench left under way must not go on draining.
        shutil.rmtree(home.path, ignore_errors=True)
        # The one DAG alone: what others do on schedule would be counted with it.
        dags.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT / f"dags/{DAG}.py", dags)
        policy.write_text("deployment: lab\n")
        airflow.start(say)
        airflow.api().wait_for_dag(DAG)
        return cls(airflow, policy)

    def stop(self) -> None:
        self.airflow.stop()

    def drain(
        self, stage: Stage, instances: int, in_flight: int, deadline: float, say: Say
    ) -> Drain:
        """One run, without the reboot. The drain ends when the host is empty."""
        self._write_policy(in_flight)
        say(f"Airflow at rest for {IDLE_SECONDS} s")
        idle = self._idle_rate()
        log, run_id = ApiLog.from_now(stage.lab), f"bench-{time.time():.0f}"
        watched = Watched(self.airflow.home.database, run_id)
        conf = {"host": HOST, "reason": "bench", "ignore_window": True, "reboot": False}
        with Observer(stage.cloud) as observer:
            began, used = time.time(), cpu_seconds(self.airflow)
            self.airflow.api().trigger(DAG, conf, run_id)
            self._watch(watched, observer, deadline, say)
            used = minus(cpu_seconds(self.airflow), used)
            drained = time.time()
        say("the host is proven empty; the run goes on to its end, without a reboot")
        self._wait_for_end(watched)
        run_ended = time.time()
        time.sleep(SETTLE_SECONDS)
        steps = watched.times()
        proven_at = next(each["ended"] for each in steps if each["task"] == "check_host_empty")
        drain = Drain.of(
            "DAG",
            instances,
            in_flight,
            observer=observer,
            requests=log.requests(),
            total=proven_at - began,
            cpu=sum(used[name] for name in WORKING),
        )
        drain.more |= {
            "run_id": run_id,
            "cpu_by_component": used,
            "cpu_idle_per_second": idle,
            "cpu_over_idle": sum(used[name] - idle[name] * (drained - began) for name in WORKING),
            "to_first_migration": drain.more["began"] - began,
            "empty_to_proven": proven_at - drain.more["empty_at"],
            "first_migration_to_proven": proven_at - drain.more["began"],
            "run_seconds": run_ended - began,
            "slots": slots_held(watched.looks, observer.samples),
            "steps": [_relative(each, began) for each in steps],
        }
        return drain

    def _write_policy(self, in_flight: int) -> None:
        self.policy.write_text(
            "deployment: lab\n"
            f"records: file://{self.airflow.home.path}/records\n"
            f"migrations_per_host: {in_flight}\n"
            f"migrations_total: {in_flight}\n"
            f"nova_live_migration_limit: {in_flight}\n"
        )

    def _idle_rate(self) -> dict[str, float]:
        used = cpu_seconds(self.airflow)
        time.sleep(IDLE_SECONDS)
        idle = minus(cpu_seconds(self.airflow), used)
        return {name: seconds / IDLE_SECONDS for name, seconds in idle.items()}

    def _watch(self, watched: Watched, observer: Observer, deadline: float, say: Say) -> None:
        until, said = time.monotonic() + deadline, 0
        while True:
            states = watched.states()
            watched.note_slots(states)
            if states.get(("check_host_empty", -1)) == "success":
                return
            if watched.run_state() in ("failed", "success") or time.monotonic() > until:
                counted = dict(Counter(f"{task}: {state}" for (task, _), state in states.items()))
                raise BenchError(f"DAG: the host was not proven empty: {counted}.")
            done = observer.samples[-1].done if observer.samples else 0
            if done >= said + 5:
                said = done
                say(f"{done} moved")
            time.sleep(EVERY_SECONDS)

    def _wait_for_end(self, watched: Watched) -> None:
        until = time.monotonic() + REST_SECONDS
        while (state := watched.run_state()) != "success":
            if state == "failed" or time.monotonic() > until:
                raise BenchError(f"DAG: the run should have succeeded and is {state}.")
            time.sleep(EVERY_SECONDS)


def slots_held(looks: list[Look], samples: list[Sample]) -> dict[str, float | int]:
    """Worker slots that migrate tasks held while migrations were in flight."""
    moving = [each.at for each in samples if each.moving]
    if not moving:
        return {}
    flight = [each for each in looks if moving[0] <= each.at <= moving[-1]]
    return {
        "looks_while_migrating": len(flight),
        "held_while_waiting": max((each.waiting for each in flight), default=0),
        "held_while_starting": max((each.starting for each in flight), default=0),
        "starting_until": max((each.at - moving[0] for each in flight if each.starting), default=0),
    }


def _relative(step: dict[str, Any], began: float) -> dict[str, Any]:
    times = {
        name: round(step[name] - began, 2) if step[name] is not None else None
        for name in ("queued", "started", "ended")
    }
    return step | times


def _epoch(found: datetime | None) -> float | None:
    return None if found is None else found.timestamp()
