"""The model of Airflow comes to the same states as a real one did.

The fixtures are what tests/e2e/apart/test_model_of_airflow.py recorded of a real Airflow.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from airflow_scenarios.on_model import play
from airflow_scenarios.scripts import SCENARIOS

RECORDED = Path(__file__).parents[1] / "fixtures" / "airflow"


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_model_goes_through_the_states_of_a_real_airflow(name: str, tmp_path: Path) -> None:
    found, _ = play(name, tmp_path / "notes")
    assert found == json.loads((RECORDED / f"{name}.json").read_text())


def test_every_recording_belongs_to_a_scenario() -> None:
    assert {file.stem for file in RECORDED.glob("*.json")} == set(SCENARIOS)
