"""What goes wrong while a host is emptied: migrations, instances and people that come between.

Each test plays two scenarios at a time: one empties c01, the other c03, to hosts of their own.
"""

from __future__ import annotations

from harness import Scenario, Stage, play


def test_a_drain_that_fails_keeps_the_host_disabled_and_is_finished_when_the_fault_is_gone(
    stage: Stage,
) -> None:
    stage.set_policy("max_hosts_out: 2\n")
    play(
        a_migration_that_fails_and_one_that_is_refused(stage, "c01", "c02"),
        a_nova_compute_that_is_killed_during_the_drain(stage, "c03", "c04"),
    )


def test_what_others_do_to_instances_during_the_drain_is_fine(stage: Stage) -> None:
    stage.set_policy("max_hosts_out: 2\n")
    play(
        instances_that_arrive_vanish_or_are_moved_by_others(stage, "c01", "c02"),
        a_person_who_ends_a_migrating_task_aborts_its_migration(stage, "c03", "c04"),
    )


def test_an_instance_that_comes_after_the_proof_of_emptiness_stops_the_reboot(
    stage: Stage,
) -> None:
    stage.set_policy("max_hosts_out: 2\n")
    play(
        an_instance_that_has_arrived_stops_the_reboot(stage, "c01", "c02"),
        an_instance_that_is_on_its_way_stops_the_reboot(stage, "c03", "c04"),
    )


def a_migration_that_fails_and_one_that_is_refused(stage: Stage, host: str, to: str) -> Scenario:
    stage.place(host, "PAUSED", ram_mib=256)
    stage.place(host, "ACTIVE", ram_mib=1024, prefix="fails-")
    stage.place(host, "ACTIVE", prefix="refused-")
    stage.lab.fault(host, "migration-seconds", "1")
    stage.lab.fault(host, "migration-fail", "fails-active-01")
    stage.lab.fault(host, "migration-refuse", "refused-active-01")
    boot = stage.lab.boot_id(host)

    run = stage.airflow.maintain(host, destination=to)
    problem = stage.fail(run, "migrate_instance")

    assert problem.startswith("instance fails-active-01 (")
    assert "(2 tries)" in problem
    assert "(2 tasks failed)" in problem
    assert problem.endswith("tells more), then clear this task with Downstream.")
    found = {error["subject"].split()[1]: error["found"] for error in stage.record(run)["errors"]}
    assert found.keys() == {"fails-active-01", "refused-active-01"}
    assert f"the lab's fault migration-refuse is set on {host}" in found["refused-active-01"]
    stage.assert_stays_out(host, run, "migrate_instance")
    assert stage.lab.boot_id(host) == boot
    assert stage.where("fails-active-01", "refused-active-01", "paused-01") == {
        "fails-active-01": (host, "ACTIVE"),
        "refused-active-01": (host, "ACTIVE"),
        "paused-01": (to, "PAUSED"),
    }
    assert len(stage.migrations_of("fails-active-01")) == 2
    yield

    stage.lab.fault(host, "clear")
    run.clear_failed()
    stage.finish(run)

    stage.assert_given_back(host, boot)
    assert stage.where("fails-active-01", "refused-active-01", "paused-01") == {
        "fails-active-01": (to, "ACTIVE"),
        "refused-active-01": (to, "ACTIVE"),
        "paused-01": (to, "PAUSED"),
    }
    assert len(stage.migrations_of("paused-01")) == 1


def a_nova_compute_that_is_killed_during_the_drain(stage: Stage, host: str, to: str) -> Scenario:
    stage.place(host, "ACTIVE", prefix="stranded-")
    stage.lab.fault(host, "migration-seconds", "3600")
    boot = stage.lab.boot_id(host)

    run = stage.airflow.maintain(host, destination=to)
    stage.wait_for_migration("stranded-active-01", "running")
    stage.lab.fault(host, "nova-compute-kill")
    problem = stage.fail(run, "migrate_instance")

    assert problem.startswith("instance stranded-active-01 (")
    assert f"): nova-compute on {host} is down, so nothing moves it any more. Start" in problem
    assert stage.instance("stranded-active-01").host == host
    assert stage.lab.boot_id(host) == boot
    stage.assert_stays_out(host, run, "migrate_instance")
    yield

    stage.lab.fault(host, "clear")
    stage.cloud.wait_until_up(host)
    run.clear_failed()
    stage.finish(run)

    stage.assert_given_back(host, boot)
    assert stage.where("stranded-active-01") == {"stranded-active-01": (to, "ACTIVE")}


def instances_that_arrive_vanish_or_are_moved_by_others(
    stage: Stage, host: str, to: str
) -> Scenario:
    names = stage.place(host, "ACTIVE", "ACTIVE", "ACTIVE", prefix="leaves-")
    stage.place(to, "ACTIVE", prefix="arrives-")
    stage.lab.fault(host, "migration-seconds", "3600")
    boot = stage.lab.boot_id(host)

    run = stage.airflow.maintain(host, destination=to)
    moved = stage.wait_for_a_migration_off(host)
    deleted, taken = (name for name in names if name != moved)
    stage.cloud.delete([stage.instance(deleted)])
    stage.migrate(taken, "c04")
    stage.lab.fault(to, "migration-seconds", "12")
    stage.force_onto("arrives-active-01", host)
    stage.lab.fault(host, "migration-seconds", "1")
    record = stage.finish(run)

    stage.assert_given_back(host, boot)
    assert run.xcom("list_arrivals")[0]["name"] == "arrives-active-01"
    moves = {move["name"]: move for move in record["moves"]}
    assert moves["arrives-active-01"]["round"] == "migrate_arrival"
    assert moves[deleted]["outcome"] == "was deleted meanwhile: nothing to move"
    assert moves[taken]["outcome"] == "moved to c04 by a migration that was under way already"
    assert stage.where(moved, "arrives-active-01", taken) == {
        moved: (to, "ACTIVE"),
        "arrives-active-01": (to, "ACTIVE"),
        taken: ("c04", "ACTIVE"),
    }
    assert len(stage.migrations_of(taken)) == 1
    yield


def a_person_who_ends_a_migrating_task_aborts_its_migration(
    stage: Stage, host: str, to: str
) -> Scenario:
    stage.place(host, "ACTIVE", prefix="aborted-")
    stage.lab.fault(host, "migration-seconds", "3600")
    boot = stage.lab.boot_id(host)

    run = stage.airflow.maintain(host, destination=to)
    stage.wait_for_migration("aborted-active-01", "running")
    run.mark_failed("migrate_instance", 0)
    stage.wait_for_migration("aborted-active-01", "cancelled")
    problem = stage.fail(run, "migrate_instance")

    assert problem.startswith("task migrate_instance: it ended without an error message")
    assert problem.endswith("See its log, then clear it with Downstream.")
    aborted = stage.cloud.wait_for_status(stage.instance("aborted-active-01").id, "ACTIVE")
    assert aborted.host == host
    assert stage.lab.boot_id(host) == boot
    stage.assert_stays_out(host, run, "migrate_instance")
    yield

    stage.lab.fault(host, "clear")
    run.clear_failed()
    stage.finish(run)

    stage.assert_given_back(host, boot)
    assert stage.where("aborted-active-01") == {"aborted-active-01": (to, "ACTIVE")}
    statuses = [migration["status"] for migration in stage.migrations_of("aborted-active-01")]
    assert statuses == ["cancelled", "completed"]


def an_instance_that_has_arrived_stops_the_reboot(stage: Stage, host: str, to: str) -> Scenario:
    stage.place(to, "ACTIVE", prefix="late-")
    boot = stage.lab.boot_id(host)

    run = stage.airflow.maintain(host, script="wait-for-go.sh", destination=to)
    run.wait_for("run_script", "deferred")
    stage.lab.start_nova_compute(host)  # a person who thought it was down by accident
    stage.cloud.wait_until_up(host)
    stage.force_onto("late-active-01", host)
    stage.wait_for_migration("late-active-01", "completed")
    stage.lab.ssh(host, "touch /var/tmp/go")
    problem = stage.fail(run, "reboot")

    late = stage.instance("late-active-01")
    assert problem.startswith(
        f"host {host}: it is not empty: late-active-01 ({late.id}) ACTIVE. "
        "The host was not rebooted. "
    )
    assert "When it is up, clear list_arrivals with Downstream: it moves them, " in problem
    assert (late.host, late.status) == (host, "ACTIVE")
    assert stage.lab.boot_id(host) == boot
    stage.assert_stays_out(host, run, "reboot")
    yield

    run.clear("list_arrivals")
    record = stage.finish(run)

    assert [move["name"] for move in record["moves"]] == ["late-active-01"]
    assert stage.lab.ssh(host, "sudo cat /var/tmp/wait-for-go.runs").count("once more") == 1
    stage.assert_given_back(host, boot)


def an_instance_that_is_on_its_way_stops_the_reboot(stage: Stage, host: str, to: str) -> Scenario:
    """Its guest is not there yet, only Nova's record of the migration tells of it."""
    stage.place(to, "ACTIVE", prefix="coming-")
    boot = stage.lab.boot_id(host)

    run = stage.airflow.maintain(host, script="wait-for-go.sh", destination=to)
    run.wait_for("run_script", "deferred")
    stage.lab.start_nova_compute(host)
    stage.cloud.wait_until_up(host)
    stage.lab.fault(to, "migration-seconds", "3600")
    stage.force_onto("coming-active-01", host)
    stage.wait_for_migration("coming-active-01", "running")
    stage.lab.ssh(host, "touch /var/tmp/go")
    problem = stage.fail(run, "reboot")

    coming = stage.instance("coming-active-01")
    assert f"incoming migration of {coming.id} from {to} (running)" in problem
    assert stage.lab.boot_id(host) == boot
    stage.assert_stays_out(host, run, "reboot")
    yield
