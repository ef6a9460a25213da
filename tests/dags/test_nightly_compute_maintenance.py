"""The DAG nightly_compute_maintenance as Airflow's DAG processor sees it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

Parse = Callable[[Path, str, str], dict[str, Any]]

DAG = "nightly_compute_maintenance"
STEPS = ["select_hosts", "plan", "approve", "maintain_host", "report"]
TEARDOWN = "open_hosts"
DEFAULTS = {
    "reason": "",
    "hosts": [],
    "zone": None,
    "aggregate": None,
    "at_most": None,
    "script": None,
    "dry_run": False,
    "ignore_window": False,
}
POLICY = """\
deployment: lab
window: {start: "22:30", end: "04:00", timezone: Europe/Berlin}
max_hosts_out: 3
"""


@pytest.fixture(scope="module")
def dag(parse: Parse, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return parse(tmp_path_factory.mktemp("airflow"), POLICY, DAG)


@pytest.fixture(scope="module")
def without_policy(parse: Parse, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The DAG where the policy cannot be read."""
    return parse(tmp_path_factory.mktemp("airflow"), "windwo: {}\n", DAG)


def test_it_runs_when_the_policys_window_opens(dag: dict[str, Any]) -> None:
    assert dag["errors"] == {}
    assert "30 22 * * *" in dag["cron"]
    assert dag["zone"] == "Europe/Berlin"


def test_no_two_nights_are_under_way_at_a_time_and_none_is_caught_up(dag: dict[str, Any]) -> None:
    assert dag["max_active_runs"] == 1
    assert dag["catchup"] is False


def test_its_nights_begin_when_a_person_says_so(dag: dict[str, Any]) -> None:
    assert dag["is_paused_upon_creation"] is True


def test_a_broken_policy_does_not_break_the_import(without_policy: dict[str, Any]) -> None:
    assert without_policy["errors"] == {}
    assert without_policy["zone"] == "UTC"
    assert "0 1 * * *" in without_policy["cron"]
    assert set(without_policy["order"]) == {*STEPS, TEARDOWN}


def test_the_steps_stand_in_order(dag: dict[str, Any]) -> None:
    assert [each for each in dag["order"] if each != TEARDOWN] == STEPS
    assert dag["upstream"][TEARDOWN] == ["maintain_host"]
    for before, after in pairwise(STEPS):
        assert before in dag["upstream"][after]
    assert dag["upstream"]["select_hosts"] == []


def test_each_host_has_a_task_of_its_own(dag: dict[str, Any]) -> None:
    assert dag["mapped"] == ["maintain_host"]


def test_as_many_hosts_are_under_way_as_may_be_out(
    dag: dict[str, Any], without_policy: dict[str, Any]
) -> None:
    assert dag["at_a_time"]["maintain_host"] == 3
    assert without_policy["at_a_time"]["maintain_host"] == 1


def test_the_report_comes_after_everything_good_or_bad(dag: dict[str, Any]) -> None:
    assert dag["upstream"]["report"] == sorted(STEPS[:-1])
    rules = {"open_hosts": "all_done_setup_success", "report": "all_done"}
    assert dag["rules"] == {**dict.fromkeys(STEPS, "all_success"), **rules}


def test_every_step_says_what_it_does(dag: dict[str, Any]) -> None:
    assert all(doc and len(doc) > 20 for doc in dag["docs"].values())


def test_what_asks_the_cloud_is_tried_again(dag: dict[str, Any]) -> None:
    asking = set(STEPS) - {"approve"}
    assert all(dag["retries"][task] >= 1 for task in asking)


def test_the_form_has_the_params_with_safe_defaults(dag: dict[str, Any]) -> None:
    assert {name: param["default"] for name, param in dag["params"].items()} == DEFAULTS
    assert all(param["schema"]["title"] for param in dag["params"].values())
    assert all(param["description"] for param in dag["params"].values())


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("reason", ["", None, "kernel"], ["x" * 151, 1]),
        ("hosts", [[], None, ["c01", "c02.example.com"]], ["c01", [1], ["a b"]]),
        ("zone", [None, "az1"], [1]),
        ("aggregate", [None, "gold"], [1]),
        ("at_most", [None, 1, 500], [0, -1, "3", 1.5]),
        ("script", [None, "collect-facts.sh"], ["/etc/passwd", "", 1]),
        ("dry_run", [True, False], ["true", None, 1]),
        ("ignore_window", [True, False], ["true", None, 1]),
    ],
)
def test_the_form_takes_what_makes_sense_and_nothing_else(
    dag: dict[str, Any], name: str, good: list[Any], bad: list[Any]
) -> None:
    import jsonschema  # type: ignore[import-untyped]

    checks = jsonschema.Draft202012Validator(dag["params"][name]["schema"])
    assert [value for value in good if not checks.is_valid(value)] == []
    assert [value for value in bad if checks.is_valid(value)] == []
