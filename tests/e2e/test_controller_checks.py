"""The nightly checks of the controllers on the lab: green, every fault named, and past nights."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from harness import AirflowServer, Run, Stage, backfill
from harness.controller import Controller

DAG = "controller_checks"
FORM = """\
== Nova services ==
nova-api:                               active
nova-scheduler:                         active
nova-conductor:                         active
== Placement service ==
placement-api:                          active
== Glance services ==
glance-api:                             active
== Keystone service ==
keystone:                               active
== neutron services ==
neutron-server:                         active
== Support services ==
rabbitmq-server:                        active
mariadb:                                active
memcached:                              active
"""
SERVICES = {
    "nova-api",
    "nova-scheduler",
    "nova-conductor",
    "placement-api",
    "glance-api",
    "keystone",
    "neutron-server",
    "rabbitmq-server",
    "mariadb",
    "memcached",
}


@pytest.fixture(scope="module", autouse=True)
def nights_have_begun(airflow_server: AirflowServer) -> Iterator[None]:
    """The DAG is paused until a person begins its nights; after these tests it is again."""
    airflow_server.api.wait_for_dag(DAG)
    airflow_server.api.set_paused(DAG, False)
    yield
    airflow_server.api.set_paused(DAG, True)


@pytest.fixture
def controller(stage: Stage) -> Iterator[Controller]:
    """The lab's controller; whatever a test did to it is undone."""
    controller = Controller(stage.lab, stage.cloud)
    stage.set_policy(f"controllers: [{{host: ctl01, address: {controller.address}}}]\n")
    yield controller
    controller.give_back()


def check(stage: Stage) -> Run:
    return stage.airflow.trigger(DAG)


def problem(stage: Stage, run: Run) -> str:
    """Wait for a red end; returns the sentence, which the report ends with."""
    assert run.wait() == "failed"
    record = stage.record(run)
    assert record["outcome"] == "failed"
    said = str(record["problem"])
    assert said in run.log("report")
    return said


def verdicts(record: dict[str, Any]) -> dict[str, str]:
    """Every line of a record's controllers: name and text."""
    return {
        each["name"]: each["text"]
        for controller in record["controllers"]
        for each in controller["findings"]
    }


def test_a_healthy_night_is_printed_in_the_runbooks_form(
    stage: Stage, controller: Controller
) -> None:
    run = check(stage)

    assert run.wait() == "success", stage.record(run)["problem"]
    log, record = run.log("report"), stage.record(run)
    # What somebody restarted since the last check is told so; there may have been one.
    assert FORM in re.sub(r" \(restarted .*\)$", "", log, flags=re.MULTILINE)
    assert record["outcome"] == "passed"
    texts = {check["task_id"]: check["findings"][0]["text"] for check in record["checks"]}
    assert texts["check_broker_cluster"] == ("1 of 1 members running, no partitions, no alarms")
    assert texts["check_database"] == "answers a query; not a cluster"
    assert texts["check_memcached"].startswith("answers (version ")
    assert texts["check_clocks"] == "absent"
    assert texts["check_volume_services"] == "absent (the cloud has no such API)"
    assert texts["check_network_agents"] == "absent (none is listed)"
    endpoints = next(c for c in record["checks"] if c["task_id"] == "check_endpoints")
    assert len(endpoints["findings"]) > 5
    assert all(each["text"] == "answers (200)" for each in endpoints["findings"])
    assert "check_controller[ctl01]" in run.states()
    assert "Controller checks" in stage.page(run)


def test_a_stopped_a_masked_and_a_crashing_service_are_named_with_their_journal(
    stage: Stage, controller: Controller
) -> None:
    controller.stop("nova-scheduler")
    controller.mask("neutron-server")
    controller.let_crash("placement-api")

    run = check(stage)
    said = problem(stage, run)

    assert "controller ctl01: nova-scheduler: inactive" in said
    assert ", placement-api: flapping (" in said
    assert "neutron-server: masked" in said
    assert "check_network_agents: cloud openstack_default: " in said
    found = verdicts(stage.record(run))
    bad = {"nova-scheduler", "neutron-server", "placement-api"}
    assert {name for name, text in found.items() if text.startswith("active")} == SERVICES - bad
    log = run.log("report")
    assert "Stopped nova-scheduler.service" in log
    assert "placement-api.service: Main process exited" in log
    assert run.task("check_images").state == "success"


def test_a_stopped_broker_is_named(stage: Stage, controller: Controller) -> None:
    controller.fault("broker-stop")

    said = problem(stage, check(stage))

    assert "controller ctl01: rabbitmq-server: inactive" in said
    assert "check_broker_cluster: broker on ctl01: rabbitmq-server.service is inactive" in said


def test_a_stopped_database_is_named_and_the_controllers_services_are_still_reported(
    stage: Stage, controller: Controller
) -> None:
    controller.stop_database()

    run = check(stage)
    said = problem(stage, run)

    assert "controller ctl01: mariadb: inactive" in said
    assert "check_database: database on ctl01: mariadb.service is inactive" in said
    assert verdicts(stage.record(run))["nova-api"] == "active"


def test_an_api_that_accepts_connections_but_answers_500_is_named(
    stage: Stage, controller: Controller
) -> None:
    controller.fault("api-fail", "500")

    run = check(stage)
    said = problem(stage, run)

    assert "check_nova_services: cloud openstack_default: its compute API answers 500" in said
    assert "compute public RegionOne: http://" in said
    assert ":8774/v2.1 answers 500" in said
    assert "identity" not in said
    found = verdicts(stage.record(run))
    assert {name for name, text in found.items() if text.startswith("active")} == SERVICES


def test_an_unreachable_controller_and_one_without_sudo_do_not_hide_each_other(
    stage: Stage, controller: Controller
) -> None:
    hosts = f"{{host: ctl01, address: {controller.address}}}"
    hosts += f", {{host: ctl02, address: {controller.unused_address}}}"
    stage.set_policy(f"controllers: [{hosts}]\n")
    controller.fault("sudo-refused")

    run = check(stage)
    said = problem(stage, run)

    assert f"host ctl02 at {controller.unused_address}:22: " in said
    assert "check_database: database on ctl01: it cannot be asked: sudo: " in said
    assert "check_broker_cluster: broker on ctl01: it cannot be asked: sudo: " in said
    found = verdicts(stage.record(run))
    assert {name for name, text in found.items() if text.startswith("active")} == SERVICES
    states = run.states()
    assert states["check_controller[ctl01]"] == "success"
    assert states["check_controller[ctl02]"] == "failed"


def test_without_controllers_the_first_task_says_what_to_write(
    stage: Stage, controller: Controller
) -> None:
    stage.set_policy("")

    run = check(stage)
    said = problem(stage, run)

    assert said.startswith("policy ")
    assert "controllers: none is named, so there is nothing to check" in said
    assert run.states()["check_images"] == "success"


def test_past_nights_are_told_by_what_the_units_and_the_journal_prove(
    stage: Stage, controller: Controller
) -> None:
    today = datetime.now(UTC).replace(hour=0, minute=30, second=0, microsecond=0)
    controller.age_journal(today - timedelta(days=2, minutes=1))
    controller.run("sudo systemctl restart nova-scheduler")
    controller.age_journal(today - timedelta(days=2))
    controller.stop("nova-scheduler")
    controller.age_journal(today - timedelta(days=1))
    controller.run("sudo systemctl start nova-scheduler")

    nights = backfill(stage, DAG, today - timedelta(days=3), today)

    told = [verdicts(stage.record(run)) for run in nights]
    assert told[0]["nova-scheduler"].startswith("unknown (the journal reaches back only to ")
    assert told[1]["nova-scheduler"].startswith("active then (started ")
    assert told[2]["nova-scheduler"].startswith("not active then (stopped ")
    assert told[1]["memcached"].startswith("active then (started ")
    assert told[2]["memcached"].startswith("active then (started ")
    assert [stage.record(run)["outcome"] for run in nights] == ["unknown", "passed", "failed"]
    assert [run.state() for run in nights] == ["success", "success", "failed"]
    for run in nights:
        assert run.states()["check_images"] == "skipped"
        assert "unknown (nothing keeps a history of it)" in run.log("report")
