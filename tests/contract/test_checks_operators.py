"""The checks' operators with a run's context in their hands, without a cloud or a controller."""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from airflow_run import context_of, write_policy
from openstack_maintenance.domain.checks.service_rules import LastCheck
from openstack_maintenance.operators.base import StepFailed
from openstack_maintenance.operators.checks import base as check_base
from openstack_maintenance.operators.checks import of_cloud as cloud_checks
from openstack_maintenance.operators.checks import of_controllers as checks
from openstack_maintenance.records import last_check

CONTROLLERS = "controllers: [{host: ctl01, address: 10.0.0.8}, {host: ctl02}]\n"
GOOD = f"deployment: lab\n{CONTROLLERS}"


@pytest.fixture
def policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return write_policy(tmp_path, monkeypatch, CONTROLLERS)


def context(found: Any = None, **dag_run: Any) -> Any:
    """``found``: what the checks of the controllers have handed on."""
    given = {"start_date": datetime.now(UTC), **dag_run}
    results = {"check_controller.found": found}
    return context_of("controller_checks", results=results, dag_run=given)


def facts(host: str, **more: Any) -> dict[str, Any]:
    broker = {
        "members": ["rabbit@a"],
        "running": ["rabbit@a"],
        "partitions": [],
        "alarms": [],
        "error": "",
    }
    clock = {
        "ahead_at_least": -0.1,
        "ahead_at_most": 0.1,
        "service": "",
        "service_state": "",
        "synchronised": None,
    }
    return {
        "host": host,
        "broker": broker,
        "database": {"answers": True, "galera": {}, "error": ""},
        "cache": {"version": "1.6", "error": ""},
        "clock_facts": clock,
        **more,
    }


def test_the_controllers_come_from_the_policy(policy: Path) -> None:
    step = checks.ListControllersOperator(task_id="list_controllers")
    assert step.execute(context()) == [
        {"host": "ctl01", "address": "10.0.0.8"},
        {"host": "ctl02", "address": "ctl02"},
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("deployment: lab\n", "controllers: none is named, so there is nothing to check"),
        (
            "deployment: lab\ncontrollers: [{host: a}, {host: b}, {host: a}]\n",
            "controllers: named more than once: a",
        ),
        ("deployment: lba\ncontrollers: [{host: a}]\n", "Choose one of: debian, kolla, lab"),
        ("deployment: lab\ncontrollers: [{hots: a}]\n", "policy.yaml:2: controllers[0].hots: is"),
    ],
)
def test_a_bad_policy_is_said_by_the_first_task(policy: Path, text: str, said: str) -> None:
    policy.write_text(text)
    step, given = checks.ListControllersOperator(task_id="list_controllers"), context()
    with pytest.raises(StepFailed) as caught:
        step.execute(given)
    assert said in str(caught.value)
    assert given["ti"].xcoms["error"]["remedy"]


def test_a_catalog_that_cannot_be_read_is_named_with_its_line(
    policy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "include/deployments"
    folder.mkdir(parents=True)
    (folder / "lab.yaml").write_text(
        "title: x\nnova_compute: {unit: c, log_paths: [/l]}\ngroups:\n"
        "  - title: Nova services\n    services:\n      - {name: nova-api, roel: broker}\n"
    )
    monkeypatch.setenv("OPENSTACK_MAINTENANCE_INCLUDE", str(tmp_path / "include"))
    with pytest.raises(StepFailed, match=r"lab.yaml:6: .*roel: is not a known field"):
        checks.ListControllersOperator(task_id="list_controllers").execute(context())


@pytest.mark.parametrize("single", [True, False])
def test_a_verdict_is_over_what_the_controllers_brought(policy: Path, single: bool) -> None:
    found: Any = facts("ctl01") if single else [facts("ctl01"), None]
    given = context(found)
    step = checks.CheckBrokerClusterOperator(task_id="check_broker_cluster")
    assert step.execute(given) == "ok"
    (finding,) = given["ti"].xcoms["found"]["findings"]
    assert finding["name"] == "broker on ctl01"


@pytest.mark.parametrize(
    "check",
    [checks.CheckDatabaseOperator, checks.CheckMemcachedOperator, checks.CheckClocksOperator],
)
def test_the_other_verdicts_read_what_was_handed_on(policy: Path, check: Any) -> None:
    step = check(task_id="check")
    assert step.execute(context([facts("ctl01"), facts("ctl02")])) in ("ok", "absent")
    assert check(task_id="check").execute(context([facts("ctl01", database=None, cache=None)])) in (
        "absent",
    )


def test_what_is_bad_is_handed_on_before_the_check_fails(policy: Path) -> None:
    given = context([facts("ctl01", database={"answers": False, "galera": {}, "error": "down"})])
    with pytest.raises(StepFailed, match="check_database: database on ctl01: down"):
        checks.CheckDatabaseOperator(task_id="check_database").execute(given)
    assert given["ti"].xcoms["found"]["findings"][0]["verdict"] == "bad"
    assert given["ti"].xcoms["error"]["found"] == "database on ctl01: down"


def test_with_no_controller_read_there_is_nothing_to_judge(policy: Path) -> None:
    for found in (None, []):
        with pytest.raises(AirflowSkipException):
            checks.CheckClocksOperator(task_id="check_clocks").execute(context(found))


def test_a_past_night_is_not_judged_by_today(policy: Path) -> None:
    for step in (
        cloud_checks.CheckImagesOperator(task_id="check_images"),
        checks.CheckDatabaseOperator(task_id="check_database"),
    ):
        given = context(
            [facts("ctl01")],
            run_type="backfill",
            logical_date=datetime(2026, 1, 5, 1, tzinfo=UTC),
        )
        with pytest.raises(AirflowSkipException, match="Unknown for a past night"):
            step.execute(given)
        assert given["ti"].xcoms == {}


class SlowCheck(check_base.CheckOperator):
    """A check that does not end by itself, and swallows whatever it can."""

    def look(self) -> dict[str, Any]:
        while True:
            with suppress(Exception):  # as a library may
                time.sleep(60)


@pytest.mark.thorough  # it waits for the window's end
def test_a_check_that_is_still_out_when_the_window_ends_says_so(policy: Path) -> None:
    now = datetime.now(UTC)
    ends = now + timedelta(seconds=3)
    policy.write_text(f'{GOOD}window: {{start: "{now:%H:%M:%S}", end: "{ends:%H:%M:%S}"}}\n')
    with pytest.raises(
        StepFailed, match=r"slow: still running when the window .* was about to end"
    ):
        SlowCheck(task_id="slow").execute(context())
    assert datetime.now(UTC) <= ends + timedelta(seconds=1)


def test_a_check_that_begins_too_late_does_not_begin(policy: Path) -> None:
    now = datetime.now(UTC)
    began = now - timedelta(minutes=30)
    ends = now - timedelta(minutes=10)
    policy.write_text(f'{GOOD}window: {{start: "{began:%H:%M:%S}", end: "{ends:%H:%M:%S}"}}\n')
    with pytest.raises(StepFailed, match="still running"):
        SlowCheck(task_id="slow").execute(context(start_date=began + timedelta(seconds=5)))


def test_the_last_check_is_remembered_for_each_controller(policy: Path) -> None:
    from openstack_maintenance.adapters.policy_file import read_policy

    assert last_check.find_last_check(read_policy(), "ctl01") == LastCheck()
    seen = {"boot_id": "b", "clock": "2026-11-22T01:00:00+00:00", "restarts": {"nova-api": 2}}
    last_check.write_last_checks(read_policy(), {"ctl01": seen})
    last_check.write_last_checks(read_policy(), {"ctl02": {**seen, "boot_id": "c"}})
    found = last_check.find_last_check(read_policy(), "ctl01")
    assert (found.boot_id, found.restarts) == ("b", {"nova-api": 2})
    assert last_check.find_last_check(read_policy(), "ctl02").boot_id == "c"


def test_a_remembered_check_that_was_cut_short_is_as_none(policy: Path, tmp_path: Path) -> None:
    from openstack_maintenance.adapters.policy_file import read_policy

    (tmp_path / "records/controller_checks").mkdir(parents=True)
    (tmp_path / "records/controller_checks/last_check.json").write_text('{"ctl01": {"bo')
    assert last_check.find_last_check(read_policy(), "ctl01") == LastCheck()
