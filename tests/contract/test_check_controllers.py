"""The pre-check of controller_maintenance, and what it reads of controllers and cloud."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_run import write_policy
from openstack_maintenance.adapters.cloud_errors import Refused
from openstack_maintenance.domain.blocker import Blocker
from openstack_maintenance.domain.checks.controller_facts import (
    SeenService,
)
from openstack_maintenance.domain.checks.finding import Finding
from openstack_maintenance.domain.errors import CloudError, MaintenanceError
from openstack_maintenance.domain.host.facts import UnitState
from openstack_maintenance.hooks.checks import ChecksHook
from openstack_maintenance.operators.base import StepFailed
from openstack_maintenance.operators.controllers.check_controllers import CheckControllersOperator
from two_controllers import CONTROLLERS, CTL01, CTL02, LAB, World, context, seen


@pytest.fixture(autouse=True)
def policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return write_policy(tmp_path, monkeypatch, CONTROLLERS)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


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
    world.nova.missing = [Blocker("cloud x", "its user may not create an instance", "Allow it.")]
    with pytest.raises(StepFailed, match="cloud x: its user may not create an instance"):
        check()


def test_the_round_trip_to_a_scheduler_is_made_once_before_anything_changes(world: World) -> None:
    check()
    assert world.nova.calls["ask_scheduler"] == 1

    quota = "Raise that quota of the project of connection openstack_default, then run again."
    world.nova.errors["ask_scheduler"] = Refused(
        "scheduler round trip", "the cloud x forbids it: Quota", quota
    )
    with pytest.raises(StepFailed, match=f"forbids it: Quota. {quota} Nothing was changed."):
        check()


def test_a_scheduler_that_does_not_answer_may_be_restarted(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.nova.errors["ask_scheduler"] = CloudError(
        "scheduler round trip", "no answer within 75 s", "See its log."
    )
    found, _ = check(services=["nova-scheduler"])
    assert [each["host"] for each in found] == ["ctl02", "ctl01"]
    said = capsys.readouterr().out
    assert "This is not a blocker: scheduler round trip: no answer within 75 s" in said


def test_a_dry_run_tells_the_plan_and_goes_on_with_nothing(world: World) -> None:
    found, xcoms = check(dry_run=True, action="reboot")
    assert found == []
    assert world.nova.calls["ask_scheduler"] == 0
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


def test_a_nova_that_says_nothing_is_a_blocker_like_the_others(world: World) -> None:
    world.nova.errors["services"] = CloudError("compute API", "answered 503", "Wait.")
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
