"""What a story asks of the plugin: runs of hosts, nights, backfills, checks, controllers."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import Any

from simulator.airflow import BadRequest
from simulator.events import HOST_DAG
from simulator.stage import Stage
from simulator.story import Json

DAGS = {
    "host": HOST_DAG,
    "night": "nightly_compute_maintenance",
    "checks": "controller_checks",
    "controllers": "controller_maintenance",
}
_URGENT = {"reason": "kernel", "ignore_window": True}


def schedule(stage: Stage) -> None:
    """Let each request of the story be made when it is due."""
    for each in stage.story.requests:
        stage.world.clock.after(each.get("at", 0), partial(_make, stage, each))


def _make(stage: Stage, request: Json) -> None:
    airflow = stage.world.airflow
    kind = request["do"]
    try:
        if kind == "backfill":
            airflow.pause(DAGS["night"], is_paused=False)
            start = datetime.fromisoformat(stage.story.start)
            first = start - timedelta(days=int(request.get("nights", 3)))
            airflow.backfill(DAGS["night"], first, start, max_active_runs=1, conf=_conf(request))
        elif kind == "scheduled":
            airflow.pause(DAGS["night"], is_paused=False)
        else:
            # A DAG that is paused runs nothing, whoever triggers it.
            airflow.pause(DAGS[kind], is_paused=False)
            airflow.trigger(DAGS[kind], _conf(request))
    except BadRequest as refused:
        stage.note("person", f"is refused: {refused}")


def _conf(request: Json) -> dict[str, Any]:
    conf = dict(request.get("params", _URGENT))
    if "host" in request:
        conf = {"host": request["host"], **conf}
    if request["do"] == "checks":
        conf = {}
    return conf
