"""docker-compose.yaml for real: a night on it, in which every part of Airflow dies in turn.

With two schedulers, two triggerers and two Celery workers.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_local import AirflowApi
from harness import BootWitness
from harness.compose import Compose
from openstack_lab import Cloud, Lab, restore

NIGHT, HOST_DAG = "nightly_compute_maintenance", "compute_host_maintenance"
HOSTS = ("c01", "c02")
# A window that has just opened, for a day: who booted before it has not been done tonight.
POLICY = """\
deployment: lab
window: {{start: "{now:%H:%M:%S}", end: "{now:%H:%M:%S}", timezone: UTC}}
due: {{hosts: [c01, c02]}}
"""
PARTS = {"api-server", "dag-processor", "init", "postgres", "redis"}
TWICE = {"scheduler", "triggerer", "worker"}
PATIENCE = 900

Say = Callable[[str], None]


@pytest.fixture(scope="module")
def compose(lab: Lab, say: Say, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compose]:
    """The whole of docker-compose.yaml, healthy, with the lab as its cloud."""
    compose = Compose(lab, tmp_path_factory.mktemp("compose"), say)
    compose.prepare(connections(lab), POLICY.format(now=datetime.now(UTC)))
    try:
        compose.build(tmp_path_factory.mktemp("images"))
        compose.up(scheduler=2, triggerer=2, worker=2)
        yield compose
    finally:
        compose.down()


@pytest.fixture
def lab_at_rest(lab: Lab, cloud: Cloud, say: Say) -> Iterator[Lab]:
    restore(lab, cloud, say)
    yield lab
    restore(lab, cloud, say)


def connections(lab: Lab) -> dict[str, Any]:
    """As docs/deployment.md has them: no file but known_hosts, no cloud but this one."""
    auth = Cloud(lab.clouds_yaml).connection.config.get_auth_args()
    extra = ("project_name", "user_domain_name", "project_domain_name")
    known_hosts = "/opt/airflow/config/known_hosts"
    return {
        "openstack_default": {
            "conn_type": "openstack",
            "host": auth["auth_url"],
            "login": auth["username"],
            "password": auth["password"],
            "extra": {key: auth[key] for key in extra},
        },
        "openstack_ssh": {
            "conn_type": "ssh",
            "login": "maintenance",
            "extra": {"private_key": lab.key.read_text(), "known_hosts": known_hosts},
        },
    }


@pytest.mark.timeout(1800)
def test_a_night_outlives_the_death_of_every_scheduler_triggerer_and_worker(
    lab_at_rest: Lab, cloud: Cloud, compose: Compose, witness: BootWitness, say: Say
) -> None:
    lab, api = lab_at_rest, compose.api()
    assert {each.service for each in compose.containers()} == PARTS | TWICE
    api.wait_for_dag(NIGHT)
    assert api.import_errors() == {}
    for state in ("ACTIVE", "PAUSED", "SHUTOFF"):
        lab.create_instances("c01", 1, state, prefix=f"one-{state.lower()}")
    lab.create_instances("c02", 1, prefix="two")
    before = {each.name: each.status for each in cloud.instances()}
    for host in HOSTS:
        lab.fault(host, "migration-seconds", "20")

    api.set_paused(NIGHT, False)
    night = api.trigger(NIGHT, {})
    say(f"triggered {night}")
    crashed = []
    first = wait_for_run(api, night, after=())
    # A worker at work, the triggerer that watches the drain, a scheduler.
    crashed.append(compose.crash(wait_for_task(api, first, "check_host", "running")["hostname"]))
    moving = wait_for_task(api, first, "migrate_instance", "deferred", is_watched=True)
    wait_for_migration(cloud)
    crashed.append(compose.crash(moving["triggerer_job"]["hostname"]))
    crashed.append(compose.crash(compose.containers("scheduler")[0].id))
    second = wait_for_run(api, night, after=[first])
    wait_for_task(api, second, "migrate_instance", "deferred", is_watched=True)
    # The other one of each.
    crashed += [compose.crash(other(compose, gone).id) for gone in crashed]
    state = api.wait(NIGHT, night, PATIENCE, lambda task: say(f"{task.name}: {task.state}"))

    record = json.loads(compose.read(f"/opt/airflow/records/{NIGHT}/{night}.json"))
    assert (state, record["outcome"]) == ("success", "done"), record["problem"]
    assert sorted(each["host"] for each in record["done"]) == list(HOSTS)
    assert {each.name: each.status for each in cloud.instances()} == before
    assert sorted(boot.host for boot in witness.boots()) == list(HOSTS)
    for host in HOSTS:
        service = cloud.service(host)
        assert (service["status"], service["state"]) == ("enabled", "up")
    assert {each.service for each in crashed} == TWICE
    assert len({each.id for each in crashed}) == 6
    compose.wait_until_healthy()
    restarts = {each.id: each.restarts for each in compose.containers()}
    assert all(restarts[each.id] >= 1 for each in crashed)


def wait_for_run(api: AirflowApi, night: str, after: Any) -> str:
    """The run of the next host of this night."""

    def look() -> str | None:
        assert api.run(NIGHT, night)["state"] in ("queued", "running"), "the night is over"
        runs = [run["dag_run_id"] for run in api.runs(HOST_DAG)]
        return next((r for r in runs if r.endswith(night) and r not in after), None)

    return until(look, "the run of another host")


def wait_for_task(
    api: AirflowApi, run_id: str, task_id: str, state: str, *, is_watched: bool = False
) -> dict[str, Any]:
    """A task of a host's run in this state, as the API tells it; `is_watched` by a triggerer."""

    def look() -> dict[str, Any] | None:
        path = f"/dags/{HOST_DAG}/dagRuns/{run_id}/taskInstances"
        found = api.get(path, limit=100)["task_instances"]
        of_it = [t for t in found if t["task_id"] == task_id and t["state"] == state]
        return next((t for t in of_it if not is_watched or t["triggerer_job"]), None)

    return until(look, f"{task_id} that is {state}")


def wait_for_migration(cloud: Cloud) -> None:
    until(lambda: [m for m in cloud.migrations() if m["status"] == "running"], "a migration")


def other(compose: Compose, gone: Any) -> Any:
    return next(each for each in compose.containers(gone.service) if each.id != gone.id)


def until(look: Callable[[], Any], wanted: str) -> Any:
    deadline = time.monotonic() + PATIENCE
    while not (found := look()):
        assert time.monotonic() < deadline, f"after {PATIENCE} s there is not: {wanted}"
        time.sleep(0.3)
    return found


def test_no_container_has_root_a_capability_or_a_file_system_that_it_can_write(
    compose: Compose,
) -> None:
    for each in compose.containers():
        if each.service == "init":
            continue
        status = compose.run(each.service, "cat /proc/1/status; id -u")
        assert "CapEff:\t0000000000000000" in status, each.service
        assert "CapBnd:\t0000000000000000" in status, each.service
        assert "NoNewPrivs:\t1" in status, each.service
        assert status.split()[-1] != "0", each.service
        wrote = "touch /usr/x /etc/x /root/x 2>/dev/null && echo it could write || echo it may not"
        assert compose.run(each.service, wrote) == "it may not\n", each.service


def test_a_worker_sees_the_broker_and_its_results_and_nothing_else(compose: Compose) -> None:
    assert compose.run("worker", "ls /run/secrets").split() == ["broker_url", "result_backend"]
    tries = (
        "import psycopg2, sys, urllib.parse\n"
        "url = open('/run/secrets/result_backend').read().strip()"
        ".removeprefix('db+').replace('+psycopg2', '')\n"
        "psycopg2.connect(url).cursor().execute('select 1')\n"
        "try: psycopg2.connect(url.rpartition('/')[0] + '/airflow')\n"
        "except psycopg2.OperationalError as error: print(error)\n"
    )
    assert "permission denied for database" in compose.run("worker", f'python3 -c "{tries}"')


def test_a_night_leaves_no_secret_in_logs_records_or_database(lab: Lab, compose: Compose) -> None:
    left = {
        "what the containers printed": compose.logs(),
        "task logs": compose.run("worker", "find /opt/airflow/logs -type f -exec cat {} +"),
        "records": compose.run("worker", "find /opt/airflow/records -type f -exec cat {} +"),
        "database: XCom, rendered fields, audit log and all": compose.run(
            "postgres",
            "PGPASSWORD=$(cat /run/secrets/database_password) pg_dump -h 127.0.0.1"
            " -U airflow airflow",
        ),
    }
    for where, text in left.items():
        assert NIGHT in text, f"{where}: nothing of the night is there, so this proves nothing"
        found = [name for name, secret in secrets(lab, compose).items() if secret in text]
        assert not found, f"{where}: {found}"


def secrets(lab: Lab, compose: Compose) -> dict[str, str]:
    """Everything that must not be found anywhere, by name."""
    files = (compose.site / "secrets").iterdir()
    generated = {f.name: f.read_text().strip() for f in files if f.suffix != ".json"}
    passwords = json.loads((compose.site / "secrets/passwords.json").read_text())
    auth = Cloud(lab.clouds_yaml).connection.config.get_auth_args()
    key = lab.key.read_text().splitlines()
    return {
        **generated,
        "the password of Airflow's admin": passwords["admin"],
        "the password of OpenStack's admin": auth["password"],
        "the SSH key": key[len(key) // 2],
    }
