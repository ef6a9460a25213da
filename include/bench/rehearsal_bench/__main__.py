"""Rehearse a night on the lab, then let the night come, and say how near the rehearsal was.

Two nights of all four hosts by the DAG, at 01:30 as it were: the first teaches the records how long
a host takes here; then the second is rehearsed by a dry run, and is held to that. Exits with 3 when
the night's length or its migrations are further off than promised.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow_local import AirflowApi, AirflowLocalError, Home, LocalAirflow
from airflow_local.home import PROJECT
from airflow_local.ports import free_port
from openstack_lab import Cloud, Lab, LabError

DAG, CHILD = "nightly_compute_maintenance", "compute_host_maintenance"
STATE = Path(__file__).resolve().parents[1] / ".state/rehearsal"
PREFIX = "night"
NEAR = 0.2
RUN_SECONDS = 3600


def main() -> int:
    parser = argparse.ArgumentParser(
        "rehearsal", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--instances", type=int, default=2, help="on each host, at first")
    arguments = parser.parse_args()
    lab = Lab()
    try:
        if not lab.exists():
            raise LabError("There is no lab: `make lab-up` first.")
        with _nights(lab, arguments.instances) as nights:
            nights.play()
            told = nights.play(dry_run=True)["rehearsal"]
            return _compare(told, nights.play(), nights)
    except (AirflowLocalError, LabError) as error:
        print(f"rehearsal: {error}", file=sys.stderr)
        return 1


@dataclass
class Nights:
    """Nights of the lab's hosts, each with a window that has just opened."""

    api: AirflowApi
    hosts: list[str]

    def play(self, **asked: Any) -> dict[str, Any]:
        """A night to its end; its record. All hosts are due: none has booted in its window, and
        when they were maintained last is forgotten. How long they took is not.
        """
        for dag_id in (DAG, CHILD):
            shutil.rmtree(STATE / "records" / dag_id / "hosts", ignore_errors=True)
        opened = datetime.now(UTC)
        hours = {
            "start": f"{opened:%H:%M:%S}",
            "end": f"{opened + timedelta(hours=3):%H:%M:%S}",
            "timezone": "UTC",
        }
        policy = {
            "deployment": "lab",
            "records": str(STATE / "records"),
            "window": hours,
            "due": {"hosts": self.hosts},
            "reserve_hosts": 0,
        }
        (STATE / "policy.yaml").write_text(json.dumps(policy))  # YAML, too
        run = self.api.trigger(DAG, {"reason": "rehearsal bench", **asked})
        state = self.api.wait(DAG, run, RUN_SECONDS)
        record = self.record(DAG, run)
        if state != "success":
            raise LabError(f"The night {run} is {state}: {record['problem']}")
        return record

    def record(self, dag_id: str, run_id: str) -> dict[str, Any]:
        """What a run has left."""
        found: dict[str, Any] = json.loads(
            (STATE / "records" / dag_id / f"{run_id}.json").read_text()
        )
        return found


@contextmanager
def _nights(lab: Lab, instances: int) -> Iterator[Nights]:
    shutil.rmtree(STATE, ignore_errors=True)
    cloud = Cloud(lab.clouds_yaml)
    hosts = sorted(cloud.compute_hosts())
    STATE.mkdir(parents=True)
    policy = {"OPENSTACK_MAINTENANCE_POLICY": str(STATE / "policy.yaml")}
    (STATE / "policy.yaml").write_text("deployment: lab\n")
    # A window that opens moves the nights' schedule there: their runs are those of `play`.
    schedule = {"AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False"}
    environment = lab.airflow_environment() | policy | schedule
    airflow = LocalAirflow(
        Home(STATE / "airflow"),
        port=free_port(),
        dags=PROJECT / "dags",
        environment=environment,
    )
    try:
        for host in hosts:
            lab.create_instances(host, instances, prefix=f"{PREFIX}-{host}", ram_mib=512)
        airflow.start()
        api = airflow.api()
        for dag_id in (DAG, CHILD):
            api.wait_for_dag(dag_id)
            api.set_paused(dag_id, False)
        yield Nights(api, hosts)
    finally:
        airflow.stop()
        cloud.delete([each for each in cloud.instances() if each.name.startswith(f"{PREFIX}-")])


def _compare(told: dict[str, Any], night: dict[str, Any], nights: Nights) -> int:
    """Print both; the exit code."""
    children = [nights.record(CHILD, each["run_id"]) for each in night["done"]]
    began = datetime.fromisoformat(night["started_at"])
    last = max(datetime.fromisoformat(each["ended_at"]) for each in children)
    moves = sum(len(each["moves"]) for each in children)
    bound = night["bound"]
    rows = [
        ("hosts done", told["done"]["median"], len(children)),
        (
            "seconds until the last is back",
            told["end_seconds"]["median"],
            (last - began).total_seconds(),
        ),
        (
            "migrations an instance",
            told["migrations_per_instance"],
            bound["migrations"] / bound["instances"],
        ),
    ]
    print(f"learned from {told['records']} runs; {moves} moves in the night that followed")
    print(f"{'':32}{'rehearsed':>12}{'the night':>12}{'off by':>9}")
    for what, rehearsed, real in rows:
        print(f"{what:32}{rehearsed:12.1f}{real:12.1f}{abs(rehearsed - real) / real:9.0%}")
    return 0 if all(abs(a - b) <= NEAR * b for _, a, b in rows) else 3


if __name__ == "__main__":
    sys.exit(main())
