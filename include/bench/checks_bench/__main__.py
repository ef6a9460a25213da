"""Look at the lab's controller as controller_checks does, next to one SSH connection alone.

First without Airflow: connecting and one trivial command against connecting and the whole look.
Then by the DAG, with one controller and with ten (the lab's one under ten names): from the first
start of check_controller to the last end, against its slowest. Exits with 3 when a promise is
not kept.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from airflow_local import AirflowApi, AirflowLocalError, Home, LocalAirflow
from airflow_local.home import PROJECT
from airflow_local.ports import free_port
from openstack_lab import Lab, LabError
from openstack_lab.lab import LOGIN
from openstack_maintenance.adapters.controller import read_controller
from openstack_maintenance.adapters.deployment_files import load_deployment
from openstack_maintenance.adapters.shell import Shell
from openstack_maintenance.adapters.ssh_login import connect_shell

CONTROLLER, DAG = "ctl01", "controller_checks"
STATE = Path(__file__).resolve().parents[1] / ".state/checks"
MOST_BEYOND_SECONDS = 2.0
RUN_SECONDS = 600


def main() -> int:
    parser = argparse.ArgumentParser(
        "checks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=10, help="looks without Airflow")
    parser.add_argument("--controllers", type=int, nargs="+", default=[1, 10])
    arguments = parser.parse_args()
    lab = Lab()
    try:
        if not lab.exists():
            raise LabError("There is no lab: `make lab-up` first.")
        address = str(lab.status()["hosts"][CONTROLLER]["address"])
        is_kept = asyncio.run(_without_airflow(lab, address, arguments.repeats))
        with _airflow(lab) as (api, policy):
            for count in arguments.controllers:
                _by_the_dag(api, policy, address, count)
    except (AirflowLocalError, LabError) as error:
        print(f"checks: {error}", file=sys.stderr)
        return 1
    return 0 if is_kept else 3


async def _without_airflow(lab: Lab, address: str, repeats: int) -> bool:
    """Both ways in turn, so that the machine treats them alike."""
    deployment = load_deployment("lab", PROJECT / "include/deployments")
    options = {
        "host": address,
        "username": LOGIN,
        "client_keys": [str(lab.key)],
        "known_hosts": str(lab.known_hosts),
    }

    async def trivial(shell: Shell) -> None:
        await shell.run("true", wait=timedelta(seconds=30))

    async def look(shell: Shell) -> None:
        await read_controller(shell, deployment)

    async def seconds(what: Callable[[Shell], Awaitable[None]]) -> float:
        began = time.perf_counter()
        async with connect_shell(options, CONTROLLER) as shell:
            await what(shell)
        return time.perf_counter() - began

    pairs = [(await seconds(trivial), await seconds(look)) for _ in range(repeats)]
    alone, whole = (statistics.median(each) for each in zip(*pairs, strict=True))
    beyond = max(look - trivial for trivial, look in pairs)
    services = sum(len(group.services) for group in deployment.groups)
    print(f"one SSH connection and `true`:     {alone:.2f} s (median of {repeats})")
    print(f"the look, {services} services and more:   {whole:.2f} s, {whole / alone:.1f} x")
    print(f"beyond the connection, at most:    {beyond:.2f} s (promised: {MOST_BEYOND_SECONDS} s)")
    return beyond <= MOST_BEYOND_SECONDS


@contextmanager
def _airflow(lab: Lab) -> Iterator[tuple[AirflowApi, Path]]:
    """An Airflow with the one DAG alone, and the policy that it reads."""
    shutil.rmtree(STATE, ignore_errors=True)
    home, dags, policy = Home(STATE / "airflow"), STATE / "dags", STATE / "policy.yaml"
    dags.mkdir(parents=True)
    shutil.copy(PROJECT / f"dags/{DAG}.py", dags)
    policy.write_text("deployment: lab\n")
    environment = lab.airflow_environment() | {"OPENSTACK_MAINTENANCE_POLICY": str(policy)}
    airflow = LocalAirflow(home, port=free_port(), dags=dags, environment=environment)
    try:
        airflow.start()
        api = airflow.api()
        api.wait_for_dag(DAG)
        api.set_paused(DAG, False)
        yield api, policy
    finally:
        airflow.stop()


def _by_the_dag(api: AirflowApi, policy: Path, address: str, count: int) -> None:
    names = [CONTROLLER, *(f"name{number:02}" for number in range(2, count + 1))]
    inventory = ", ".join(f"{{host: {name}, address: {address}}}" for name in names)
    policy.write_text(f"deployment: lab\ncontrollers: [{inventory}]\n")
    run = api.trigger(DAG, {})
    state = api.wait(DAG, run, RUN_SECONDS)
    path = f"/dags/{DAG}/dagRuns/{run}/taskInstances"
    tasks = api.get(path, limit=100)["task_instances"]
    looks = [_times(each) for each in tasks if each["task_id"] == "check_controller"]
    longest = max(end - start for start, end in looks)
    whole = max(end for _, end in looks) - min(start for start, _ in looks)
    print(
        f"{count} controllers by the DAG ({state}): check_controller {whole.total_seconds():.1f} s "
        f"in all, its slowest {longest.total_seconds():.1f} s"
    )


def _times(task: dict[str, str]) -> tuple[datetime, datetime]:
    return datetime.fromisoformat(task["start_date"]), datetime.fromisoformat(task["end_date"])


if __name__ == "__main__":
    sys.exit(main())
