"""Nights in which several hosts are maintained, and who is left for which reason."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from picture import Picture
from simulated_stage import HOST, HOSTS, NIGHT, Run, Stage, a_stage

pytestmark = pytest.mark.thorough


def window(stage: Stage, length: timedelta) -> dict[str, Any]:
    """A window that has just opened: whoever booted before it has not been done tonight."""
    start = stage.world.clock.now()
    hours = {"start": f"{start:%H:%M:%S}", "end": f"{start + length:%H:%M:%S}", "timezone": "UTC"}
    return {"window": hours}


def turns(run: Run) -> dict[str, str | None]:
    """How each host's turn ended, by host."""
    return {str(ti.rendered_map_index): ti.state for ti in run.tasks("maintain_host")}


def booted(stage: Stage, before: Picture) -> set[str]:
    """The hosts that have booted since."""
    return {host for host in HOSTS if stage.boot_id(host) != before.boots[host]}


def test_what_would_leave_less_room_than_the_policy_wants_is_not_even_begun(stage: Stage) -> None:
    due = {"due": {"hosts": ["c01", "c02", "c03"]}, "max_hosts_out": 2}
    stage.set_policy(**window(stage, timedelta(hours=3)), **due, reserve_hosts=4)
    before = stage.picture()

    night = stage.trigger(NIGHT)
    assert night.wait() == "success"

    assert {each["host"]: each["reason"] for each in stage.record(night)["left"]} == dict.fromkeys(
        ("c01", "c02", "c03"),
        "its zone would keep less than 4 hosts' capacity free (reserve_hosts)",
    )
    assert stage.picture() == before


def test_a_night_that_is_rejected_changes_nothing_and_says_who_rejected_it(stage: Stage) -> None:
    due = {"due": {"hosts": ["c01", "c02"]}, "approval": True}
    stage.set_policy(**window(stage, timedelta(hours=3)), **due)
    before = stage.picture()

    night = stage.trigger(NIGHT)
    night.answer("approve", "Reject")

    assert night.wait() == "success"
    reasons = {each["reason"] for each in stage.record(night)["left"]}
    assert reasons == {"admin rejected the plan"}
    assert stage.picture() == before


def test_a_night_that_is_approved_goes_on_without_a_host_that_fails_and_ends_red_naming_it(
    stage: Stage,
) -> None:
    due = {"due": {"hosts": ["c01", "c02", "c03"]}, "max_hosts_out": 2, "approval": True}
    stage.set_policy(**window(stage, timedelta(hours=3)), **due)
    stage.place("c02", "ACTIVE")
    stage.refuse_live_migrations("the CPU is too old")
    before = stage.picture()

    night = stage.trigger(NIGHT)
    night.answer("approve", "Approve")
    assert night.wait() == "failed"

    record = stage.record(night)
    assert record["outcome"] == "failed"
    assert record["problem"].startswith("host c02: run nightly__c02__")
    assert turns(night) == {"c01": "success", "c02": "failed", "c03": "success"}
    assert booted(stage, before) == {"c01", "c03"}
    after = stage.picture()
    status, reason = after.services.pop("c02")
    assert status == "disabled"
    assert "failed at migrate_instance" in str(reason)
    assert after.services == {k: v for k, v in before.services.items() if k != "c02"}


def test_a_short_window_does_some_and_the_nights_after_the_rest_and_nobody_twice(
    stage: Stage,
) -> None:
    for host in ("c01", "c02"):
        stage.world.hosts.machines[host].state.booted -= timedelta(days=30)
    due = {"due": {"days_since_boot": 40}}
    # A host is taken to need 5 minutes, and one here needs some of them.
    stage.set_policy(**window(stage, timedelta(minutes=9)), **due)
    before = stage.picture()

    first = stage.trigger(NIGHT)
    assert first.wait() == "success"
    record = stage.record(first)
    assert record["outcome"] == "partly_done", record
    assert [each["host"] for each in record["done"]] == ["c01"]
    assert [each["host"] for each in record["left"]] == ["c02"]
    assert "window's end" in record["left"][0]["reason"]
    assert (record["outlook"]["nights"], record["outlook"]["keeps_up"]) == (2, True)
    assert "At this pace the 2 hosts that are due need 2 nights" in first.log("plan")
    assert stage.picture().changed(before) == {"c01"}

    after_first = stage.picture()
    stage.set_policy(**window(stage, timedelta(hours=3)), **due)
    today = stage.world.clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
    past = today - timedelta(days=5), today - timedelta(seconds=1)
    nights = stage.backfill(NIGHT, *past, at_a_time=2)
    assert [night.model.state for night in nights] == ["success"] * 5
    done = [each["host"] for night in nights for each in stage.record(night)["done"]]
    assert done == ["c02"]
    assert booted(stage, after_first) == {"c02"}
    assert stage.picture().changed(before) == {"c01", "c02"}


def test_a_night_that_can_look_at_no_host_is_red(stage: Stage) -> None:
    stage.set_policy(**window(stage, timedelta(hours=3)), due={"days_since_boot": 1})
    mended = [stage.happens("ssh_refused", host=host) for host in HOSTS]
    before = stage.picture()

    night = stage.trigger(NIGHT)

    assert night.wait() == "failed"
    said = stage.record(night)["problem"]
    assert said.startswith("nightly maintenance: not one compute host could be looked at, so ")
    assert "c01 (and 3 more): " in said
    assert stage.picture() == before
    for mend in mended:
        mend()


def test_a_host_that_cannot_be_looked_at_is_no_part_of_done(stage: Stage) -> None:
    stage.set_policy(**window(stage, timedelta(hours=3)), due={"hosts": ["c01", "c1"]})
    mended = stage.happens("ssh_refused", host="c02")

    night = stage.trigger(NIGHT)

    assert night.wait() == "success"
    record = stage.record(night)
    assert ([each["host"] for each in record["done"]], record["outcome"]) == (
        ["c01"],
        "partly_done",
    )
    left = {each["host"]: each["reason"] for each in record["left"]}
    assert set(left) == {"c02", "c1"}
    assert left["c1"].startswith("is in due.hosts, but Nova has no such host (did you mean c0")
    mended()


def test_a_host_that_a_run_of_ours_still_has_is_no_part_of_done(stage: Stage) -> None:
    stage.place("c02", "ACTIVE")
    stage.refuse_live_migrations("the CPU is too old")
    stage.set_policy(max_hosts_out=2)
    assert stage.maintain("c02").wait() == "failed"
    stage.set_policy(**window(stage, timedelta(hours=3)), due={"hosts": ["c01"]}, max_hosts_out=2)

    # The window's own night comes first, and does c01.
    assert stage.trigger(NIGHT).wait() == "success"

    first, second = (stage.record(night) for night in nights_of(stage))
    assert [each["host"] for each in first["done"]] == ["c01"]
    assert (first["outcome"], second["outcome"]) == ("partly_done", "none_done")
    for record in (first, second):
        (left,) = record["left"]
        assert left["host"] == "c02" and left["reason"].startswith("is out: run ")


def test_hosts_that_cannot_be_maintained_as_they_are_are_named_and_no_failures(
    stage: Stage,
) -> None:
    for host in ("c01", "c02"):
        stage.world.hosts.machines[host].state.login.denied.append("systemctl*reboot*")
    due = {"due": {"hosts": ["c01", "c02", "c03", "c04"]}, "failure_budget": 0}
    stage.set_policy(**window(stage, timedelta(hours=3)), **due)
    ended = stage.happens("stray_guest", host="c03")
    before = stage.picture()

    night = stage.trigger(NIGHT)

    assert night.wait() == "success"
    record = stage.record(night)
    assert ([each["host"] for each in record["done"]], record["outcome"]) == (
        ["c04"],
        "partly_done",
    )
    left = {each["host"]: each["reason"] for each in record["left"]}
    for host in ("c01", "c02"):
        assert left[host].startswith(
            "is in the policy's list, but the SSH login may not run with sudo: "
        )
    # What only its own run finds out is no failure, either.
    assert left["c03"].startswith("its run nightly__c03__")
    assert "refused it: host c03: guests run on it that Nova does not list" in left["c03"]
    assert stage.picture().changed(before) == {"c04"}
    ended()


def test_a_host_whose_clock_was_wrong_as_it_booted_is_maintained_once(stage: Stage) -> None:
    stage.set_policy(**window(stage, timedelta(hours=3)), due={"days_since_boot": 30})
    stage.world.hosts.machines["c01"].state.booted -= timedelta(days=40)
    first = stage.trigger(NIGHT)
    assert first.wait() == "success"
    assert [each["host"] for each in stage.record(first)["done"]] == ["c01"]
    stage.world.hosts.machines["c01"].state.booted -= timedelta(days=400)  # a battery is dead

    nights = [stage.trigger(NIGHT) for _ in range(2)]
    today = stage.world.clock.now().replace(hour=0, minute=0, second=0, microsecond=0)

    assert [night.wait() for night in nights] == ["success"] * 2
    nights += stage.backfill(
        NIGHT, today - timedelta(days=3), today - timedelta(seconds=1), at_a_time=2
    )
    assert {stage.record(night)["outcome"] for night in nights} == {"nothing_due"}


@pytest.mark.parametrize(
    ("begun_at", "given", "opens", "why"),
    [
        # The clocks go forward at 02:00: 03:00 is the first moment of the window that there is.
        ("2026-03-29T00:30:00", {}, "2026-03-29T01:00:00", None),
        # And back at 03:00: the window begins with the first of the two hours.
        ("2026-10-24T23:30:00", {}, "2026-10-25T00:30:00", None),
        (
            "2026-03-29T00:30:00",
            {"end": "02:45"},
            None,
            "daylight saving skips the window 02:30-02:45 Europe/Berlin on 2026-03-29",
        ),
        (
            "2026-12-24T00:30:00",
            {"exclude": ["2026-12-24"]},
            None,
            "2026-12-24 is excluded by the policy (window.exclude)",
        ),
    ],
    ids=["spring", "autumn", "skipped", "excluded"],
)
def test_the_calendar_makes_no_night_red(
    tmp_path: Path, begun_at: str, given: dict[str, Any], opens: str | None, why: str | None
) -> None:
    hours = {"start": "02:30", "end": "03:30", "timezone": "Europe/Berlin", **given}
    policy = {"window": hours, "due": {"hosts": ["c01"]}}
    moment = datetime.fromisoformat(f"{begun_at}+00:00")
    with a_stage(
        tmp_path, start=(moment - timedelta(minutes=5)).isoformat(), policy=policy
    ) as stage:
        # Airflow begins the night that was missed last at once, too; one goes on at a time.
        assert stage.airflow.run_until(lambda: len(nights_of(stage)) == 2, at_most=10_000.0)
        nights = nights_of(stage)
        ended = [night.wait() for night in nights]

        assert nights[1].run_id.endswith(f"{begun_at}+00:00")
        records = [stage.record(night) for night in nights]
        if not opens:
            assert (ended[1], records[1]["outcome"]) == ("success", "no_window")
            assert records[1]["no_window"] == why
            return
        assert ended == ["success", "success"]
        assert [each["host"] for record in records for each in record["done"]] == ["c01"]
        opening = datetime.fromisoformat(f"{opens}+00:00")
        booted = stage.world.hosts.machines["c01"].state.booted
        assert opening < booted < opening + timedelta(minutes=20)


def nights_of(stage: Stage) -> list[Run]:
    """The nights that the schedule has begun."""
    return [Run(stage, run) for run in stage.airflow.runs if run.dag_id == NIGHT]


def test_a_night_does_not_wait_for_ever_for_a_paused_dag(stage: Stage) -> None:
    due = {"due": {"hosts": ["c01", "c02"]}, "turn_patience": "20min", "failure_budget": 0}
    stage.set_policy(**window(stage, timedelta(hours=3)), **due)
    stage.airflow.pause(HOST)
    before = stage.picture()

    night = stage.trigger(NIGHT)

    assert night.wait(at_most=3 * 3600.0) == "failed"
    problem = stage.record(night)["problem"]
    assert "was queued for longer than turn_patience (20min) and has not begun" in problem
    assert "Unpause compute_host_maintenance" in problem
    assert stage.picture() == before

    stage.airflow.pause(HOST, False)
    night.clear_failed()
    assert night.wait() == "success"
    assert {each["host"] for each in stage.record(night)["done"]} == {"c01", "c02"}


def test_a_night_is_limited_by_its_params_and_runs_its_script_on_each_host(stage: Stage) -> None:
    due = {"due": {"hosts": list(HOSTS)}, "script": "collect-facts.sh"}
    stage.set_policy(**window(stage, timedelta(hours=3)), **due)
    before = stage.picture()
    asked = {"ignore_window": True, "reason": "kernel"}

    refused = stage.trigger(NIGHT, hosts=["c01", "c9"], **asked)
    assert refused.wait() == "failed"
    assert stage.record(refused)["problem"].startswith("param hosts: Nova has no compute host c9")

    night = stage.trigger(NIGHT, hosts=["c01", "c02", "c03"], at_most=2, **asked)
    assert night.wait() == "success"
    record = stage.record(night)
    done = {each["host"] for each in record["done"]}
    (left,) = record["left"]
    assert len(done) == 2 and done | {left["host"]} == {"c01", "c02", "c03"}
    assert left["reason"] == "this run does at most 2 hosts (at_most)"
    assert "c04   not due  is not among the hosts of this run" in night.log("select_hosts")
    assert stage.picture().changed(before) == done
    for host in done:
        ran = stage.world.hosts.machines[host].scripts_run
        assert len(ran) == 1, ran


def test_a_look_that_fails_is_no_failed_host(stage: Stage) -> None:
    due = {"due": {"hosts": ["c01", "c02"]}, "failure_budget": 0, "api_patience": "1min"}
    stage.set_policy(**window(stage, timedelta(hours=3)), **due)
    before = stage.picture()

    night = stage.trigger(NIGHT)
    night.wait_for("maintain_host", "running")
    mended = stage.happens("http", match="compute", how="503")
    night.wait_for("maintain_host", "failed")
    mended()

    assert night.wait() == "failed"
    record = stage.record(night)
    assert [each["host"] for each in record["done"]] == ["c02"]
    assert "longer than api_patience (1min)" in record["problem"]
    assert stage.picture().changed(before) == {"c02"}
