"""A night in which several hosts are maintained, whatever dies. More nights: tests/simulator."""

from __future__ import annotations

import shutil
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from harness import AirflowServer, Run, Stage, backfill

DAG, CHILD = "nightly_compute_maintenance", "compute_host_maintenance"
HOSTS = ("c01", "c02", "c03", "c04")
DUE = ("c01", "c04")  # one that logs its connections to the broker, and one that does not


@pytest.fixture(scope="module", autouse=True)
def nights_have_begun(airflow_server: AirflowServer) -> Iterator[None]:
    """The DAG is paused until a person begins its nights; after these tests it is again."""
    airflow_server.api.wait_for_dag(DAG)
    airflow_server.api.set_paused(DAG, False)
    yield
    airflow_server.api.set_paused(DAG, True)


@pytest.fixture(autouse=True)
def nothing_was_maintained_yet(stage: Stage) -> None:
    """Each test has nights of its own: what others taught, and whom they left, is forgotten."""
    for dag_id in (CHILD, DAG):
        shutil.rmtree(stage.records / dag_id / "hosts", ignore_errors=True)


def test_the_due_hosts_are_maintained_in_one_night_whatever_dies_and_each_instance_moves_once(
    stage: Stage,
) -> None:
    due = f"due: {{hosts: [{', '.join(DUE)}]}}\nclose_waiting_hosts: true\n"
    stage.set_policy(window(timedelta(hours=3)) + due)
    stage.place("c01", "SHUTOFF", "ACTIVE", prefix="c01-")
    for host in ("c01", "c03"):
        stage.place(host, "ACTIVE", prefix=f"{host}-apart-", group="apart")
    before, moved = stage.picture(), moves(stage)

    with never_together(stage, "-apart-") as closed:
        stage.lab.fault("api-slow", "4")
        run = stage.airflow.trigger(DAG)
        run.wait_for("select_hosts", "running")
        run.kill_worker("select_hosts")
        stage.lab.fault("clear", "api-slow")
        run.wait_for("maintain_host", "success")
        stage.airflow.kill("triggerer")
        stage.airflow.restart("triggerer")
        stage.airflow.kill("scheduler")
        stage.airflow.restart("scheduler")
        state = run.wait()
    record = stage.record(run)

    assert (state, record["outcome"]) == ("success", "done"), record["problem"]
    assert closed, "no host was closed for new instances while it waited"
    assert run.task("select_hosts").try_number == 2
    after = stage.picture()
    assert moves(stage) - moved == 3  # those of c01
    assert statuses(after) == statuses(before)
    assert after.services == before.services
    assert boots(stage) == dict.fromkeys(DUE, 1)
    assert record["planned"][0]["host"] == "c04"  # the empty one first
    assert {each["host"] for each in record["done"]} == set(DUE)
    for each in record["done"]:
        child = stage.record(Run(stage.airflow, CHILD, each["run_id"]))
        assert (child["outcome"], child["asked"]["host"]) == ("done", each["host"])
        assert child["evidence"]["reboot"]["boot_id_after"] == after.boots[each["host"]]

    again = stage.airflow.trigger(DAG)
    assert again.wait() == "success"
    assert stage.record(again)["outcome"] == "nothing_due"
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    past = today - timedelta(days=1), today - timedelta(seconds=1)
    nights = backfill(stage, DAG, *past, at_a_time=2)
    assert [stage.record(run)["outcome"] for run in nights] == ["nothing_due"]
    assert stage.picture() == after


def window(length: timedelta) -> str:
    """A window that has just opened: whoever booted before it has not been done tonight."""
    start = datetime.now(UTC)
    hours = f'start: "{start:%H:%M:%S}", end: "{start + length:%H:%M:%S}", timezone: UTC'
    return f"window: {{{hours}}}\n"


def moves(stage: Stage) -> int:
    """How often an instance has moved. A destination that Nova refuses costs nobody anything."""
    done = ("completed", "confirmed")
    return sum(migration["status"] in done for migration in stage.cloud.migrations())


def statuses(picture: Any) -> dict[str, str]:
    return {name: status for name, (_, status) in picture.instances.items()}


def boots(stage: Stage) -> dict[str, int]:
    """How often each host was booted in this test, as the hosts themselves have seen it."""
    return dict(Counter(boot.host for boot in stage.witness.boots()))


@contextmanager
def never_together(stage: Stage, part: str) -> Iterator[set[str]]:
    """Look all the time whether two of the instances with this in their names share a host.

    Gives the hosts that were closed for new instances at some moment.
    """
    over, seen, closed = threading.Event(), [], set()

    def look() -> None:
        while not over.wait(1):
            hosts = Counter(i.host for i in stage.cloud.instances() if part in i.name)
            seen.append([host for host, count in hosts.items() if count > 1])
            reasons = {host: stage.cloud.service(host)["disabled_reason"] or "" for host in HOSTS}
            closed.update(host for host in HOSTS if "closed for new instances" in reasons[host])

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield closed
    finally:
        over.set()
        watcher.join()
    assert len(seen) > 30, "hardly anything was seen"
    assert not any(seen), seen
