"""Whose turn of a night was given, and who is not out yet: of two that look at once, one waits."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_run import write_policy
from openstack_maintenance.adapters.policy_file import read_policy
from openstack_maintenance.operators.clock import utc_now
from openstack_maintenance.operators.night_link import CHILD_DAG
from openstack_maintenance.operators.nights.on_their_way import on_their_way
from openstack_maintenance.records.turn import Turn, find_turn, write_turn


@pytest.fixture(autouse=True)
def two_may_be_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_policy(tmp_path, monkeypatch, "max_hosts_out: 2\n")


def step_of(state: str | None, child: str | None) -> Any:
    """The turn of c01, second of the night. ``state``: of c00's task; ``child``: of its run."""
    states = {"night": {"maintain_host_0": state, "maintain_host_1": "running"}}
    ti = SimpleNamespace(dag_id="nights", get_task_states=lambda **asked: states)
    return SimpleNamespace(
        policy=read_policy(),
        task_id="maintain_host",
        run_id="night",
        host="c01",
        _context={"ti": ti},
        all_planned=lambda: ["c00", "c01"],
        child_run_id=lambda host: f"nightly__{host}__night",
        state_of=lambda run_id: child,
    )


def give_turn(minutes_ago: float | None) -> None:
    given_at = None if minutes_ago is None else utc_now() - timedelta(minutes=minutes_ago)
    write_turn(read_policy(), CHILD_DAG, "nightly__c00__night", Turn("boot", {}, given_at))


@pytest.mark.parametrize(
    ("state", "child", "minutes_ago", "is_on_its_way"),
    [
        ("running", None, 0.1, True),  # about to start its run
        ("running", None, 3, False),  # it died before it did
        ("running", None, None, False),  # it gave way
        ("deferred", "running", 30, True),  # its run has not disabled it yet
        ("deferred", "queued", 0.1, True),
        ("deferred", "failed", 30, False),
        ("deferred", None, 0.1, False),  # it waits
        ("failed", "running", 30, True),
        ("failed", "failed", 0.1, False),
        ("up_for_retry", "failed", 0.1, True),
        ("success", "success", 0.1, False),
        (None, None, None, False),
        ("scheduled", None, None, False),
    ],
)
def test_a_host_is_on_its_way_from_its_turn_until_nova_shows_it_as_out(
    state: str | None, child: str | None, minutes_ago: float | None, is_on_its_way: bool
) -> None:
    give_turn(minutes_ago)
    step = step_of(state, child)
    assert on_their_way(step, []) == (["c00"] if is_on_its_way else [])
    assert on_their_way(step, ["c00"]) == []


def test_where_one_may_be_out_nobody_else_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    give_turn(0.1)
    write_policy(tmp_path, monkeypatch, "max_hosts_out: 1\n")
    assert on_their_way(step_of("running", "running"), []) == []


def test_a_turn_tells_since_when_and_one_of_an_older_release_does_not() -> None:
    give_turn(None)
    assert find_turn(read_policy(), CHILD_DAG, "nightly__c00__night") == Turn("boot", {})
    now = utc_now()
    write_turn(read_policy(), CHILD_DAG, "r", Turn("boot", {"i": "c09"}, now))
    assert find_turn(read_policy(), CHILD_DAG, "r") == Turn("boot", {"i": "c09"}, now)
