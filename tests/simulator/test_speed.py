"""What the simulator does once for many worlds gives each world its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from openstack_maintenance.adapters import policy_file
from openstack_maintenance.adapters.policy_file import POLICY_VARIABLE
from openstack_maintenance.domain.errors import PolicyError
from simulator.airflow import speed
from simulator.airflow.parsing import parse
from simulator.big_night import story_of
from simulator.play import play

DAGS = Path(__file__).resolve().parents[2] / "dags"
NIGHT = "nightly_compute_maintenance"

pytestmark = [
    # What the SDK says to its own developers.
    pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedInSDK50Warning"),
    pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedInSDK60Warning"),
    pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedFieldWarning"),
]


@pytest.fixture
def policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "policy.yaml"
    monkeypatch.setenv(POLICY_VARIABLE, str(file))
    return file


def test_a_world_has_as_many_hosts_out_as_its_own_policy_says(policy: Path) -> None:
    for most in (1, 3, 1):
        policy.write_text(yaml.safe_dump({"max_hosts_out": most}))
        night = next(dag for dag in parse(DAGS) if dag.dag_id == NIGHT)
        assert night.task_dict["maintain_host"].max_active_tis_per_dagrun == most


def test_a_policy_that_changes_is_read_anew_and_a_wrong_one_is_refused_each_time(
    policy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    speed.hurry(monkeypatch.setattr)
    for most in (1, 3):
        policy.write_text(yaml.safe_dump({"max_hosts_out": most}))
        assert policy_file.read_policy().max_hosts_out == most
    policy.write_text("max_hosts_out: none")
    for _ in range(2):
        with pytest.raises(PolicyError, match="max_hosts_out"):
            policy_file.read_policy()
    policy.unlink()
    with pytest.raises(PolicyError, match="cannot be read"):
        policy_file.read_policy()


@pytest.mark.thorough
def test_a_night_with_two_hosts_out_at_a_time_maintains_every_host() -> None:
    outcome = play(story_of(hosts=12, per_host=2, out=2), with_timeline=False)
    assert outcome.is_good, outcome.found
    records = [json.loads(line) for line in (outcome.facts or pytest.fail()).records.splitlines()]
    assert sum(each["outcome"] == "done" for each in records if each["dag_id"] != NIGHT) == 12
