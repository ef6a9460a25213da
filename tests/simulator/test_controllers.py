"""The maintenance of controllers: one after the other, one that fails, and what forbids it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from openstack_maintenance.domain.cloud import MOVING
from simulated_stage import CONTROLLERS, NIGHT, Run, Stage, a_stage
from simulator.hosts.service import Service

pytestmark = pytest.mark.thorough

GROUP = "maintain_controller"
NOVA = ["nova-scheduler", "nova-conductor"]


@pytest.fixture
def three(tmp_path: Path) -> Iterator[Stage]:
    """A cloud with three controllers."""
    with a_stage(tmp_path, ("ctl01", "ctl02", "ctl03")) as found:
        yield found


def maintain(stage: Stage, **conf: Any) -> Run:
    return stage.trigger(CONTROLLERS, **{"ignore_window": True, "reason": "test", **conf})


def refusal(stage: Stage, **conf: Any) -> str:
    """What the pre-check says; it must be that which ends the run."""
    run = maintain(stage, **conf)
    assert run.wait() == "failed"
    failed = {name for name, state in run.states().items() if state == "failed"}
    assert failed == {"check_controllers", "report"}
    record = stage.record(run)
    assert record["controllers"] == []
    return str(record["problem"])


def service(stage: Stage, controller: str, unit: str) -> Service:
    services = stage.world.hosts.machines[controller].services
    return next(each for each in services if each.name == f"{unit}.service")


def starts(stage: Stage) -> dict[tuple[str, str], int]:
    """How often each service of each controller has begun, itself or by systemd."""
    return {
        (name, each.name): each.run
        for name, machine in stage.world.hosts.machines.items()
        if name.startswith("ctl")
        for each in machine.services
    }


def changed(
    now: dict[tuple[str, str], int], before: dict[tuple[str, str], int]
) -> set[tuple[str, str]]:
    return {each for each in now if now[each] != before[each]}


def test_one_controller_after_the_other_and_one_that_fails_goes_on_when_it_is_mended(
    three: Stage,
) -> None:
    three.place("c01", "ACTIVE", "SHUTOFF")
    before = starts(three)
    broken = service(three, "ctl03", "nova-scheduler")
    broken.habits.failing_starts, broken.habits.restart_after = 1000, None

    run = maintain(three, services=NOVA)
    assert run.wait() == "failed"
    record = three.record(run)

    assert record["problem"].startswith(
        "controller ctl03: not back after the restart: nova-scheduler is "
    )
    assert "its journal ends: " in record["problem"]
    # The first one is done; after one that failed no other is touched.
    assert list(record["plan"]) == ["ctl02", "ctl03", "ctl01"]
    assert [bool(each["after"]) for each in record["controllers"]] == [True, False, False]
    at_failure = starts(three)
    assert not {name for name, _ in changed(at_failure, before)} - {"ctl02", "ctl03"}

    broken.habits.failing_starts = 0
    broken.start()
    run.clear_failed()
    record = three.finish(run)

    stages = [["nova-conductor"], ["nova-scheduler"]]
    assert [plan["stages"] for plan in record["plan"].values()] == [stages] * 3
    for each in record["controllers"]:
        assert set(each["evidence"]["restart_services"]["services"]) == set(NOVA)
        assert each["before"]["instances"] == each["after"]["instances"]
        assert len(each["after"]["instances"]) == 2
    after = starts(three)
    units = {f"{unit}.service" for unit in NOVA}
    assert changed(after, before) == {(name, each) for name in record["plan"] for each in units}
    # What was restarted before the failure is not restarted again.
    again = {name for name, _ in changed(after, at_failure)}
    assert again == {"ctl01", "ctl03"}
    assert ("ctl03", "nova-conductor.service") not in changed(after, at_failure)


def test_what_forbids_a_maintenance_is_named_and_nothing_changes(stage: Stage) -> None:
    before, boot = starts(stage), stage.boot_id("ctl01")

    said = refusal(stage, action="reboot")
    assert said.startswith("controller ctl01: maintaining it would leave the cloud without: ")
    for last in ("mariadb (the last database)", "rabbitmq-server (the last broker)"):
        assert last in said
    for api in ("nova-api", "placement-api", "glance-api", "keystone", "neutron-server"):
        assert f"{api} (the last API of its kind)" in said
    assert "allow_outage=true. Nothing was changed." in said

    run = maintain(stage, action="reboot", allow_outage=True, dry_run=True)
    assert run.wait() == "success"
    assert stage.record(run)["outcome"] == "dry_run"
    assert "1. reboot ctl01" in run.log("check_controllers")

    wrong = ["nova-schedular", "nova services"]
    said = refusal(stage, controllers=["ctl1"], services=wrong, reason="", servcies=["nova-api"])
    assert "Nothing was changed, for 4 reasons" in said
    assert "param servcies: this DAG has no such param (did you mean services?)" in said
    assert "controller ctl1: is not in the policy's inventory (did you mean ctl01?)" in said
    assert "'nova-schedular' is not in the catalog of " in said
    assert "param ignore_window: is set without a reason" in said

    said = refusal(stage, action="reboot", services=["nova-api"])
    assert said.startswith("param services: nova-api: a reboot restarts everything")

    stage.set_policy(controllers=[])
    assert "controllers: none is named" in refusal(stage)

    assert (starts(stage), stage.boot_id("ctl01")) == (before, boot)


def test_a_controller_that_is_not_healthy_keeps_the_others_in_service(three: Stage) -> None:
    before = starts(three)
    mended = three.happens("host_cut", host="ctl03")

    said = refusal(three, services=NOVA, controllers=["ctl01"])

    assert "controller ctl03: is not healthy, so ctl01 must stay in service: SSH: " in said
    mended()
    assert starts(three) == before


@pytest.mark.parametrize("apart", [0.0, 4.0, 12.0, 25.0])
def test_no_compute_host_is_begun_while_a_controller_is_out_and_the_other_way_round(
    three: Stage, apart: float
) -> None:
    """Both begin in the same moment, or one a little later."""
    three.place("c01", "ACTIVE", "ACTIVE")
    three.set_policy(
        window={"start": "00:00", "end": "00:00"}, due={"hosts": ["c01"]}, max_hosts_out=1
    )
    controllers = maintain(three, services=NOVA)
    three.world.clock.run(at_most=apart)
    host = three.maintain("c01")
    night = three.trigger(NIGHT, ignore_window=True, reason="test")
    first = None
    begun = starts(three)

    def look() -> bool:
        nonlocal first
        moved = bool(changed(starts(three), begun))
        out = three.service("c01")[0] == "disabled"
        moving = any(each.status in MOVING for each in three.migrations_of("active-01"))
        assert not (moving and moved and not controllers.model.is_finished)
        first = first or ("controllers" if moved else "host" if out else None)
        return bool(
            controllers.model.is_finished and host.model.is_finished and night.model.is_finished
        )

    assert three.airflow.run_until(look, 86_400.0)
    assert host.model.state == "success" and night.model.state == "success"
    if first == "controllers":
        assert controllers.model.state == "success", three.record(controllers)["problem"]
    else:
        assert (
            "is maintaining a compute host at this moment" in three.record(controllers)["problem"]
        )


def in_hours(stage: Stage, hours: float) -> dict[str, dict[str, str]]:
    """A window that opens in so many hours."""
    opens = stage.world.clock.now() + timedelta(hours=hours)
    ends = opens + timedelta(hours=2)
    return {"window": {"start": f"{opens:%H:%M}", "end": f"{ends:%H:%M}", "timezone": "UTC"}}


def test_controllers_that_wait_for_their_window_keep_no_urgent_host_waiting(three: Stage) -> None:
    three.set_policy(**in_hours(three, 2))
    controllers = maintain(three, services=NOVA, ignore_window=False)
    controllers.wait_for("check_controllers", "success")
    three.world.clock.run(at_most=120)

    host = three.maintain("c01")

    assert host.wait(at_most=3600.0) == "success"
    assert controllers.wait() == "success"


def test_a_host_s_run_that_is_cleared_waits_for_controllers_that_are_at_work(three: Stage) -> None:
    three.place("c01", "ACTIVE")
    three.refuse_live_migrations("the CPU is too old")
    host = three.maintain("c01")
    assert host.wait() == "failed"
    three.refuse_live_migrations("")
    began = starts(three)
    controllers = maintain(three, services=NOVA)
    three.airflow.run_until(lambda: bool(changed(starts(three), began)))

    host.clear_failed()
    three.world.clock.run(at_most=10)

    moving = {each.status for each in three.migrations_of("active-01")} & set(MOVING)
    assert not controllers.model.is_finished and not moving
    controllers.wait()
    assert host.wait() == "success"
