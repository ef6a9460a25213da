"""The steps of controller_maintenance with a run's context in their hands, without a cloud."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException, TaskDeferred

from builders import instance, migration, service
from openstack_maintenance.adapters.cloud_errors import Refused
from openstack_maintenance.adapters.deployment_files import load_deployment
from openstack_maintenance.domain.blocker import Blocker
from openstack_maintenance.domain.checks.checked import Checked
from openstack_maintenance.domain.checks.controller_facts import (
    Broker,
    Clock,
    Database,
    SeenController,
    SeenService,
)
from openstack_maintenance.domain.checks.finding import Finding
from openstack_maintenance.domain.cloud import ComputeService, Instance, Migration
from openstack_maintenance.domain.errors import CloudError, MaintenanceError
from openstack_maintenance.domain.host.facts import RebootAnswer, UnitState
from openstack_maintenance.hooks.checks import ChecksHook
from openstack_maintenance.operators.base import StepFailed
from openstack_maintenance.operators.controllers import proofs, steps
from openstack_maintenance.operators.controllers.base import GROUP, ControllersOperator
from openstack_maintenance.operators.controllers.check_controllers import CheckControllersOperator

LAB = load_deployment("lab", Path(__file__).parents[2] / "include/deployments")
NOW = datetime(2026, 3, 10, 1, 0, tzinfo=UTC)
CTL01, CTL02 = ({"host": name, "address": f"{name}.example.com"} for name in ("ctl01", "ctl02"))
ASKED: dict[str, Any] = {"ignore_window": True, "reason": "test"}


GALERA = {
    "wsrep_cluster_size": "3",
    "wsrep_cluster_state_uuid": "u",
    "wsrep_cluster_status": "Primary",
    "wsrep_local_state_comment": "Synced",
    "wsrep_connected": "ON",
    "wsrep_ready": "ON",
}


class TaskInstance:
    """What the steps ask of their task instance."""

    dag_id = "controller_maintenance"

    def __init__(self, place: int, rows: list[dict[str, Any]], results: dict[str, Any]) -> None:
        self.map_index = place
        self.rows = rows
        self.results = results
        self.xcoms: dict[str, Any] = {}
        self.running: list[str] = []

    def get_dr_count(self, dag_id: str, run_ids: list[str], states: list[str]) -> int:
        return len(set(run_ids) & set(self.running))

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms[key] = json.loads(json.dumps(value))  # plain JSON, or it is an error

    def xcom_pull(self, task_ids: str, **asked: Any) -> Any:
        return self.results.get(task_ids)

    def get_task_breadcrumbs(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        return self.rows


class Store(dict[str, Any]):
    """Airflow's task_state_store: outlives retries and clears of a task."""

    def set(self, key: str, value: Any, **kept: Any) -> None:
        self[key] = json.loads(json.dumps(value))


def context(
    place: int = 0,
    rows: list[dict[str, Any]] | None = None,
    store: Store | None = None,
    results: dict[str, Any] | None = None,
    **params: Any,
) -> Any:
    given = {"check_controllers": [CTL02, CTL01], **(results or {})}
    return {
        "ti": TaskInstance(place, rows or [], given),
        "params": {**ASKED, **params},
        "run_id": "r1",
        "task_state_store": Store() if store is None else store,
    }


@pytest.fixture(autouse=True)
def policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "policy.yaml"
    file.write_text(
        "deployment: lab\ncontrollers: [{host: ctl01, address: ctl01.example.com}, "
        f"{{host: ctl02, address: ctl02.example.com}}]\nrecords: file://{tmp_path}/records\n"
    )
    monkeypatch.setenv("OPENSTACK_MAINTENANCE_POLICY", str(file))
    return file


def seen(
    boot_id: str, restarted: tuple[str, ...] = (), down: tuple[str, ...] = ()
) -> SeenController:
    """A controller of a whole cluster; ``restarted`` are active since after NOW."""
    nodes = ("rabbit@a", "rabbit@b", "rabbit@c")
    return SeenController(
        hostname=boot_id,
        boot_id=boot_id,
        booted=None,
        clock_now=NOW,
        services=tuple(
            SeenService(
                each.name,
                UnitState(
                    each.name,
                    "systemd",
                    "failed" if each.name in down else "active",
                    active_enter=NOW + timedelta(minutes=1 if each.name in restarted else -60),
                    starts_at_boot="enabled",
                ),
            )
            for each in LAB
        ),
        broker=Broker(nodes, nodes),
        database=Database(True, GALERA),
        cache=None,
        clock=Clock(0, 0),
    )


class World:
    """Two controllers and their cloud; ``did`` is what was changed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.controllers = {"ctl01": seen("b1"), "ctl02": seen("b2")}
        self.findings: dict[str, list[Finding]] = {"ctl01": [], "ctl02": []}
        self.boots = {"ctl01": "b1", "ctl02": "b2"}
        self.listed = [instance(name="web")]
        self.computes = ["c01"]
        self.did: list[str] = []
        self.moving: list[Migration] = []
        self.reason: str | None = None
        monkeypatch.setattr(ChecksHook, "check_all", self.check_all)
        monkeypatch.setattr(ChecksHook, "check_services", self.check_all)
        monkeypatch.setattr(ControllersOperator, "nova", self, raising=False)
        monkeypatch.setattr(steps.RestartServicesOperator, "_read", self.read)
        monkeypatch.setattr(steps.RestartServicesOperator, "_order", self.order)
        monkeypatch.setattr(steps.RebootControllerOperator, "_reboot", self.reboot)
        monkeypatch.setattr(steps.RebootControllerOperator, "_boot_id", self.boot_id)
        monkeypatch.setattr(CheckControllersOperator, "_ask_rights", self.rights)
        self.missing: tuple[str, ...] = ()
        self.forbidden: list[Blocker] = []
        self.scheduler: Exception | None = None
        self.probes: list[str] = []

    def missing_rights(self, needed: Any) -> list[Blocker]:
        return self.forbidden

    def ask_scheduler(self, name: str) -> dict[str, Any]:
        self.probes.append(name)
        if self.scheduler:
            raise self.scheduler
        return {"asked": True}

    async def check_all(self) -> Checked:
        return Checked(dict(self.controllers), dict(self.findings), {})

    async def rights(self, host: str, services: Any) -> tuple[str, ...]:
        return self.missing

    async def read(self) -> SeenController:
        return self.controllers["ctl02"]

    async def order(self, stage: list[Any]) -> None:
        self.did += [f"restart {service.name}" for service in stage]

    async def boot_id(self) -> str:
        return self.boots["ctl02"]

    async def reboot(self, boot_id: str) -> RebootAnswer:
        if self.boots["ctl02"] != boot_id:
            return RebootAnswer("already_rebooted")
        self.did.append("reboot ctl02")
        return RebootAnswer("asked")

    def services(self, binary: str = "") -> list[ComputeService]:
        return [service(host, self.reason) for host in self.computes]

    def migrations(self, changes_since: datetime) -> list[Migration]:
        return self.moving

    def instances_on(self, host: str) -> list[Instance]:
        return [each for each in self.listed if each.host == host]

    def instances(self) -> list[Instance]:
        return list(self.listed)


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
    store = Store()
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
    store = Store(
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
    store = Store(change={"since": NOW.isoformat(), "services": list(names)})
    world.controllers["ctl02"] = seen("b2", restarted=names)
    result = begin(steps.RestartServicesOperator, context(store=store))
    assert set(result["services"]) == set(names)
    assert world.did == []


def test_without_services_all_that_is_in_use_is_restarted_the_database_first(
    world: World,
) -> None:
    store = Store()
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
    store = Store()
    with pytest.raises(StepFailed, match=r"ctl01: is not healthy, so ctl02 must .*was not touched"):
        begin(step[action], context(store=store, action=action))
    assert (world.did, store) == ([], {})


def test_a_controller_is_not_rebooted_when_an_instance_arrived_meanwhile(world: World) -> None:
    world.computes.append("b2")  # the controller's own hostname
    world.listed.append(replace(world.listed[0], id="i2", host="b2"))
    with pytest.raises(StepFailed, match=r"also the compute host b2 and holds web \(i2\)"):
        begin(steps.RebootControllerOperator, context(action="reboot", allow_outage=True))
    assert world.did == []


def test_a_controller_that_may_get_an_instance_at_any_time_is_not_rebooted(world: World) -> None:
    world.computes.append("ctl02")
    with pytest.raises(StepFailed, match="instances could arrive at any time"):
        begin(steps.RebootControllerOperator, context(action="reboot", allow_outage=True))
    assert world.did == []


def test_the_rest_is_not_restarted_when_another_controller_went_down_meanwhile(
    world: World,
) -> None:
    store = Store(change={"since": NOW.isoformat(), "services": ["nova-scheduler", "nova-api"]})
    world.controllers["ctl02"] = seen("b2", restarted=("nova-scheduler",))
    world.findings["ctl01"] = [Finding("nova-api", "bad", "failed")]
    with pytest.raises(
        StepFailed, match=r"ctl01: is not healthy.*Nothing more was restarted on ctl02"
    ):
        begin(steps.RestartServicesOperator, context(store=store))
    assert world.did == []


def test_a_reboot_that_was_noted_but_not_done_is_judged_anew(world: World) -> None:
    store = Store(change={"boot_id_before": "b2", "ordered_at": NOW.isoformat()})
    world.findings["ctl01"] = [Finding("nova-api", "bad", "failed")]
    with pytest.raises(StepFailed, match="ctl01: is not healthy, so ctl02 must stay in service"):
        begin(steps.RebootControllerOperator, context(store=store, action="reboot"))
    assert world.did == []


@pytest.mark.parametrize("status", ["running", "queued"])
def test_a_controller_is_not_touched_while_instances_move(world: World, status: str) -> None:
    world.moving = [migration(status=status)]
    with pytest.raises(StepFailed, match="migrations: 1 are running: i1 off c01"):
        begin(steps.RestartServicesOperator, context())
    assert world.did == []


def test_migrations_that_have_ended_forbid_nothing(world: World) -> None:
    world.moving = [migration(status="error")]
    assert begin(steps.RebootControllerOperator, context(action="reboot"))["outcome"] == "asked"


def test_a_controller_is_not_touched_while_a_compute_host_is_maintained(world: World) -> None:
    world.reason = "[airflow compute_host_maintenance r7] kernel"
    given = context()
    given["ti"].running = ["r7"]
    with pytest.raises(StepFailed, match="run r7: is maintaining a compute host at this moment"):
        begin(steps.RestartServicesOperator, given)
    assert world.did == []


# Reboots: once a run.


def test_a_reboot_is_ordered_once_whatever_happens_to_its_task(world: World) -> None:
    store = Store()
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
    world.listed[:] = [replace(each, **changed) for each in world.listed]
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
    store = Store(change={"since": NOW.isoformat(), "services": ["nova-api"]})
    world.controllers["ctl02"] = seen("b2", restarted=("nova-api",))
    begin(steps.RestartServicesOperator, context(store=store))
    assert "controller ctl02: restarted and active again: nova-api" in capsys.readouterr().out


# The pre-check.


def check(**params: Any) -> tuple[Any, dict[str, Any]]:
    given = context(**params)
    step = CheckControllersOperator(task_id="check_controllers")
    return step.execute(given), given["ti"].xcoms


def test_the_primary_comes_last(world: World) -> None:
    found, xcoms = check(services=["nova-scheduler"])
    assert [each["host"] for each in found] == ["ctl02", "ctl01"]
    assert [each["host"] for each in xcoms["plan"]] == ["ctl02", "ctl01"]
    assert xcoms["plan"][1]["stages"] == [["nova-scheduler"]]


def test_a_right_that_the_round_trip_to_a_scheduler_needs_is_a_blocker(world: World) -> None:
    world.forbidden = [Blocker("cloud x", "its user may not create an instance", "Allow it.")]
    with pytest.raises(StepFailed, match="cloud x: its user may not create an instance"):
        check()


def test_the_round_trip_to_a_scheduler_is_made_once_before_anything_changes(world: World) -> None:
    check()
    assert len(world.probes) == 1

    quota = "Raise that quota of the project of connection openstack_default, then run again."
    world.scheduler = Refused("scheduler round trip", "the cloud x forbids it: Quota", quota)
    with pytest.raises(StepFailed, match=f"forbids it: Quota. {quota} Nothing was changed."):
        check()


def test_a_scheduler_that_does_not_answer_may_be_restarted(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.scheduler = CloudError("scheduler round trip", "no answer within 75 s", "See its log.")
    found, _ = check(services=["nova-scheduler"])
    assert [each["host"] for each in found] == ["ctl02", "ctl01"]
    said = capsys.readouterr().out
    assert "This is not a blocker: scheduler round trip: no answer within 75 s" in said


def test_a_dry_run_tells_the_plan_and_goes_on_with_nothing(world: World) -> None:
    found, xcoms = check(dry_run=True, action="reboot")
    assert found == [] == world.probes
    assert [each["host"] for each in xcoms["plan"]] == ["ctl02", "ctl01"]


def test_a_run_that_is_done_does_nothing_twice(world: World, policy: Path) -> None:
    folder = policy.parent / "records/controller_maintenance"
    folder.mkdir(parents=True)
    (folder / "r1.json").write_text('{"outcome": "done"}')
    assert check() == ([], {"plan": []})


@pytest.mark.parametrize(
    ("policy_says", "said"),
    [
        ("deployment: lab\n", "controllers: none is named"),
        ("deployment: lba\ncontrollers: [{host: a}]\n", "Choose one of: debian, kolla, lab"),
        ("deployment: lab\nwindow: [\n", "is not YAML"),
    ],
)
def test_a_policy_that_cannot_be_used_is_said(
    world: World, policy: Path, policy_says: str, said: str
) -> None:
    policy.write_text(policy_says)
    with pytest.raises(StepFailed, match=said):
        check()


def test_a_catalog_that_cannot_be_read_is_named_with_its_line(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "include/deployments"
    folder.mkdir(parents=True)
    (folder / "lab.yaml").write_text(
        "title: x\nnova_compute: {unit: c, log_paths: [/l]}\ngroups:\n"
        "  - title: Nova services\n    services:\n      - {name: nova-api, stage: soon}\n"
    )
    monkeypatch.setenv("OPENSTACK_MAINTENANCE_INCLUDE", str(tmp_path / "include"))
    with pytest.raises(StepFailed, match=r"lab.yaml:6: .*stage: "):
        check()


def test_a_closed_window_and_missing_rights_are_named_together(world: World, policy: Path) -> None:
    policy.write_text(f"{policy.read_text()}window: {{exclude: [{days()}]}}\n")
    world.missing = ("systemctl reboot",)
    with pytest.raises(StepFailed) as caught:
        check(action="reboot", ignore_window=False, controllers=["ctl02"])
    assert "for 2 reasons" in str(caught.value)
    assert "1. maintenance window: " in str(caught.value)
    assert "2. controller ctl02: the SSH login may not run with sudo: systemctl reboot" in str(
        caught.value
    )


def test_a_dry_run_outside_of_the_window_tells_its_plan(
    world: World, policy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy.write_text(f"{policy.read_text()}window_patience: 0s\nwindow: {{exclude: [{days()}]}}\n")
    found, xcoms = check(action="reboot", ignore_window=False, dry_run=True)
    assert found == []
    assert [each["host"] for each in xcoms["plan"]] == ["ctl02", "ctl01"]
    assert (
        "A real run started now would be refused: maintenance window: " in capsys.readouterr().out
    )


def days() -> str:
    """The days around now, as a window excludes them."""
    day = datetime.now(UTC).date()
    return ", ".join(f'"{day + timedelta(days=each)}"' for each in range(-1, 3))


def test_a_controller_that_does_not_answer_is_named_with_why(world: World) -> None:
    del world.controllers["ctl02"]
    world.findings["ctl02"] = [Finding("SSH", "bad", "login as x is refused")]
    with pytest.raises(StepFailed, match="controller ctl02: login as x is refused"):
        check(controllers=["ctl02"])


def test_a_nova_that_says_nothing_is_a_blocker_like_the_others(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(self: World, binary: str = "") -> Any:
        raise CloudError("compute API", "answered 503", "Wait.")

    monkeypatch.setattr(World, "services", silent)
    world.missing = ("systemctl reboot",)
    with pytest.raises(StepFailed) as caught:
        check(controllers=["ctl02"], action="reboot")
    assert "1. compute API: answered 503. Wait." in str(caught.value)
    assert "2. controller ctl02: the SSH login may not run with sudo" in str(caught.value)


def test_a_service_that_is_in_use_nowhere_there_is_said(world: World) -> None:
    world.controllers["ctl02"] = replace(
        seen("b2"), services=tuple(_absent(each) for each in seen("b2").services)
    )
    with pytest.raises(StepFailed, match="ctl02: none of nova-scheduler is in use there"):
        check(controllers=["ctl02"], services=["nova-scheduler"])


def _absent(each: SeenService) -> SeenService:
    return SeenService(each.name, UnitState(each.name, "absent"))


# Every check of controller_checks, with what cannot be found out as a finding like the others.


async def test_a_controller_or_a_cloud_that_does_not_answer_is_a_finding(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Health:
        def __getattr__(self, name: str) -> Any:
            raise MaintenanceError("cloud x", "it answers 503", "Wait.")

    async def health(self: Any) -> Any:
        return Health()

    async def read(self: Any, controller: Any) -> Any:
        if controller["host"] == "ctl01":
            return seen("b1", down=("nova-api",))
        raise MaintenanceError("host ctl02", "nobody answers", "Wait.")

    monkeypatch.setattr("openstack_maintenance.hooks.cloud_hook.CloudHook.aget_health", health)
    monkeypatch.setattr(ChecksHook, "_read", read)
    checked = await ChecksHook(LAB, [CTL01, CTL02], "openstack_ssh").check_all()
    assert checked.faults == [
        "controller ctl01: nova-api: failed",
        "controller ctl02: SSH: nobody answers",
        "cloud: token: it answers 503, endpoints: it answers 503, nova services: it answers 503, "
        "network agents: it answers 503, volume services: it answers 503, "
        "images: it answers 503",
    ]
    assert checked.verdicts["bad"] == 8
