"""The maintenance of controllers on the lab: restart and reboot, what forbids them, what fails."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from airflow_local.home import PROJECT
from harness import Run, Stage
from harness.controller import Controller

DAG = "controller_maintenance"
NOW = {"ignore_window": True, "reason": "test"}
GROUP = "maintain_controller"
# Replaces what the unit runs at its next start.
_BROKEN = (
    '[Service]\\nRestart=no\\nExecStart=\\nExecStart=/bin/sh -c "echo the disk is full; exit 7"\\n'
)
_LIMIT = 600
_CATALOG = """
title: The lab with a stand-in
nova_compute: {unit: nova-compute, log_paths: [/var/log/nova/nova-compute.log]}
groups:
  - title: Services
    services:
      - {name: nova-api, role: api, stage: api, required: false}
      - {name: nova-scheduler, stage: scheduler, required: false}
      - {name: nova-conductor, stage: conductor, required: false}
      - {name: keystone, role: api, stage: identity, required: false}
      - {name: nova-compute, stage: api, required: false}
      - {name: no-database, role: database, required: false}
"""


@pytest.fixture
def controller(stage: Stage) -> Iterator[Controller]:
    """The lab's controller; whatever a test did to it is undone."""
    controller = Controller(stage.lab, stage.cloud)
    stage.set_policy(inventory(controller))
    yield controller
    controller.give_back()


@pytest.fixture
def stand_in(stage: Stage, include: Path) -> Iterator[str]:
    """A second controller, and a catalog by which either has what it really runs; its inventory.

    Without database, broker and memcached: the stand-in has them installed, and must not run them.
    """
    folder = include / "deployments"
    folder.unlink()
    shutil.copytree(PROJECT / "include/deployments", folder)
    (folder / "lab.yaml").write_text(_CATALOG)
    yield f"{{host: c04, address: {stage.lab.status()['hosts']['c04']['address']}}}"
    shutil.rmtree(folder)
    folder.symlink_to(PROJECT / "include/deployments")


def inventory(controller: Controller, *others: str) -> str:
    primary = f"{{host: ctl01, address: {controller.address}}}"
    return f"controllers: [{', '.join([primary, *others])}]\n"


def maintain(stage: Stage, **conf: Any) -> Run:
    return stage.airflow.trigger(DAG, **{**NOW, **conf})


def refusal(stage: Stage, run: Run) -> str:
    """Wait for the end of a run that the pre-check refuses; returns the sentence."""
    assert run.wait(_LIMIT) == "failed"
    failed = {task.task_id for task in run.tasks() if task.state == "failed"}
    assert failed == {"check_controllers", "report"}
    record = stage.record(run)
    assert record["controllers"] == []
    return str(record["problem"])


def evidence(record: dict[str, Any]) -> dict[str, Any]:
    """What each step of the one controller found."""
    (controller,) = record["controllers"]
    assert controller["before"]["instances"] == controller["after"]["instances"]
    return dict(controller["evidence"])


def active_since(controller: Controller, unit: str) -> str:
    return controller.run(f"systemctl show {unit} -p ActiveEnterTimestampMonotonic --value")


def assert_in_order(*moments: str) -> None:
    read = [datetime.fromisoformat(moment) for moment in moments]
    assert read == sorted(read), moments


def assert_all_serves(found: dict[str, Any], after: str) -> None:
    """All checks passed, a scheduler answered, and every Nova service's heartbeat advanced."""
    assert set(found["check_controller"]["verdicts"]) == {"absent", "ok"}
    assert found["check_serving"]["token"]["user"]
    assert found["check_serving"]["scheduler"]["answer"].startswith("No valid host was found")
    beats = found["wait_for_nova_services"]["heartbeats"]
    computes = {f"nova-compute on c0{number}" for number in range(1, 5)}
    assert {*computes, "nova-scheduler on ctl01", "nova-conductor on ctl01"} <= set(beats)
    for each in beats.values():
        assert len(set(each)) == 3
        assert max(map(datetime.fromisoformat, each)) > datetime.fromisoformat(after)


@contextmanager
def kept_from_starting(controller: Controller, unit: str) -> Iterator[None]:
    """A unit that fails at its next start; what runs now goes on. Afterwards it runs again."""
    folder = f"/run/systemd/system/{unit}.service.d"
    controller.run(
        f"sudo mkdir -p {folder}; printf '{_BROKEN}' | sudo tee {folder}/broken.conf >/dev/null; "
        "sudo systemctl daemon-reload"
    )
    try:
        yield
    finally:
        controller.run(
            f"sudo rm -rf {folder}; sudo systemctl daemon-reload; sudo systemctl restart {unit}"
        )


@pytest.mark.timeout(1800)
def test_one_controller_after_the_other_and_one_that_fails_goes_on_when_it_is_mended(
    stage: Stage, controller: Controller, stand_in: str
) -> None:
    """The lab has one controller; a compute host without instances stands in as the second."""
    stage.place("c01", "ACTIVE", "SHUTOFF")
    untouched, boot = active_since(controller, "nova-api"), stage.lab.boot_id("ctl01")
    stage.set_policy(inventory(controller, stand_in))

    with kept_from_starting(controller, "nova-scheduler"):
        run = maintain(stage, services=["nova-scheduler", "nova-conductor", "nova-compute"])
        said = stage.fail(run, f"{GROUP}.restart_services", _LIMIT)
        conductor = active_since(controller, "nova-conductor")
        ended = stage.record(run)["controllers"][0]["evidence"]["check_instances"]["compared_at"]

    assert said.startswith("controller ctl01: not back after the restart: nova-scheduler is ")
    assert "its journal ends: " in said
    assert "the disk is full" in said
    run.clear_failed()
    record = stage.finish(run, _LIMIT)

    assert active_since(controller, "nova-conductor") == conductor, "restarted a second time"
    assert {host: plan["stages"] for host, plan in record["plan"].items()} == {
        "c04": [["nova-compute"]],
        "ctl01": [["nova-conductor"], ["nova-scheduler"]],
    }
    first, second = record["controllers"]
    assert list(first["evidence"]["restart_services"]["services"]) == ["nova-compute"]
    restarted = second["evidence"]["restart_services"]
    assert set(restarted["services"]) == {"nova-scheduler", "nova-conductor"}
    since = [restarted["services"][name] for name in ("nova-conductor", "nova-scheduler")]
    assert_in_order(ended, restarted["since"], *since)
    for each in (first, second):
        assert each["before"]["instances"] == each["after"]["instances"]
        assert len(each["after"]["instances"]) == 2
        assert_all_serves(each["evidence"], after=each["before"]["at"])
    assert active_since(controller, "nova-api") == untouched
    assert stage.lab.boot_id("ctl01") == boot
    assert f"{GROUP}.restart_services[ctl01]" in run.states()
    assert "Controller maintenance" in stage.page(run)


@pytest.mark.timeout(1800)
def test_a_controller_is_rebooted_everything_reconnects_and_no_instance_notices(
    stage: Stage, controller: Controller
) -> None:
    stage.place("c01", "ACTIVE", "SHUTOFF")
    boot = stage.lab.boot_id("ctl01")

    record = stage.finish(maintain(stage, action="reboot", allow_outage=True), _LIMIT)
    back = evidence(record)["wait_for_controller"]
    assert back["boot_id_before"] == boot
    assert back["boot_id_after"] == stage.lab.boot_id("ctl01") != boot
    assert_all_serves(evidence(record), after=back["back_at"])
    assert stage.where("active-01", "shutoff-01") == {
        "active-01": ("c01", "ACTIVE"),
        "shutoff-01": ("c01", "SHUTOFF"),
    }
    assert len(stage.cloud.instances()) == 2, "the probe has left something behind"


@pytest.mark.timeout(1800)
def test_what_forbids_a_maintenance_is_named_and_nothing_changes(
    stage: Stage, controller: Controller
) -> None:
    before, since = stage.lab.boot_id("ctl01"), active_since(controller, "nova-scheduler")

    said = refusal(stage, maintain(stage, action="reboot"))
    assert said.startswith("controller ctl01: maintaining it would leave the cloud without: ")
    for last in ("mariadb (the last database)", "rabbitmq-server (the last broker)"):
        assert last in said
    for api in ("nova-api", "placement-api", "glance-api", "keystone", "neutron-server"):
        assert f"{api} (the last API of its kind)" in said
    assert "allow_outage=true. Nothing was changed." in said

    run = maintain(stage, action="reboot", allow_outage=True, dry_run=True)
    assert run.wait(_LIMIT) == "success"
    assert stage.record(run)["outcome"] == "dry_run"
    assert "1. reboot ctl01" in run.log("check_controllers")

    said = refusal(
        stage,
        maintain(
            stage,
            controllers=["ctl1"],
            services=["nova-schedular", "nova services"],
            reason="",
            servcies=["nova-api"],
        ),
    )
    assert "Nothing was changed, for 4 reasons" in said
    assert "param servcies: this DAG has no such param (did you mean services?)" in said
    assert "controller ctl1: is not in the policy's inventory (did you mean ctl01?)" in said
    assert "'nova-schedular' is not in the catalog of The lab (did you mean nova-scheduler" in said
    assert "param ignore_window: is set without a reason" in said

    said = refusal(stage, maintain(stage, action="reboot", services=["nova-api"]))
    assert said.startswith("param services: nova-api: a reboot restarts everything")

    stage.place("c01", "ACTIVE")
    address = stage.lab.status()["hosts"]["c01"]["address"]
    stage.set_policy(
        f"controllers: [{{host: ctl01, address: {controller.address}}}, "
        f"{{host: c01, address: {address}}}, "
        f"{{host: ctl03, address: {controller.unused_address}}}]\n"
    )
    said = refusal(stage, maintain(stage, services=["nova-scheduler"], controllers=["ctl01"]))
    assert (
        "controller c01: is not healthy, so ctl01 must stay in service: nova-api: inactive" in said
    )
    assert "controller ctl03: is not healthy, so ctl01 must stay in service: SSH: " in said
    said = refusal(stage, maintain(stage, action="reboot", controllers=["c01"]))
    assert "controller c01: is also the compute host c01 and holds active-01 (" in said
    assert "Drain it first: compute_host_maintenance with host=c01" in said

    stage.set_policy("")
    said = refusal(stage, maintain(stage))
    assert "controllers: none is named" in said

    stage.set_policy(inventory(controller))
    controller.fault("sudo-refused")
    said = refusal(stage, maintain(stage, services=["nova-scheduler"]))
    assert "the SSH login may not run with sudo: systemctl restart --no-block -- nova-sched" in said

    (stage.credentials / stage.lab.key.name).unlink()
    said = refusal(stage, maintain(stage, services=["nova-scheduler"]))
    assert said.startswith("controller ctl01: ")
    assert "key" in said

    assert stage.lab.boot_id("ctl01") == before
    assert active_since(controller, "nova-scheduler") == since
