"""A real Airflow goes through the states that the simulator's model of it goes through.

`RECORD_AIRFLOW=1` writes what the real one did to tests/fixtures/airflow, for `make check`.
Needs no lab: a local Airflow of its own, about a gigabyte of memory for some minutes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

from airflow_scenarios.on_real import play, play_all, started

RECORDED = Path(__file__).parents[2] / "fixtures" / "airflow"
# A loaded machine makes Airflow take a task that resumes for lost: such a scenario is played again.
AGAIN = 2


def test_a_real_airflow_goes_through_the_same_states(
    tmp_path: Path, say: Callable[[str], None]
) -> None:
    airflow = started(tmp_path / "home", say)
    try:
        found = play_all(airflow, tmp_path)
        if os.environ.get("RECORD_AIRFLOW"):
            record(found)
        for _ in range(AGAIN):
            for name in differing(found):
                say(f"{name} is played again, alone")
                (tmp_path / f"{name}.notes").unlink(missing_ok=True)
                found[name] = play(airflow, name, tmp_path)
    finally:
        airflow.stop()
    recorded = {name: expected(name) for name in found}
    assert {name: found[name] for name in differing(found)} == {}, recorded


def differing(found: dict[str, dict[str, object]]) -> list[str]:
    return [name for name, each in found.items() if each != expected(name)]


def expected(name: str) -> object:
    return json.loads((RECORDED / f"{name}.json").read_text())


def record(found: dict[str, dict[str, object]]) -> None:
    RECORDED.mkdir(parents=True, exist_ok=True)
    for name, each in found.items():
        text = json.dumps(each, indent=2, sort_keys=True)
        (RECORDED / f"{name}.json").write_text(f"{text}\n")
