"""Nights in which several hosts are maintained, and who is left for which reason."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from picture import Picture
from simulated_stage import HOSTS, NIGHT, Run, Stage

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
