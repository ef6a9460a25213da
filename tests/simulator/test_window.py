"""The maintenance window, and who waits for it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from simulated_stage import Stage

pytestmark = pytest.mark.thorough


def window(stage: Stage, opens_in: timedelta, patience: str) -> dict[str, Any]:
    start = stage.world.clock.now() + opens_in
    end = start + timedelta(minutes=20)
    hours = {"start": f"{start:%H:%M:%S}", "end": f"{end:%H:%M:%S}", "timezone": "UTC"}
    return {"window": hours, "window_patience": patience}


def test_a_window_that_stays_closed_for_too_long_ends_the_run_at_once(stage: Stage) -> None:
    before = stage.picture()
    stage.set_policy(**window(stage, timedelta(hours=3), "90min"))

    dry = stage.maintain("c04", ignore_window=False, dry_run=True)
    problem = stage.fail(stage.maintain("c04", ignore_window=False), "check_host")

    assert dry.wait() == "success"
    told = dry.log("check_host")
    assert "A real run started now would be refused: maintenance window: " in told
    assert "1. disable nova-compute on c04: " in told
    assert problem.startswith("maintenance window: ")
    assert "UTC is closed and opens next at " in problem
    assert "later than window_patience (90min) allows" in problem
    assert problem.endswith(
        "Run again within the window, or with ignore_window=true and a reason. Nothing was changed."
    )
    assert stage.picture() == before


def test_a_run_waits_for_its_window_without_a_worker_and_then_goes_on(stage: Stage) -> None:
    before = stage.picture()
    stage.set_policy(**window(stage, timedelta(minutes=45), "1h"))

    run = stage.maintain("c04", ignore_window=False, reboot=False)
    run.wait_for("wait_for_window", "deferred")
    stage.world.clock.run(at_most=2000)
    (waits,) = run.tasks("wait_for_window")
    assert (waits.state, stage.picture()) == ("deferred", before)

    record = stage.finish(run)
    assert record["tasks"][0]["task_id"] == "check_host"
    assert stage.picture() == before
