"""A client of the simulated cloud sees what one of a real Nova and Placement saw.

The fixtures are what tests/e2e/test_model_of_cloud.py recorded of the lab.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from cloud_scenarios.on_simulator import play
from cloud_scenarios.scripts import SCENARIOS
from cloud_scenarios.transcript import Names, differences, read, same_recording

RECORDED = Path(__file__).parents[1] / "fixtures" / "cloud"

pytestmark = [
    pytest.mark.thorough,
    # What the SDK says to its own developers.
    pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedInSDK50Warning"),
    pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedInSDK60Warning"),
]


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_simulated_cloud_answers_as_a_real_one_did(name: str) -> None:
    assert differences(read(RECORDED / f"{name}.jsonl"), play(name)) == []


def test_every_recording_belongs_to_a_scenario() -> None:
    assert {file.stem for file in RECORDED.glob("*.jsonl")} == set(SCENARIOS)


RUNNING = ["running", "live-migration", "<host 1>", "<host 2>"]
DONE = ["completed", "live-migration", "<host 1>", "<host 2>"]


def watched(*states: list[Any]) -> list[dict[str, Any]]:
    return [{"watched": "<id 1>", "until": "rest", "seen": {"move 1": list(states)}}]


def test_a_state_that_ends_by_itself_may_be_missed_by_who_polls() -> None:
    assert differences(watched(DONE), watched(RUNNING, DONE)) == []
    assert same_recording(watched(DONE), watched(RUNNING, DONE))


def test_a_state_that_only_the_real_one_shows_is_a_difference() -> None:
    assert differences(watched(RUNNING, DONE), watched(DONE)) != []


@pytest.mark.parametrize("states", [(RUNNING,), (RUNNING, ["failed", *DONE[1:]])])
def test_another_end_is_a_difference(states: tuple[list[Any], ...]) -> None:
    assert differences(watched(RUNNING, DONE), watched(*states)) != []
    assert not same_recording(watched(RUNNING, DONE), watched(*states))


def test_each_kind_of_difference_between_answers_is_told() -> None:
    entry = {"asked": "GET /servers", "status": 200, "body": {"servers": [{"id": "<id 1>"}]}}
    for change in (
        lambda other: other.update(status=404),
        lambda other: other["body"].update(more=1),
        lambda other: other["body"].pop("servers"),
        lambda other: other["body"]["servers"].append({}),
        lambda other: other["body"]["servers"][0].update(id="<id 2>"),
    ):
        other = copy.deepcopy(entry)
        change(other)
        assert len(differences([entry], [other])) == 1
    assert differences([entry], []) != []


def test_names_are_numbered_as_they_come_and_what_is_each_cloud_s_own_is_left_out() -> None:
    one, two = "0b5bb7e4-2d3a-4bd1-9d5e-6f6ba9f6c2a1", "11111111-2222-4333-8444-555555555555"
    names = Names()
    assert names.of({"id": one, "text": f"{two} on c03 at 2026-11-28T04:22:42Z, not {one}"}) == {
        "id": "<id 1>",
        "text": "<id 2> on <host 1> at <time>, not <id 1>",
    }
    assert names.of({"uptime": "up 3 days", "host_ip": None}) == {
        "uptime": "<own>",
        "host_ip": None,
    }
    assert names.of(f"http://172.31.240.10:8774/v2.1/servers/{two}") == "/v2.1/servers/<id 2>"
