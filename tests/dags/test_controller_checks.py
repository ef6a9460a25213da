"""The DAG controller_checks as Airflow's DAG processor sees it, with good and broken policies."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from openstack_maintenance.adapters.cloud_checks import CLOUD_CHECKS
from openstack_maintenance.domain.checks.cluster_rules import judge_cluster

Parse = Callable[[Path, str, str], dict[str, Any]]

DAG = "controller_checks"
OF_THE_CONTROLLERS = {"check_broker_cluster", "check_database", "check_memcached", "check_clocks"}
OF_THE_CLOUD = {
    "check_token",
    "check_endpoints",
    "check_nova_services",
    "check_network_agents",
    "check_volume_services",
    "check_images",
}


@pytest.fixture(scope="module")
def dag(parse: Parse, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    home = tmp_path_factory.mktemp("airflow")
    return parse(home, "deployment: lab\nwindow: {timezone: Europe/Berlin}\n", DAG)


def test_it_runs_at_one_in_the_policys_time_zone(dag: dict[str, Any]) -> None:
    assert "0 1 * * *" in dag["cron"]
    assert dag["zone"] == "Europe/Berlin"
    assert dag["catchup"] is False
    assert dag["max_active_runs"] == 1


def test_a_broken_policy_does_not_break_the_import(parse: Parse, tmp_path: Path) -> None:
    parsed = parse(tmp_path, "windwo: {}\n", DAG)
    assert parsed["errors"] == {}
    assert parsed["zone"] == "UTC"


def test_a_maintenance_runs_the_very_same_checks(dag: dict[str, Any]) -> None:
    """What controller_maintenance calls "all checks" is what the nights call so."""
    assert set(CLOUD_CHECKS) == OF_THE_CLOUD
    assert set(judge_cluster({})) == OF_THE_CONTROLLERS
    assert set(CLOUD_CHECKS) | set(judge_cluster({})) <= set(dag["upstream"])


def test_each_check_is_a_task_of_its_own(dag: dict[str, Any]) -> None:
    others = {"list_controllers", "check_controller", "report"}
    assert set(dag["upstream"]) == OF_THE_CONTROLLERS | OF_THE_CLOUD | others
    assert dag["mapped"] == ["check_controller"]


def test_a_check_that_fails_stops_no_other(dag: dict[str, Any]) -> None:
    for task in OF_THE_CLOUD:
        assert dag["upstream"][task] == []
    for task in OF_THE_CONTROLLERS:
        assert dag["upstream"][task] == ["check_controller"]
        assert dag["rules"][task] == "all_done"


def test_the_report_comes_after_everything_good_or_bad(dag: dict[str, Any]) -> None:
    assert dag["upstream"]["report"] == sorted(set(dag["upstream"]) - {"report"})
    assert dag["rules"]["report"] == "all_done"


def test_every_check_has_a_retry_and_says_what_it_looks_at(dag: dict[str, Any]) -> None:
    assert all(retries >= 1 for retries in dag["retries"].values())
    assert all(doc and len(doc) > 10 for doc in dag["docs"].values())
