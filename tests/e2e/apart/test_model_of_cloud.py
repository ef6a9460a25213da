"""A real Nova and Placement answer as the simulated cloud does: the lab's, scenario by scenario.

`RECORD_NOVA=1` writes what clients saw to tests/fixtures/cloud, for `make check`; with
`SCENARIOS=queue,placement` only these are played.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cloud_scenarios import on_lab, on_simulator
from cloud_scenarios.scripts import SCENARIOS
from cloud_scenarios.transcript import Entry, differences, read, same_recording, write
from harness import restore
from openstack_lab import Cloud, Lab

RECORDED = Path(__file__).parents[2] / "fixtures" / "cloud"
WANTED = [name for name in os.environ.get("SCENARIOS", "").split(",") if name] or list(SCENARIOS)


@pytest.fixture
def quiet(lab: Lab, cloud: Cloud, say: Callable[[str], None]) -> Iterator[Cloud]:
    """The lab at rest, before and after."""
    restore(lab, cloud, say)
    yield cloud
    restore(lab, cloud, say)


# What is removed from the SDK some day is not what is asked here.
@pytest.mark.filterwarnings("ignore::openstack.warnings.OpenStackDeprecationWarning")
def test_a_client_of_the_lab_sees_what_the_simulated_cloud_shows(
    lab: Lab, quiet: Cloud, say: Callable[[str], None]
) -> None:
    found = on_lab.play_all(lab, quiet, WANTED, say)
    if os.environ.get("RECORD_NOVA"):
        record(found)
    differing = {name: differences(each, on_simulator.play(name)) for name, each in found.items()}
    assert {name: each for name, each in differing.items() if each} == {}
    # What make check compares with is what the lab says still.
    assert [name for name, each in found.items() if not same_recording(each, recorded(name))] == []


def recorded(name: str) -> list[Entry]:
    return read(RECORDED / f"{name}.jsonl")


def record(found: dict[str, list[Entry]]) -> None:
    RECORDED.mkdir(parents=True, exist_ok=True)
    for name, each in found.items():
        write(RECORDED / f"{name}.jsonl", each)
