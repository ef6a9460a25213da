"""Hosts that do not come back, do not answer, or come back without their nova-compute."""

from __future__ import annotations

from harness import Scenario, Stage, play


def test_a_host_with_a_fault_stays_disabled_and_is_finished_when_the_fault_is_gone(
    stage: Stage,
) -> None:
    """Four faults on four hosts; each scenario pauses when its run has failed."""
    stage.set_policy(
        "max_hosts_out: 4\nreboot_timeout: 60s\nnova_compute_timeout: 30s\nscript_timeout: 30s\n"
    )
    play(
        a_host_that_does_not_come_back_is_rebooted_once(stage, "c01"),
        a_nova_compute_that_does_not_start_is_named_with_its_last_words(stage, "c02"),
        a_host_that_is_cut_off_before_its_reboot_is_not_rebooted(stage, "c03"),
        a_script_that_fails_runs_again_when_cleared(stage, "c04"),
        between=lambda: stage.set_policy("max_hosts_out: 4\n"),
    )


def a_host_that_does_not_come_back_is_rebooted_once(stage: Stage, host: str) -> Scenario:
    boot = stage.lab.boot_id(host)
    stage.lab.fault(host, "boot-hang")

    run = stage.airflow.maintain(host)
    problem = stage.fail(run, "wait_for_host")

    assert problem.startswith(f"host {host}: did not come back from its reboot in time (")
    assert problem.endswith("when it is up again, clear wait_for_host with Downstream.")
    stage.assert_stays_out(host, run, "wait_for_host")
    yield

    stage.lab.run("recover", host)
    recovered = stage.lab.boot_id(host)
    run.clear("wait_for_host")
    record = stage.finish(run)

    stage.assert_given_back(host, boot)
    assert stage.lab.boot_id(host) == recovered
    assert record["evidence"]["reboot"]["boot_id_after"] == recovered


def a_nova_compute_that_does_not_start_is_named_with_its_last_words(
    stage: Stage, host: str
) -> Scenario:
    boot = stage.lab.boot_id(host)

    run = stage.airflow.maintain(host)
    run.wait_for("stop_nova_compute", "success")
    stage.lab.fault(host, "nova-compute-no-start")
    problem = stage.fail(run, "wait_for_nova_compute")

    assert problem.startswith(f"host {host}: nova-compute is not healthy (")
    assert "; its journal ends: " in problem
    assert "nova-compute-no-start" in problem
    assert problem.endswith("Fix it on the host, then clear wait_for_nova_compute with Downstream.")
    stage.assert_stays_out(host, run, "wait_for_nova_compute")
    rebooted = stage.lab.boot_id(host)
    yield

    stage.lab.fault(host, "clear")
    run.clear("wait_for_nova_compute")
    stage.finish(run)

    stage.assert_given_back(host, boot)
    assert stage.lab.boot_id(host) == rebooted


def a_host_that_is_cut_off_before_its_reboot_is_not_rebooted(stage: Stage, host: str) -> Scenario:
    boot = stage.lab.boot_id(host)

    run = stage.airflow.maintain(host, script="wait-for-go.sh")
    run.wait_for("run_script", "deferred")
    stage.lab.fault(host, "cut-off")
    problem = stage.fail(run, "run_script")

    assert problem.startswith(
        f"script wait-for-go.sh on {host}: has not ended in time (host {host}"
    )
    stage.assert_stays_out(host, run, "run_script")
    yield

    stage.lab.fault(host, "reconnect")
    assert stage.lab.boot_id(host) == boot
    stage.lab.ssh(host, "touch /var/tmp/go")
    run.clear("run_script")
    stage.finish(run)

    runs = stage.lab.ssh(host, "sudo cat /var/tmp/wait-for-go.runs")
    assert runs.count("once more") == 1
    stage.assert_given_back(host, boot)


def a_script_that_fails_runs_again_when_cleared(stage: Stage, host: str) -> Scenario:
    boot = stage.lab.boot_id(host)

    run = stage.airflow.maintain(host, script="fail-until-fixed.sh")
    problem = stage.fail(run, "run_script")

    assert problem == (
        f"script fail-until-fixed.sh on {host}: failed, exit code 1 (exit-code): the disk is "
        "full. Fix the cause, then clear run_script with Downstream: it runs the script again."
    )
    assert stage.lab.boot_id(host) == boot
    stage.assert_stays_out(host, run, "run_script")
    yield

    stage.lab.ssh(host, "touch /var/tmp/fixed")
    run.clear("run_script")
    stage.finish(run)

    stage.assert_given_back(host, boot)
