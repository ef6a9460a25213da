"""Instances that cannot move, and what `on_blocked` does about them."""

from __future__ import annotations

from harness import Scenario, Stage, play


def test_instances_that_cannot_move_are_all_named_before_anything_changes(stage: Stage) -> None:
    stage.place("c01", "SUSPENDED", "ERROR", "ACTIVE")
    before = stage.picture()

    fails = stage.airflow.maintain("c01", on_blocked="fail")
    leaves = stage.airflow.maintain("c01", on_blocked="leave")
    problem = stage.fail(fails, "check_host")
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


def test_what_cannot_move_is_left_or_stopped_on_demand(stage: Stage) -> None:
    stage.set_policy("max_hosts_out: 2\n")
    play(
        an_instance_that_does_not_run_is_left_where_it_is(stage, "c03", "c02"),
        a_running_instance_that_cannot_move_live_is_stopped_moved_and_started(stage, "c01", "c04"),
    )


def an_instance_that_does_not_run_is_left_where_it_is(stage: Stage, host: str, to: str) -> Scenario:
    stage.place(host, "SUSPENDED", "ACTIVE", prefix="left-")
    suspended = stage.instance("left-suspended-01")
    stage.witness.allow(suspended.id)
    boot = stage.lab.boot_id(host)

    record = stage.finish(stage.airflow.maintain(host, on_blocked="leave", destination=to))

    assert [left["name"] for left in record["left"]] == ["left-suspended-01"]
    assert [move["name"] for move in record["moves"]] == ["left-active-01"]
    assert stage.lab.boot_id(host) != boot
    assert stage.cloud.instances(host) == [suspended]
    assert stage.cloud.service(host)["status"] == "enabled"
    yield


def a_running_instance_that_cannot_move_live_is_stopped_moved_and_started(
    stage: Stage, host: str, to: str
) -> Scenario:
    stage.place(host, "ACTIVE", "ERROR", prefix="stopped-")
    stage.lab.fault(host, "migration-refuse", "stopped-active-01", "2")  # live, twice; no more
    boot = stage.lab.boot_id(host)

    run = stage.airflow.maintain(host, on_blocked="stop", reboot=False, destination=to)
    record = stage.finish(run)

    assert {move["name"]: move["method"] for move in record["moves"]} == {
        "stopped-active-01": "live",
        "stopped-error-01": "stop",
    }
    kinds = [m["migration_type"] for m in stage.migrations_of("stopped-active-01")]
    assert kinds == ["live-migration", "live-migration", "migration"]
    assert stage.where("stopped-active-01", "stopped-error-01") == {
        "stopped-active-01": (to, "ACTIVE"),
        "stopped-error-01": (to, "ACTIVE"),
    }
    assert stage.lab.boot_id(host) == boot
    yield
