"""The DAG controller_maintenance as Airflow's DAG processor sees it: its form and its order."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

Parse = Callable[[Path, str, str], dict[str, Any]]

DAG = "controller_maintenance"
GROUP = "maintain_controller"
RESTART = ["wait_for_turn", "restart_services", "check_controller"]
REBOOT = ["wait_for_turn", "reboot", "wait_for_controller", "check_controller"]
PROOFS = ["check_controller", "check_serving", "wait_for_nova_services", "check_instances"]
DEFAULTS = {
    "controllers": [],
    "action": "restart",
    "services": [],
    "allow_outage": False,
    "reason": "",
    "dry_run": False,
    "ignore_window": False,
}


@pytest.fixture(scope="module")
def dag(parse: Parse, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    home = tmp_path_factory.mktemp("airflow")
    return parse(home, "deployment: lab\ncontrollers: [{host: ctl01}, {host: ctl02}]\n", DAG)


def test_it_runs_only_when_asked_to_and_never_twice_at_a_time(dag: dict[str, Any]) -> None:
    assert dag["errors"] == {}
    assert (dag["schedule"], dag["max_active_runs"]) == ("None", 1)


def test_a_broken_policy_does_not_break_the_import(parse: Parse, tmp_path: Path) -> None:
    parsed = parse(tmp_path, "windwo: {}\n", DAG)
    assert parsed["errors"] == {}
    assert "examples" not in parsed["params"]["controllers"]["schema"]


def test_the_steps_of_each_controller_stand_in_order(dag: dict[str, Any]) -> None:
    assert dag["groups"][GROUP] == "MappedTaskGroup"
    for path in (RESTART, REBOOT, PROOFS):
        for before, after in pairwise(path):
            assert f"{GROUP}.{before}" in dag["upstream"][f"{GROUP}.{after}"]
    assert dag["upstream"][f"{GROUP}.wait_for_turn"] == ["check_controllers"]
    assert dag["upstream"]["check_controllers"] == []


def test_only_what_follows_a_step_that_was_not_asked_for_goes_on_after_a_skip(
    dag: dict[str, Any],
) -> None:
    rules = {task.removeprefix(f"{GROUP}."): rule for task, rule in dag["rules"].items()}
    assert rules.pop("report") == "all_done"
    assert rules.pop("check_controller") == "none_failed"
    assert set(rules.values()) == {"all_success"}


def test_no_step_of_the_group_waits_for_that_of_another_controller(dag: dict[str, Any]) -> None:
    """Airflow expands these rules in a mapped group only when all that is upstream has ended."""
    fast = {"one_success", "one_failed", "one_done", "none_failed_min_one_success"}
    rules = {rule for task, rule in dag["rules"].items() if task.startswith(GROUP)}
    assert not rules & fast


def test_the_report_comes_after_the_last_proof_good_or_bad(dag: dict[str, Any]) -> None:
    assert dag["upstream"]["report"] == ["check_controllers", f"{GROUP}.check_instances"]


def test_every_step_has_a_retry_and_says_what_it_does(dag: dict[str, Any]) -> None:
    assert all(retries >= 1 for retries in dag["retries"].values())
    assert all(doc and len(doc) > 20 for doc in dag["docs"].values())


def test_the_form_has_the_params_with_safe_defaults(dag: dict[str, Any]) -> None:
    assert {name: param["default"] for name, param in dag["params"].items()} == DEFAULTS
    assert all(param["schema"]["title"] for param in dag["params"].values())
    assert all(param["description"] for param in dag["params"].values())


def test_the_form_offers_the_inventory_and_the_catalog(dag: dict[str, Any]) -> None:
    assert dag["params"]["controllers"]["schema"]["examples"] == ["ctl01", "ctl02"]
    offered = dag["params"]["services"]["schema"]["examples"]
    assert {"Nova services", "Support services", "nova-scheduler", "mariadb"} <= set(offered)


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        (
            "controllers",
            [[], None, ["ctl01"], ["a.example.com"]],
            ["ctl01", [1], ["a; b"], ["$(x"]],
        ),
        ("action", ["restart", "reboot"], ["", None, "stop", True]),
        ("services", [[], None, ["nova-api", "Nova services"]], ["nova-api", [""], ["a;b"], [1]]),
        ("allow_outage", [True, False], ["true", None, 1]),
        ("reason", ["", None, "kernel"], ["x" * 151, 1]),
        ("dry_run", [True, False], ["true", None]),
        ("ignore_window", [True, False], ["true", None]),
    ],
)
def test_the_form_takes_what_makes_sense_and_nothing_else(
    dag: dict[str, Any], name: str, good: list[Any], bad: list[Any]
) -> None:
    import jsonschema  # type: ignore[import-untyped]

    checks = jsonschema.Draft202012Validator(dag["params"][name]["schema"])
    assert [value for value in good if not checks.is_valid(value)] == []
    assert [value for value in bad if checks.is_valid(value)] == []
