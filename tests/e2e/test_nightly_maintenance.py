"""Nights in which several hosts are maintained, one after the other."""

from __future__ import annotations

import shutil
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from harness import AirflowServer, Run, Stage, backfill

DAG, CHILD = "nightly_compute_maintenance", "compute_host_maintenance"
HOSTS = ("c01", "c02", "c03", "c04")
AGE = Path(__file__).parent / "harness/age_boot.sh"


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


def test_all_hosts_are_maintained_in_one_night_whatever_dies_and_each_instance_moves_once(
    stage: Stage,
) -> None:
    due = f"due: {{hosts: [{', '.join(HOSTS)}]}}\nclose_waiting_hosts: true\n"
    stage.set_policy(window(timedelta(hours=3)) + due)
    for host in HOSTS[:3]:
        stage.place(host, "SHUTOFF", prefix=f"{host}-")
    for host in ("c01", "c03"):
        stage.place(host, "ACTIVE", prefix=f"{host}-apart-", group="apart")
    stage.place("c02", "ACTIVE", prefix="c02-")
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
        run.wait_for("maintain_host", "success", count=2)
        stage.airflow.kill("scheduler")
        stage.airflow.restart("scheduler")
        state = run.wait()
    record = stage.record(run)

    assert (state, record["outcome"]) == ("success", "done"), record["problem"]
    assert closed, "no host was closed for new instances while it waited"
    assert run.task("select_hosts").try_number == 2
    after = stage.picture()
    assert moves(stage) - moved == len(before.instances) == 6
    assert statuses(after) == statuses(before)
    assert after.services == before.services
    assert boots(stage) == dict.fromkeys(HOSTS, 1)
    assert record["planned"][0]["host"] == "c04"  # the empty one first
    assert {each["host"] for each in record["done"]} == set(HOSTS)
    for each in record["done"]:
        child = stage.record(Run(stage.airflow, CHILD, each["run_id"]))
        assert (child["outcome"], child["asked"]["host"]) == ("done", each["host"])
        assert child["evidence"]["reboot"]["boot_id_after"] == after.boots[each["host"]]

    again = stage.airflow.trigger(DAG)
    assert again.wait() == "success"
    assert stage.record(again)["outcome"] == "nothing_due"
    assert stage.picture() == after


def test_a_night_that_is_approved_goes_on_without_a_host_that_fails_and_ends_red_naming_it(
    stage: Stage,
) -> None:
    due = "due: {hosts: [c01, c02, c03]}\nmax_hosts_out: 2\n"
    stage.set_policy(window(timedelta(hours=3)) + due + "reserve_hosts: 4\n")
    stage.place("c02", "ACTIVE")
    stage.lab.fault("c02", "migration-refuse", "active-01")
    before = stage.picture()

    # What would leave less room than the policy wants is not even begun.
    floor = stage.airflow.trigger(DAG)
    assert floor.wait() == "success"
    assert {each["host"]: each["reason"] for each in stage.record(floor)["left"]} == dict.fromkeys(
        ("c01", "c02", "c03"),
        "its zone would keep less than 4 hosts' capacity free (reserve_hosts)",
    )
    assert stage.picture() == before

    stage.set_policy(window(timedelta(hours=3)) + due + "approval: true\n")
    rejected = stage.airflow.trigger(DAG)
    rejected.answer("approve", "Reject")
    assert rejected.wait() == "success"
    assert {each["reason"] for each in stage.record(rejected)["left"]} == {
        "admin rejected the plan"
    }
    assert stage.picture() == before

    run = stage.airflow.trigger(DAG)
    run.answer("approve", "Approve")
    assert run.wait() == "failed"
    record = stage.record(run)

    assert record["outcome"] == "failed"
    assert record["problem"].startswith("host c02: run nightly__c02__")
    assert turns(run) == {"c01": "success", "c02": "failed", "c03": "success"}
    after = stage.picture()
    assert boots(stage) == {"c01": 1, "c03": 1}
    status, reason = after.services.pop("c02")
    assert status == "disabled"
    assert "failed at migrate_instance" in str(reason)
    assert after.services == {k: v for k, v in before.services.items() if k != "c02"}


def test_a_short_window_does_some_and_the_nights_after_the_rest_and_nobody_twice(
    stage: Stage,
) -> None:
    for host in ("c01", "c02"):
        stage.lab.ssh(host, f"sudo sh -c '{AGE.read_text()}'")
    stage.set_policy(window(timedelta(minutes=9)))  # a host is taken to need 5 min
    before = stage.picture()

    first = stage.airflow.trigger(DAG)
    assert first.wait() == "success"
    record = stage.record(first)
    assert record["outcome"] == "partly_done", record
    assert [each["host"] for each in record["done"]] == ["c01"]
    assert [each["host"] for each in record["left"]] == ["c02"]
    assert "window's end" in record["left"][0]["reason"]
    assert stage.picture().changed(before) == {"c01"}

    stage.set_policy(window(timedelta(hours=3)))
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    past = today - timedelta(days=5), today - timedelta(seconds=1)
    nights = backfill(stage, DAG, *past, at_a_time=2)
    assert len(nights) == 5
    assert [run.state() for run in nights] == ["success"] * 5
    done = [each["host"] for run in nights for each in stage.record(run)["done"]]
    assert done == ["c02"]
    assert boots(stage) == {"c01": 1, "c02": 1}
    assert stage.picture().changed(before) == {"c01", "c02"}


def window(length: timedelta) -> str:
    """A window that has just opened: whoever booted before it has not been done tonight."""
    start = datetime.now(UTC)
    hours = f'start: "{start:%H:%M:%S}", end: "{start + length:%H:%M:%S}", timezone: UTC'
    return f"window: {{{hours}}}\n"


def turns(run: Run) -> dict[str, str | None]:
    """How each host's turn ended, by host."""
    return {
        name.partition("[")[2].rstrip("]"): state
        for name, state in run.states().items()
        if name.startswith("maintain_host[")
    }


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
