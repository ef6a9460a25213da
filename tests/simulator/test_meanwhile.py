"""What others do to a host and its instances while it is emptied, and what comes of it."""

from __future__ import annotations

import math

import pytest

from simulated_stage import Run, Stage
from simulator.hosts.machine import ScriptPlay

pytestmark = pytest.mark.thorough


def test_instances_that_arrive_vanish_or_are_moved_by_others(stage: Stage) -> None:
    stage.place("c01", "ACTIVE", "ACTIVE", "ACTIVE", prefix="leaves-")
    stage.place("c02", "ACTIVE", prefix="arrives-")
    names = stage.on("c01")
    stage.set_migration_seconds("c01", 3600)
    boot = stage.boot_id("c01")

    run = stage.maintain("c01", destination="c02")
    stage.until(lambda: any(map(stage.migrations_of, names)), "a migration off c01")
    (moved,) = (name for name in names if stage.migrations_of(name))
    stage.wait_for_migration(moved, "running")
    deleted, taken = (name for name in names if name != moved)
    stage.cloud.owners.deletes(stage.instance(deleted).id)
    stage.live_migrate(taken, "c04")  # Nova queues it behind the first
    stage.set_migration_seconds("c02", 12)
    stage.live_migrate("arrives-active-01", "c01", is_forced=True)
    stage.set_migration_seconds("c01", 1)
    stage.complete_migration(moved)
    record = stage.finish(run)

    stage.assert_given_back("c01", boot)
    assert run.xcom("list_arrivals")[0]["name"] == "arrives-active-01"
    moves = {move["name"]: move for move in record["moves"]}
    assert moves["arrives-active-01"]["round"] == "migrate_arrival"
    assert moves[deleted]["outcome"] == "was deleted meanwhile: nothing to move"
    assert moves[taken]["outcome"] == "moved to c04 by a migration that was under way already"
    assert stage.where(moved, "arrives-active-01", taken) == {
        moved: ("c02", "ACTIVE"),
        "arrives-active-01": ("c02", "ACTIVE"),
        taken: ("c04", "ACTIVE"),
    }
    assert len(stage.migrations_of(taken)) == 1


def test_a_person_who_ends_a_migrating_task_aborts_its_migration(stage: Stage) -> None:
    stage.place("c03", "ACTIVE", prefix="aborted-")
    stage.set_migration_seconds("c03", 3600)
    boot = stage.boot_id("c03")

    run = stage.maintain("c03", destination="c04")
    stage.wait_for_migration("aborted-active-01", "running")
    run.mark_failed("migrate_instance", 0)
    stage.wait_for_migration("aborted-active-01", "cancelled")
    problem = stage.fail(run, "migrate_instance")

    assert problem.startswith("task migrate_instance: it ended without an error message")
    assert problem.endswith("See its log, then clear it with Downstream.")
    assert stage.where("aborted-active-01") == {"aborted-active-01": ("c03", "ACTIVE")}
    assert stage.boot_id("c03") == boot
    stage.assert_stays_out("c03", run, "migrate_instance")

    stage.set_migration_seconds("c03", 3)
    run.clear_failed()
    stage.finish(run)

    stage.assert_given_back("c03", boot)
    assert stage.where("aborted-active-01") == {"aborted-active-01": ("c04", "ACTIVE")}
    statuses = [each.status for each in stage.migrations_of("aborted-active-01")]
    assert statuses == ["cancelled", "completed"]


def in_its_script(stage: Stage, host: str, to: str) -> Run:
    """A run whose script goes on, and a person who starts nova-compute: it was down by accident."""
    machine = stage.world.hosts.machines[host]
    machine.scripts = lambda content: ScriptPlay(600.0)
    run = stage.maintain(host, script="collect-facts.sh", destination=to)
    run.wait_for("run_script", "deferred")
    compute = machine.nova_compute
    assert compute is not None
    compute.service.start()
    stage.world.clock.run(at_most=30)
    return run


def test_an_instance_that_has_arrived_stops_the_reboot(stage: Stage) -> None:
    stage.place("c02", "ACTIVE", prefix="late-")
    boot = stage.boot_id("c01")

    run = in_its_script(stage, "c01", "c02")
    stage.live_migrate("late-active-01", "c01", is_forced=True)
    problem = stage.fail(run, "reboot")

    late = stage.instance("late-active-01")
    assert problem.startswith(
        f"host c01: it is not empty: late-active-01 ({late.id}) ACTIVE. The host was not rebooted. "
    )
    assert "When it is up, clear list_arrivals with Downstream: it moves them, " in problem
    assert stage.where("late-active-01") == {"late-active-01": ("c01", "ACTIVE")}
    assert stage.boot_id("c01") == boot
    stage.assert_stays_out("c01", run, "reboot")

    run.clear("list_arrivals")
    record = stage.finish(run)

    assert [move["name"] for move in record["moves"]] == ["late-active-01"]
    assert len(stage.world.hosts.machines["c01"].scripts_run) == 1
    stage.assert_given_back("c01", boot)


def test_an_instance_that_is_on_its_way_stops_the_reboot(stage: Stage) -> None:
    """Its guest is not there yet, only Nova's record of the migration tells of it."""
    stage.place("c02", "ACTIVE", prefix="coming-")
    boot = stage.boot_id("c01")

    run = in_its_script(stage, "c01", "c04")
    stage.set_migration_seconds("c02", math.inf)
    stage.live_migrate("coming-active-01", "c01", is_forced=True)
    stage.wait_for_migration("coming-active-01", "running")
    problem = stage.fail(run, "reboot")

    coming = stage.instance("coming-active-01")
    assert f"incoming migration of {coming.id} from c02 (running)" in problem
    assert stage.boot_id("c01") == boot
    stage.assert_stays_out("c01", run, "reboot")
