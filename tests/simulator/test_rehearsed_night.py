"""A rehearsal against the night that follows it: simulated cloud, hosts, and model of Airflow."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

import test_airflow_in_world as whole

start = whole.start
pytestmark = [*whole.pytestmark, pytest.mark.thorough]

HOSTS = ["c01", "c02", "c03", "c04"]
# Of the night's length, how far the rehearsal may be off.
NEAR = 0.2


def record(folder: Path, dag_id: str, run_id: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / dag_id / f"{run_id}.json").read_text())
    return found


def test_a_night_goes_as_it_was_rehearsed_once_the_records_have_one_like_it(
    start: whole.Start, tmp_path: Path
) -> None:
    records = tmp_path / "records"
    airflow, _ = start(
        due={"days_since_boot": 1, "hosts": HOSTS},
        window={"start": "01:00", "end": "05:00"},
        reserve_hosts=0,
    )

    def night(**asked: Any) -> dict[str, Any]:
        """A night that somebody triggers: a real one waits for the window."""
        run = airflow.trigger(whole.NIGHT, {"dry_run": False, "reason": "kernel", **asked})
        assert airflow.run_until(lambda: run.state in ("success", "failed"))
        return record(records, whole.NIGHT, run.run_id)

    airflow.pause(whole.NIGHT, False)
    assert airflow.run_until(lambda: bool(airflow.runs))  # the night of the schedule
    assert airflow.run_until_idle(at_most=14_400)
    airflow.clock.run(at_most=46 * 3600)  # 23 o'clock on the next day: all are due again
    told = night(dry_run=True)["rehearsal"]
    assert (told["planned"], told["records"]) == (4, 4)
    assert not any(each["is_assumed"] for each in told["basis"] if each["what"] == "boot")

    after = night()
    assert sorted(each["host"] for each in after["done"]) == HOSTS
    assert told["done"]["median"] == len(HOSTS)
    opened = datetime.fromisoformat(after["ended_at"]).replace(hour=1, minute=0, second=0)
    ends = [
        datetime.fromisoformat(record(records, whole.HOST, each["run_id"])["ended_at"])
        for each in after["done"]
    ]
    took = (max(ends) - opened).total_seconds()
    assert abs(told["end_seconds"]["median"] - took) <= NEAR * took
    moved = after["bound"]["migrations"] / after["bound"]["instances"]
    assert abs(told["migrations_per_instance"] - moved) <= NEAR * moved
