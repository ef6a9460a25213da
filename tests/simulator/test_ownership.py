"""Who has a host: one run, a person, or a run that failed; and what a rerun does."""

from __future__ import annotations

import pytest

from simulated_stage import Stage

pytestmark = pytest.mark.thorough


def test_a_second_run_for_a_host_and_a_host_too_many_are_refused_while_the_first_goes_on(
    stage: Stage,
) -> None:
    stage.place("c01", "ACTIVE")
    stage.set_migration_seconds("c01", 3600)
    before = stage.picture()

    first = stage.maintain("c01")
    stage.wait_for_migration("active-01", "running")
    second = stage.maintain("c01")
    other = stage.maintain("c02")
    refused = stage.fail(second, "check_host")
    too_many = stage.fail(other, "check_host")

    assert refused == (
        f"host c01: the run {first.run_id} of compute_host_maintenance is maintaining it. "
        "Wait for that run, or end it, then run again. Nothing was changed."
    )
    assert too_many == (
        "host c02: 1 of at most 1 hosts (max_hosts_out) are out already: c01. Finish these first "
        "(see their disabled_reason), or raise max_hosts_out in the policy. Nothing was changed."
    )
    meanwhile = stage.picture()
    assert meanwhile.changed(before) <= {"c01", "migrations", "active-01"}
    assert meanwhile.boots == before.boots
    stage.complete_migration("active-01")
    stage.finish(first)
    stage.assert_given_back("c01", before.boots["c01"])

    done = stage.picture()
    first.clear()
    assert first.wait() == "success"
    assert stage.record(first)["outcome"] == "already_done"
    assert stage.picture() == done
    assert done.migrations - before.migrations == 1


def test_a_new_run_takes_over_a_host_that_a_failed_run_left_disabled(stage: Stage) -> None:
    stage.place("c01", "ACTIVE")
    stage.refuse_live_migrations("the CPU is too old")
    boot = stage.boot_id("c01")

    failed = stage.maintain("c01")
    stage.fail(failed, "migrate_instance")
    other = stage.maintain("c02")
    assert "(max_hosts_out) are out already: c01" in stage.fail(other, "check_host")

    stage.refuse_live_migrations("")
    record = stage.finish(stage.maintain("c01"))

    assert record["evidence"]["disabled"]["took_over"] == failed.run_id
    stage.assert_given_back("c01", boot)


def test_a_host_that_a_person_enables_meanwhile_is_left_alone(stage: Stage) -> None:
    stage.place("c01", "ACTIVE")
    stage.set_migration_seconds("c01", 3600)
    before = stage.picture()

    run = stage.maintain("c01")
    stage.wait_for_migration("active-01", "running")
    stage.enable("c01")
    stage.complete_migration("active-01")
    problem = stage.fail(run, "list_arrivals")

    assert problem == (
        "host c01: it is enabled, not disabled by this run. "
        "Somebody else decides about it now: talk to them, then trigger a new run."
    )
    after = stage.picture()
    assert after.changed(before) == {"active-01", "migrations"}
    assert after.services["c01"] == ("enabled", None)


def test_a_host_that_a_person_disabled_is_refused(stage: Stage) -> None:
    stage.disable("c01", "disk is being replaced, ask Ana")
    before = stage.picture()

    problem = stage.fail(stage.maintain("c01"), "check_host")

    assert problem == (
        "host c01: it is disabled with the reason 'disk is being replaced, ask Ana'. Find out who "
        "or what disabled it. When it may be used again, enable it (`openstack compute service "
        "set --enable c01 nova-compute`), then run again. "
        "Nothing was changed."
    )
    assert stage.picture() == before
