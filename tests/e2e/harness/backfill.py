"""Backfills: past nights, run now."""

from __future__ import annotations

import time
from datetime import datetime

from harness.airflow_server import PATIENCE, Run
from harness.stage import Stage


def backfill(
    stage: Stage, dag_id: str, first: datetime, last: datetime, *, at_a_time: int = 3
) -> list[Run]:
    """Backfill from one day to another as `airflow backfill create` does.

    Returns the runs, oldest first, when all have ended.
    """
    body = {"from_date": first.isoformat(), "to_date": last.isoformat()}
    asked = {"dag_id": dag_id, "max_active_runs": at_a_time, **body}
    number = stage.airflow.api.post("/backfills", asked)["id"]
    deadline = time.monotonic() + PATIENCE
    while stage.airflow.api.get(f"/backfills/{number}")["completed_at"] is None:
        assert time.monotonic() < deadline, f"the backfill of {dag_id} does not end"
        time.sleep(1)
    runs = [r for r in stage.airflow.api.runs(dag_id) if r["run_type"] == "backfill"]
    wanted = [r for r in runs if first <= datetime.fromisoformat(r["logical_date"]) <= last]
    return [
        Run(stage.airflow, dag_id, run["dag_run_id"])
        for run in sorted(wanted, key=lambda run: run["logical_date"])
    ]
