"""The steps of controller_maintenance with a run's context in their hands, without a cloud."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException, TaskDeferred

from airflow_run import StateStore, write_policy
from builders import NOW, migration
from openstack_maintenance.domain.checks.finding import Finding
from openstack_maintenance.operators.base import StepFailed
from openstack_maintenance.operators.controllers import proofs, steps
from openstack_maintenance.operators.controllers.base import GROUP
from two_controllers import CONTROLLERS, CTL01, CTL02, LAB, World, context, seen


@pytest.fixture(autouse=True)
def policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return write_policy(tmp_path, monkeypatch, CONTROLLERS)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def begin(step: type[Any], given: Any, controller: dict[str, str] = CTL02) -> Any:
    """Run a step of a controller: of ctl02, which is the first in turn, if not said otherwise."""
    return step(task_id="step", controller=controller).execute(given)


# Whose turn it is.


def rows(*states: str) -> list[dict[str, Any]]:
    """The steps of the first controller that are over, by their states."""
    names = ("restart_services", "check_controller", "check_instances")
    return [
        {"task_id": f"{GROUP}.{name}", "map_index": 0, "state": state}
        for name, state in zip(names, states, strict=False)
    ]


def wait_for_turn_of_ctl01(*states: str) -> None:
    """ctl01 is the second in turn; ``states``: of the steps of ctl02, the first."""
    begin(steps.WaitForTurnOperator, context(1, rows(*states)), CTL01)


def test_the_first_controller_does_not_wait(capsys: pytest.CaptureFixture[str]) -> None:
    begin(steps.WaitForTurnOperator, context(0, rows("failed")))
    assert "controller ctl02: its turn has come" in capsys.readouterr().out


def test_the_next_one_begins_when_the_one_before_it_is_proven_well(
    capsys: pytest.CaptureFixture[str],
) -> None:
    wait_for_turn_of_ctl01("success", "success", "success")
    assert "controller ctl01: its turn has come" in capsys.readouterr().out


@pytest.mark.parametrize("states", [(), ("success",), ("success", "success"), ("skipped",)])
def test_it_waits_without_a_worker_until_then(states: tuple[str, ...]) -> None:
    with pytest.raises(TaskDeferred) as deferred:
        wait_for_turn_of_ctl01(*states)
    assert deferred.value.method_name == "look_again"


@pytest.mark.parametrize(
    "states",
    [
        ("failed", "upstream_failed", "upstream_failed"),
        ("success", "failed"),
        ("success", "success", "skipped"),
    ],
)
def test_it_is_not_touched_where_one_before_it_failed(states: tuple[str, ...]) -> None:
    said = r"controller ctl01: was not touched, because the maintenance of ctl02 failed\. Fix ctl02"
    with pytest.raises(StepFailed, match=said):
        wait_for_turn_of_ctl01(*states)


# Restarts: once a run, in order.


def test_a_restart_begins_with_what_comes_first_and_notes_how_all_was(
    world: World, policy: Path
) -> None:
    store = StateStore()
    given = context(store=store, services=["nova-scheduler", "nova-conductor"])
    with pytest.raises(TaskDeferred) as deferred:
        begin(steps.RestartServicesOperator, given)
    assert world.did == ["restart nova-conductor"]
    assert deferred.value.trigger.known == {
        "services": ["nova-conductor"],
        "since": NOW.isoformat(),
    }
    assert store["change"]["services"] == ["nova-scheduler", "nova-conductor"]
    (note,) = (policy.parent / "records/controller_maintenance/notes").glob("r1.before-ctl02.json")
    before = json.loads(note.read_text())
    assert [each["name"] for each in before["instances"]] == ["web"]
    assert before["nova_services"] == [["nova-compute", "c01"]]


def test_a_rerun_restarts_only_what_is_left(world: World) -> None:
    store = StateStore(
        change={"since": NOW.isoformat(), "services": ["nova-scheduler", "nova-conductor"]}
    )
    world.controllers["ctl02"] = seen("b2", restarted=("nova-conductor",))
    # What is half done need not be well; only the beginning must be.
    world.findings["ctl02"] = [Finding("nova-scheduler", "bad", "failed")]
    with pytest.raises(TaskDeferred):
        begin(steps.RestartServicesOperator, context(store=store))
    assert world.did == ["restart nova-scheduler"]


def test_a_rerun_after_all_is_restarted_changes_nothing(world: World) -> None:
    names = ("nova-scheduler", "nova-conductor")
    store = StateStore(change={"since": NOW.isoformat(), "services": list(names)})
    world.controllers["ctl02"] = seen("b2", restarted=names)
    result = begin(steps.RestartServicesOperator, context(store=store))
    assert set(result["services"]) == set(names)
    assert world.did == []


def test_without_services_all_that_is_in_use_is_restarted_the_database_first(
    world: World,
) -> None:
    store = StateStore()
    with pytest.raises(TaskDeferred):
        begin(steps.RestartServicesOperator, context(store=store))
    assert world.did == ["restart mariadb"]
    assert store["change"]["services"] == [each.name for each in LAB]


def test_the_step_that_was_not_asked_for_is_skipped(world: World) -> None:
    with pytest.raises(AirflowSkipException):
        begin(steps.RestartServicesOperator, context(action="reboot"))
    with pytest.raises(AirflowSkipException):
        begin(steps.RebootControllerOperator, context(action="restart"))
    assert world.did == []


# What forbids a change is looked for again right before it.


@pytest.mark.parametrize("action", ["restart", "reboot"])
def test_a_controller_is_not_touched_when_another_one_went_down_meanwhile(
    world: World, action: str
) -> None:
    world.findings["ctl01"] = [Finding("nova-api", "bad", "failed")]
    step = {"restart": steps.RestartServicesOperator, "reboot": steps.RebootControllerOperator}
    store = StateStore()
    with pytest.raises(StepFailed, match=r"ctl01: is not healthy, so ctl02 must .*was not touched"):
        begin(step[action], context(store=store, action=action))
    assert (world.did, store) == ([], {})


def test_a_controller_is_not_rebooted_when_an_instance_arrived_meanwhile(world: World) -> None:
    world.cloud.add_host("b2")  # the controller's own hostname
    world.cloud.add("i2", name="web", host="b2")
    with pytest.raises(StepFailed, match=r"also the compute host b2 and holds web \(i2\)"):
        begin(steps.RebootControllerOperator, context(action="reboot", allow_outage=True))
    assert world.did == []


def test_a_controller_that_may_get_an_instance_at_any_time_is_not_rebooted(world: World) -> None:
    world.cloud.add_host("ctl02")
    with pytest.raises(StepFailed, match="instances could arrive at any time"):
        begin(steps.RebootControllerOperator, context(action="reboot", allow_outage=True))
    assert world.did == []


def test_the_rest_is_not_restarted_when_another_controller_went_down_meanwhile(
    world: World,
) -> None:
    store = StateStore(
        change={"since": NOW.isoformat(), "services": ["nova-scheduler", "nova-api"]}
    )
    world.controllers["ctl02"] = seen("b2", restarted=("nova-scheduler",))
    world.findings["ctl01"] = [Finding("nova-api", "bad", "failed")]
    with pytest.raises(
        StepFailed, match=r"ctl01: is not healthy.*Nothing more was restarted on ctl02"
    ):
        begin(steps.RestartServicesOperator, context(store=store))
    assert world.did == []


def test_a_reboot_that_was_noted_but_not_done_is_judged_anew(world: World) -> None:
    store = StateStore(change={"boot_id_before": "b2", "ordered_at": NOW.isoformat()})
    world.findings["ctl01"] = [Finding("nova-api", "bad", "failed")]
    with pytest.raises(StepFailed, match="ctl01: is not healthy, so ctl02 must stay in service"):
        begin(steps.RebootControllerOperator, context(store=store, action="reboot"))
    assert world.did == []


@pytest.mark.parametrize("status", ["running", "queued"])
def test_a_controller_is_not_touched_while_instances_move(world: World, status: str) -> None:
    world.cloud.migrations = {1: migration(status=status, updated_at=datetime.now(UTC))}
    with pytest.raises(StepFailed, match="migrations: 1 are running: i1 off c01"):
        begin(steps.RestartServicesOperator, context())
    assert world.did == []


def test_migrations_that_have_ended_forbid_nothing(world: World) -> None:
    world.cloud.migrations = {1: migration(status="error", updated_at=datetime.now(UTC))}
    assert begin(steps.RebootControllerOperator, context(action="reboot"))["outcome"] == "asked"


def test_a_controller_is_not_touched_while_a_compute_host_is_maintained(world: World) -> None:
    world.cloud.add_host("c01", reason="[airflow compute_host_maintenance r7] kernel")
    given = context()
    given["ti"].runs = {"r7": "running"}
    with pytest.raises(StepFailed, match="run r7: is maintaining a compute host at this moment"):
        begin(steps.RestartServicesOperator, given)
    assert world.did == []


# Reboots: once a run.


def test_a_reboot_is_ordered_once_whatever_happens_to_its_task(world: World) -> None:
    store = StateStore()
    first = begin(steps.RebootControllerOperator, context(store=store, action="reboot"))
    assert (first["boot_id_before"], first["outcome"]) == ("b2", "asked")
    world.boots["ctl02"] = "b9"
    world.controllers["ctl02"] = seen("b9")
    again = begin(steps.RebootControllerOperator, context(store=store, action="reboot"))
    assert (again["boot_id_before"], again["outcome"]) == ("b2", "already_rebooted")
    assert world.did == ["reboot ctl02"]


# Instances.


def compare(world: World, policy: Path, **changed: Any) -> Any:
    begin(steps.RebootControllerOperator, context(action="reboot"))
    world.cloud.change("i1", **changed)
    return begin(proofs.CheckInstancesOperator, context())


def test_instances_that_did_not_notice_are_counted(
    world: World, policy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compare(world, policy)["instances"] == 1
    said = capsys.readouterr().out
    assert "ctl02: 1 instances compared with before its maintenance: no change" in said


def test_an_instance_that_noticed_is_named(world: World, policy: Path) -> None:
    with pytest.raises(StepFailed, match=r"instances: changed during .*web \(i1\): status was AC"):
        compare(world, policy, status="SHUTOFF")


def test_without_a_note_nothing_is_compared(world: World) -> None:
    with pytest.raises(StepFailed, match="snapshot from before its maintenance is gone"):
        begin(proofs.CheckInstancesOperator, context())


# Each step says one line about what it proved.

BACK = {"ordered_at": "2026-03-10T01:00:00+00:00", "back_at": "2026-03-10T01:00:20+00:00"}


@pytest.mark.parametrize(
    ("step", "result", "line"),
    [
        (
            steps.WaitForControllerOperator,
            BACK,
            "controller ctl02: has rebooted and is back, 20 s after its reboot was ordered",
        ),
        (
            proofs.CheckControllerAgainOperator,
            {"verdicts": {"ok": 60, "absent": 2}, "seen": {}},
            "controller ctl02: all checks pass, twice in a row: 60 ok, 2 absent",
        ),
        (
            proofs.WaitForNovaServicesOperator,
            {"heartbeats": {"nova-compute on c01": []}},
            "up, and their heartbeats advance: nova-compute on c01",
        ),
    ],
)
def test_what_a_wait_has_proved_is_said_when_it_ends(
    step: type[Any], result: dict[str, Any], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    step(task_id="step", controller=CTL02).execute_complete(context(), {"result": result})
    assert capsys.readouterr().out.count(line) == 1


def test_that_the_apis_serve_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    token = SimpleNamespace(user="u", expires=NOW)
    health = SimpleNamespace(new_token=lambda: token)
    monkeypatch.setattr(proofs.CloudHook, "get_health", lambda self: health)
    step = proofs.CheckServingOperator(task_id="step", controller=CTL02)
    event = {"result": {"servers_listed": 3, "scheduler": {}}}
    assert step.execute_complete(context(), event)["servers_listed"] == 3
    said = capsys.readouterr().out
    assert said.count("the APIs serve: a new token, a list of 3 instances, a sched") == 1


def test_a_step_that_is_skipped_says_why(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    for step, action, line in [
        (steps.RestartServicesOperator, "reboot", "a reboot was asked for, no restart"),
        (steps.RebootControllerOperator, "restart", "a restart of services was asked for, no"),
    ]:
        with pytest.raises(AirflowSkipException):
            begin(step, context(action=action))
        assert capsys.readouterr().out.count(line) == 1


def test_services_that_are_back_are_named(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    store = StateStore(change={"since": NOW.isoformat(), "services": ["nova-api"]})
    world.controllers["ctl02"] = seen("b2", restarted=("nova-api",))
    begin(steps.RestartServicesOperator, context(store=store))
    assert "controller ctl02: restarted and active again: nova-api" in capsys.readouterr().out
