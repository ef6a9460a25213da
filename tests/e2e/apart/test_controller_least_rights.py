"""Controllers are maintained with the least rights: role, application credential, sudo and key."""

from __future__ import annotations

from typing import Any

import pytest

from harness import Run, Stage
from harness.controller import Controller
from harness.host_rights import RULES, HostRights
from harness.maintainer import Maintainer

NOW = {"ignore_window": True, "reason": "test"}
CREATE_FLAVOR = "os_compute_api:os-flavor-manage:create"
_LIMIT = 600


@pytest.mark.timeout(1800)
def test_a_controller_is_restarted_and_rebooted_with_the_least_rights_and_not_begun_with_less(
    stage: Stage, user: Maintainer, least: dict[str, HostRights]
) -> None:
    controller = Controller(stage.lab, stage.cloud)
    stage.set_policy(f"controllers: [{{host: ctl01, address: {controller.address}}}]\n")
    stage.place("c01", "ACTIVE", "SHUTOFF")
    was = seen(controller, stage)
    before = stage.picture()

    user.take(CREATE_FLAVOR)
    assert refusal(stage, "restart", services=["nova-scheduler"]) == (
        "scheduler round trip: the cloud openstack_default forbids it: Policy doesn't allow "
        f"{CREATE_FLAVOR} to be performed. Allow {CREATE_FLAVOR} to the user of connection "
        "openstack_default: see include/rights/openstack-policies. Nothing was changed."
    )
    user.give_back()
    rules = f"{RULES}-controller"
    least["ctl01"].root(f"cp {rules} /root/rules; sed -i '/systemctl reboot/d' {rules}")
    stage.lab.fault("ctl01", "sudo-refused")  # all that is left to sudo is what was installed
    assert refusal(stage, "reboot", allow_outage=True) == (
        "controller ctl01: the SSH login may not run with sudo: systemctl reboot. Allow these "
        "without a password in sudoers. include/rights/host-rights writes it. Nothing was changed."
    )
    stage.lab.run("fault", "ctl01", "clear")
    least["ctl01"].root(f"cp /root/rules {rules}")
    assert (seen(controller, stage), stage.picture()) == (was, before)

    stage.lab.fault("ctl01", "sudo-refused")
    restarted = stage.finish(maintain(stage, "restart", services=["nova-scheduler"]), _LIMIT)
    rebooted = stage.finish(maintain(stage, "reboot", allow_outage=True), _LIMIT)

    for record in (restarted, rebooted):
        (each,) = record["controllers"]
        assert set(each["evidence"]["check_controller"]["verdicts"]) == {"absent", "ok"}
        serving = each["evidence"]["check_serving"]
        assert serving["scheduler"]["answer"].startswith("No valid host was found")
        assert serving["token"]["user"] == user.name
    assert list(restarted["controllers"][0]["evidence"]["restart_services"]["services"]) == [
        "nova-scheduler"
    ]
    assert seen(controller, stage)[0] != was[0]
    assert stage.picture() == before


def seen(controller: Controller, stage: Stage) -> tuple[str, str]:
    """What a maintenance of the controller changes: its boot, and since when its services run."""
    since = "systemctl show nova-scheduler nova-api -p ActiveEnterTimestampMonotonic"
    return stage.lab.boot_id("ctl01"), controller.run(since)


def maintain(stage: Stage, action: str, **conf: Any) -> Run:
    return stage.airflow.trigger("controller_maintenance", action=action, **NOW, **conf)


def refusal(stage: Stage, action: str, **conf: Any) -> str:
    """The sentence with which the pre-check refuses a run."""
    run = maintain(stage, action, **conf)
    assert run.wait(_LIMIT) == "failed"
    record = stage.record(run)
    failed = {task["task_id"] for task in record["tasks"] if task["state"] == "failed"}
    assert failed == {"check_controllers"}
    return str(record["problem"])
