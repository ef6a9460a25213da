"""CPU seconds of Airflow's components and their database, from /proc."""

from __future__ import annotations

import os
from pathlib import Path

from airflow_local import COMPONENTS, LocalAirflow

DATABASE = "postgresql"
TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(airflow: LocalAirflow) -> dict[str, float]:
    """CPU seconds of each component so far, its workers and finished tasks included.

    The database is one of them, under the name DATABASE.
    """
    database = airflow.home.database.process()
    leaders = {
        process.pid: name for name in COMPONENTS if (process := airflow.process(name)) is not None
    }
    used = dict.fromkeys((*COMPONENTS, DATABASE), 0.0)
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended by itself: its parent's figures have it
        name = leaders.get(int(fields[3]))  # the session is its component's
        if database is not None and database.pid in (int(entry.name), int(fields[1])):
            name = DATABASE  # each of its processes has a session of its own
        if name is not None:
            # utime, stime, and those of the children that have ended (proc(5)).
            used[name] += sum(map(int, fields[11:15])) / TICKS
    return used


def minus(later: dict[str, float], earlier: dict[str, float]) -> dict[str, float]:
    return {name: later[name] - earlier[name] for name in later}
