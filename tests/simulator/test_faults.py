"""What breaks during one host's maintenance: it is outlived, or told, repaired and finished."""

from __future__ import annotations

import math

import pytest

from simulated_stage import Run, Stage
from simulator.cloud.settings import LiveEnd
from simulator.hosts.machine import ScriptPlay

pytestmark = pytest.mark.thorough


# The control plane: Airflow's own processes, Nova's API, the broker.


def test_a_drain_outlives_the_deaths_of_a_worker_the_triggerer_and_the_scheduler(
    stage: Stage,
) -> None:
    stage.place("c01", "ACTIVE", "ACTIVE")
    stage.set_migration_seconds("c01", math.inf)

    run = stage.maintain("c01", reboot=False)
    run.wait_for("list_instances", "running")
    stage.happens("kill_worker", task="list_instances")
    first = the_one_that_moves(stage)
    stage.happens("kill_triggerer", back=90)
    stage.complete_migration(first)
    run.wait_for("migrate_instance", "success")
    second = the_one_that_moves(stage)
    stage.happens("kill_scheduler", back=90)
    stage.complete_migration(second)
    stage.finish(run)

    (listed,) = run.tasks("list_instances")
    assert listed.try_number == 2
    assert_each_moved_once(stage)


def test_a_drain_outlives_a_failing_and_a_slow_api_and_a_restart_of_the_broker(
    stage: Stage,
) -> None:
    stage.place("c01", "ACTIVE", "ACTIVE")
    stage.set_migration_seconds("c01", math.inf)

    run = stage.maintain("c01", reboot=False)
    first = the_one_that_moves(stage)
    answers = stage.happens("http", match="compute", how="500")
    stage.until(lambda: says(run, "Nova does not answer, trying again"), "a word about the API")
    answers()
    is_quick = stage.happens("http", match="compute", how="slow")
    stage.complete_migration(first)
    run.wait_for("migrate_instance", "success")
    second = the_one_that_moves(stage)
    is_back = stage.happens("broker_away")
    stage.world.clock.run(at_most=40)
    is_back()
    stage.world.clock.run(at_most=60)
    stage.complete_migration(second)
    run.wait_for("migrate_instance", "success", count=2)
    is_quick()
    stage.finish(run)

    assert_each_moved_once(stage)


def the_one_that_moves(stage: Stage) -> str:
    """The instance whose migration off c01 runs."""

    def moving() -> list[str]:
        found = [(name, stage.migrations_of(name)) for name in stage.on("c01")]
        return [name for name, each in found if each and each[-1].status == "running"]

    stage.until(lambda: bool(moving()), "a migration off c01")
    (name,) = moving()
    return name


def says(run: Run, words: str) -> bool:
    return any(words in run.log("migrate_instance", index) for index in (0, 1))


def assert_each_moved_once(stage: Stage) -> None:
    for name in ("active-01", "active-02"):
        assert [each.status for each in stage.migrations_of(name)] == ["completed"]
        assert stage.instance(name).host != "c01"
        assert stage.where(name)[name][1] == "ACTIVE"


# The drain.


def test_migrations_that_fail_are_told_and_the_others_go_on(stage: Stage) -> None:
    stage.place("c01", "PAUSED", "ACTIVE")
    stage.place("c01", "ACTIVE", "ACTIVE", prefix="fails-")
    boot = stage.boot_id("c01")
    stage.cloud.settings.live_end = lambda instance, migration: (
        LiveEnd.FAILS if instance.name.startswith("fails-") else LiveEnd.COMPLETES
    )

    run = stage.maintain("c01", destination="c02")
    problem = stage.fail(run, "migrate_instance")

    assert problem.startswith("instance fails-active-0")
    assert "(2 tries)" in problem
    assert "(2 tasks failed)" in problem
    assert problem.endswith("tells more), then clear this task with Downstream.")
    names = ("fails-active-01", "fails-active-02")
    assert {error["subject"].split()[1] for error in stage.record(run)["errors"]} == set(names)
    stage.assert_stays_out("c01", run, "migrate_instance")
    assert stage.boot_id("c01") == boot
    moved = {"paused-01": ("c02", "PAUSED"), "active-01": ("c02", "ACTIVE")}
    assert stage.where(*names, *moved) == dict.fromkeys(names, ("c01", "ACTIVE")) | moved
    assert [len(stage.migrations_of(name)) for name in names] == [2, 2]

    stage.cloud.settings.live_end = lambda instance, migration: LiveEnd.COMPLETES
    run.clear_failed()
    stage.finish(run)

    stage.assert_given_back("c01", boot)
    assert stage.where(*names, *moved) == dict.fromkeys(names, ("c02", "ACTIVE")) | moved
    assert [len(stage.migrations_of(name)) for name in moved] == [1, 1]


def test_a_nova_compute_that_is_killed_during_the_drain(stage: Stage) -> None:
    stage.place("c03", "ACTIVE", prefix="stranded-")
    stage.set_migration_seconds("c03", math.inf)
    boot = stage.boot_id("c03")

    run = stage.maintain("c03", destination="c04")
    stage.wait_for_migration("stranded-active-01", "running")
    is_there = stage.happens("nova_compute_dies", host="c03")
    problem = stage.fail(run, "migrate_instance")

    assert problem.startswith("instance stranded-active-01 (")
    assert "): nova-compute on c03 is down, so nothing moves it any more. Start" in problem
    assert stage.instance("stranded-active-01").host == "c03"
    assert stage.boot_id("c03") == boot
    stage.assert_stays_out("c03", run, "migrate_instance")

    stage.set_migration_seconds("c03", 3)
    is_there()
    stage.world.clock.run(at_most=60)
    run.clear_failed()
    stage.finish(run)

    stage.assert_given_back("c03", boot)
    assert stage.where("stranded-active-01") == {"stranded-active-01": ("c04", "ACTIVE")}


# The host.


def test_a_host_that_does_not_come_back_is_rebooted_once(stage: Stage) -> None:
    boot = stage.boot_id("c01")
    is_reset = stage.happens("boot_hangs", host="c01")

    run = stage.maintain("c01")
    problem = stage.fail(run, "wait_for_host")

    assert problem.startswith("host c01: did not come back from its reboot in time (")
    assert problem.endswith("when it is up again, clear wait_for_host with Downstream.")
    stage.assert_stays_out("c01", run, "wait_for_host")

    is_reset()
    stage.world.clock.run(at_most=300)
    recovered = stage.boot_id("c01")
    run.clear("wait_for_host")
    record = stage.finish(run)

    stage.assert_given_back("c01", boot)
    assert stage.boot_id("c01") == recovered
    assert record["evidence"]["reboot"]["boot_id_after"] == recovered


def test_a_nova_compute_that_does_not_start_is_named_with_its_last_words(stage: Stage) -> None:
    boot = stage.boot_id("c02")

    run = stage.maintain("c02")
    run.wait_for("stop_nova_compute", "success")
    stage.happens("no_start_at_boot", host="c02", times=1000)
    problem = stage.fail(run, "wait_for_nova_compute")

    assert problem.startswith("host c02: nova-compute is not healthy (")
    assert "; its journal ends: " in problem
    assert problem.endswith("Fix it on the host, then clear wait_for_nova_compute with Downstream.")
    stage.assert_stays_out("c02", run, "wait_for_nova_compute")
    rebooted = stage.boot_id("c02")

    stage.happens("no_start_at_boot", host="c02", times=0)
    run.clear("wait_for_nova_compute")
    stage.finish(run)

    stage.assert_given_back("c02", boot)
    assert stage.boot_id("c02") == rebooted


def test_a_host_that_is_cut_off_before_its_reboot_is_not_rebooted(stage: Stage) -> None:
    boot = stage.boot_id("c03")
    machine = stage.world.hosts.machines["c03"]
    machine.scripts = lambda content: ScriptPlay(600.0)

    run = stage.maintain("c03", script="collect-facts.sh")
    run.wait_for("run_script", "deferred")
    reconnected = stage.happens("host_cut", host="c03")
    problem = stage.fail(run, "run_script")

    assert problem.startswith("script collect-facts.sh on c03: has not ended in time (host c03")
    stage.assert_stays_out("c03", run, "run_script")

    reconnected()
    assert stage.boot_id("c03") == boot
    run.clear("run_script")
    stage.finish(run)

    assert len(machine.scripts_run) == 1
    stage.assert_given_back("c03", boot)


def test_a_script_that_fails_runs_again_when_cleared(stage: Stage) -> None:
    boot = stage.boot_id("c04")
    is_fixed = stage.happens("script_fails", host="c04")

    run = stage.maintain("c04", script="collect-facts.sh")
    problem = stage.fail(run, "run_script")

    assert problem == (
        "script collect-facts.sh on c04: failed, exit code 1 (exit-code): something is wrong. Fix "
        "the cause, then clear run_script with Downstream: it runs the script again."
    )
    assert stage.boot_id("c04") == boot
    stage.assert_stays_out("c04", run, "run_script")

    is_fixed()
    run.clear("run_script")
    stage.finish(run)

    stage.assert_given_back("c04", boot)


# Its proof.


def test_a_host_that_logs_no_amqp_line_is_proven_by_its_socket_or_refused_beforehand(
    stage: Stage,
) -> None:
    before = stage.picture()
    stage.set_policy(amqp_evidence="log_line")

    problem = stage.fail(stage.maintain("c03"), "check_host")

    assert "(amqp_evidence: log_line), but its nova-compute logs no connection" in problem
    assert "oslo.messaging._drivers.impl_rabbit=DEBUG" in problem
    assert stage.picture() == before  # found before anything changes

    stage.set_policy(amqp_evidence="any")
    record = stage.finish(stage.maintain("c03"))

    assert record["evidence"]["amqp"]["kind"] == "socket_and_heartbeat"
    assert record["evidence"]["amqp"]["sockets"]
    stage.assert_given_back("c03", before.boots["c03"])


def test_a_host_whose_amqp_line_does_not_come_stays_out_and_is_not_rebooted_twice(
    stage: Stage,
) -> None:
    boot = stage.boot_id("c03")
    run = stage.maintain("c03")
    run.wait_for("stop_nova_compute", "success")
    # Only now: check_host would have refused it.
    stage.set_policy(amqp_evidence="log_line", amqp_timeout="5s")
    problem = stage.fail(run, "assert_amqp")

    assert problem.startswith("host c03: no proof that nova-compute is on the message bus: ")
    assert "(policy amqp_evidence: log_line)" in problem
    assert problem.endswith("then clear assert_amqp with Downstream.")
    stage.assert_stays_out("c03", run, "assert_amqp")
    rebooted = stage.boot_id("c03")
    assert rebooted != boot

    stage.set_policy(amqp_evidence="any")
    run.clear_failed()
    record = stage.finish(run)

    assert record["evidence"]["amqp"]["kind"] == "socket_and_heartbeat"
    stage.assert_given_back("c03", boot)
    assert stage.boot_id("c03") == rebooted  # not a second time


def test_a_destination_that_is_down_is_refused(stage: Stage) -> None:
    before = stage.picture()
    stage.happens("nova_compute_dies", host="c03")
    stage.world.clock.run(at_most=120)

    problem = stage.fail(stage.maintain("c01", destination="c03"), "check_host")

    assert problem.startswith("destination c03: its nova-compute is down.")
    assert problem.endswith("Nothing was changed.")
    assert stage.picture() == before
