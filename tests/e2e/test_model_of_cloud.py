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
from harness import BootWitness
from openstack_lab import Cloud, Lab, restore

RECORDED = Path(__file__).parents[1] / "fixtures" / "cloud"
# A loaded machine makes Nova take a host for down: such a scenario is played again.
AGAIN = 2
WANTED = [name for name in os.environ.get("SCENARIOS", "").split(",") if name] or list(SCENARIOS)


@pytest.fixture
def quiet(
    lab: Lab, cloud: Cloud, boot_witness: BootWitness, say: Callable[[str], None]
) -> Iterator[Cloud]:
    """The lab at rest, before and after; the next test is not told of the reboots of this one."""
    restore(lab, cloud, say)
    yield cloud
    boot_witness.loaded_reboots()  # a scenario reboots a host under its guests, as it should
    restore(lab, cloud, say)


# What is removed from the SDK some day is not what is asked here.
@pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedInSDK50Warning")
@pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedInSDK60Warning")
def test_a_client_of_the_lab_sees_what_the_simulated_cloud_shows(
    lab: Lab, quiet: Cloud, say: Callable[[str], None]
) -> None:
    found = on_lab.play_all(lab, quiet, WANTED, say)
    if os.environ.get("RECORD_NOVA"):
        record(found)
    differing = all_differences(found)
    for _ in range(AGAIN):
        for name in differing:
            say(f"{name} is played again, alone: {differing[name][0]}")
            found[name] = on_lab.play(lab, name)
        differing = all_differences(found)
    assert differing == {}


def all_differences(found: dict[str, list[Entry]]) -> dict[str, list[str]]:
    """By scenario: where the simulated cloud, or the recording, says anything else."""
    differing = {name: differences(each, on_simulator.play(name)) for name, each in found.items()}
    for name, each in found.items():
        if not same_recording(each, recorded(name)):
            differing[name] += ["its recording is not what the lab says"]
    return {name: each for name, each in differing.items() if each}


def recorded(name: str) -> list[Entry]:
    return read(RECORDED / f"{name}.jsonl")


def record(found: dict[str, list[Entry]]) -> None:
    RECORDED.mkdir(parents=True, exist_ok=True)
    for name, each in found.items():
        write(RECORDED / f"{name}.jsonl", each)
