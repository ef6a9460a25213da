"""The reboot of the lab's controller. One after the other, and what fails: tests/simulator."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from harness import Run, Stage
from harness.controller import Controller

DAG = "controller_maintenance"
NOW = {"ignore_window": True, "reason": "test"}
_LIMIT = 600


@pytest.fixture
def controller(stage: Stage) -> Iterator[Controller]:
    """The lab's controller; whatever a test did to it is undone."""
    controller = Controller(stage.lab, stage.cloud)
    stage.set_policy(inventory(controller))
    yield controller
    controller.give_back()


def inventory(controller: Controller, *others: str) -> str:
    primary = f"{{host: ctl01, address: {controller.address}}}"
    return f"controllers: [{', '.join([primary, *others])}]\n"


def maintain(stage: Stage, **conf: Any) -> Run:
    return stage.airflow.trigger(DAG, **{**NOW, **conf})


def evidence(record: dict[str, Any]) -> dict[str, Any]:
    """What each step of the one controller found."""
    (controller,) = record["controllers"]
    assert controller["before"]["instances"] == controller["after"]["instances"]
    return dict(controller["evidence"])


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
