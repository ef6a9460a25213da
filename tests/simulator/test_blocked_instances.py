"""Instances that cannot move, and what `on_blocked` does about them."""

from __future__ import annotations

import pytest

from simulated_stage import Stage

pytestmark = pytest.mark.thorough


def test_instances_that_cannot_move_are_all_named_before_anything_changes(stage: Stage) -> None:
    stage.place("c01", "SUSPENDED", "ERROR", "ACTIVE")
    before = stage.picture()

    fails = stage.maintain("c01", on_blocked="fail")
    problem = stage.fail(fails, "check_host")
    leaves = stage.maintain("c01", on_blocked="leave")
    running_error = stage.fail(leaves, "check_host")

    assert problem.startswith("host c01: nothing was changed, for 2 reasons. Remove them, then")
    assert "suspended-01" in problem
    assert "run with on_blocked=leave" in problem
    assert "error-01" in problem
    assert "openstack server set --state active" in problem
    assert "active-01" not in problem
    # It is in ERROR, but its guest runs: a reboot would take it down.
    assert running_error.startswith(f"instance error-01 ({stage.instance('error-01').id}): ")
    assert "its guest is running" in running_error
    assert running_error.endswith("Nothing was changed.")
    assert stage.picture() == before


def test_an_instance_that_does_not_run_is_left_where_it_is(stage: Stage) -> None:
    stage.place("c03", "SUSPENDED", "ACTIVE", prefix="left-")
    boot = stage.boot_id("c03")

    record = stage.finish(stage.maintain("c03", on_blocked="leave", destination="c02"))

    assert [left["name"] for left in record["left"]] == ["left-suspended-01"]
    assert [move["name"] for move in record["moves"]] == ["left-active-01"]
    assert stage.boot_id("c03") != boot
    assert stage.on("c03") == ["left-suspended-01"]
    assert stage.service("c03") == ("enabled", None)


def test_what_runs_and_cannot_move_live_is_stopped_moved_and_started(stage: Stage) -> None:
    stage.place("c01", "ACTIVE", "ERROR", prefix="stopped-")
    stage.refuse_live_migrations("the CPU is too old")
    boot = stage.boot_id("c01")

    record = stage.finish(stage.maintain("c01", on_blocked="stop", reboot=False, destination="c04"))

    assert {move["name"]: move["method"] for move in record["moves"]} == {
        "stopped-active-01": "live",
        "stopped-error-01": "stop",
    }
    kinds = [each.kind for each in stage.migrations_of("stopped-active-01")]
    assert kinds == ["live-migration", "live-migration", "migration"]
    assert stage.where("stopped-active-01", "stopped-error-01") == {
        "stopped-active-01": ("c04", "ACTIVE"),
        "stopped-error-01": ("c04", "ACTIVE"),
    }
    assert all(stage.cloud.state.guest_of(stage.instance(name).id) for name in stage.on("c04"))
    assert stage.boot_id("c01") == boot
