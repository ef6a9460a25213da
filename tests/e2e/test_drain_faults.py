"""What goes wrong while a host is emptied. What others do meanwhile: tests/simulator.

Two scenarios at a time: one empties c01, the other c03, to hosts of their own.
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
