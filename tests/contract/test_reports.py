"""How every run ends: its record is kept first, and nothing that a page shows can cost it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import DownstreamTasksSkipped

from airflow_run import context_of, write_policy
from openstack_maintenance.adapters.policy_file import read_policy
from openstack_maintenance.domain.errors import HostError
from openstack_maintenance.operators import reporting
from openstack_maintenance.operators.base import MaintenanceOperator, StepFailed
from openstack_maintenance.operators.checks.report import ChecksReportOperator
from openstack_maintenance.operators.controllers.check_controllers import CheckControllersOperator
from openstack_maintenance.operators.controllers.report import ControllersReportOperator
from openstack_maintenance.operators.host.check_host import CheckHostOperator
from openstack_maintenance.operators.host.report import ReportOperator
from openstack_maintenance.operators.nights.report import NightReportOperator
from openstack_maintenance.records.store import find_record

NOW = datetime(2026, 3, 10, 1, 0, tzinfo=UTC)
RUN = "r1"
WRONG = {"subject": "host c01", "found": "it is not empty", "remedy": "Clear it."}
REPORTS: dict[str, Any] = {
    "compute_host_maintenance": ReportOperator,
    "nightly_compute_maintenance": NightReportOperator,
    "controller_checks": ChecksReportOperator,
    "controller_maintenance": ControllersReportOperator,
}
each_report = pytest.mark.parametrize("dag_id", REPORTS)


def context(dag_id: str, states: dict[str, str], results: dict[str, Any]) -> Any:
    params = {"host": "c01", "ignore_window": True, "reason": "x"}
    return context_of(dag_id, run_id=RUN, params=params, states=states, results=results)


@pytest.fixture(autouse=True)
def records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_policy(tmp_path, monkeypatch, "controllers: [{host: ctl01}]\n")
    return tmp_path / "records"


def end(dag_id: str, states: dict[str, str], results: dict[str, Any] | None = None) -> None:
    with pytest.raises(StepFailed):
        REPORTS[dag_id](task_id="report").execute(context(dag_id, states, results or {}))


FAILED = {"check_x": "failed"}
SAID = {"check_x.error": WRONG}


@each_report
def test_a_page_that_cannot_be_made_costs_neither_the_record_nor_the_runs_end(
    dag_id: str, records: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def defect(*given: Any) -> str:
        raise ZeroDivisionError("a defect of ours")

    monkeypatch.setattr(reporting, "page_of", defect)
    end(dag_id, FAILED, SAID)
    found = find_record(read_policy(), dag_id, RUN)
    assert found is not None
    assert "it is not empty" in found["problem"]
    assert not (records / dag_id / "r1.html").exists()


@each_report
@pytest.mark.parametrize("name", ["2026-13-01T00:00:00Z", "9999-12-31T23:59:59-14:00", "a\0\ud800"])
def test_no_name_and_no_answer_can_cost_a_record(dag_id: str, name: str, records: Path) -> None:
    said = {"subject": name, "found": name, "remedy": name}
    left = [{"id": name, "name": name, "status": name}]
    end(
        dag_id,
        FAILED | {"check_host_empty": "success", "migrate_instance": "success"},
        {
            "check_x.error": said,
            "check_host_empty": {"left": left, "checked_at": name},
            "migrate_instance": [{"name": name, "started_at": name, "ended_at": name}],
        },
    )
    text = (records / dag_id / "r1.json").read_text(encoding="utf-8")
    assert name.replace("\0", "\ufffd").replace("\ud800", "\ufffd") in json.loads(text)["problem"]
    assert (records / dag_id / "r1.html").read_text(encoding="utf-8").rstrip().endswith("</html>")


@each_report
@pytest.mark.parametrize("content", ["null", "[1]", '{"outcome": 5}', "[" * 9000, '{"a'])
def test_an_earlier_record_that_cannot_be_read_is_put_aside(
    dag_id: str, content: str, records: Path
) -> None:
    (records / dag_id).mkdir(parents=True)
    (records / dag_id / "r1.json").write_text(content)
    end(dag_id, FAILED, SAID)
    assert find_record(read_policy(), dag_id, RUN) is not None
    assert (records / dag_id / "r1.json.unreadable").read_text() == content


@each_report
@pytest.mark.parametrize("said", ["a text", ["a", "list"], {"found": 5}, 7])
def test_what_a_task_said_in_another_form_is_told_all_the_same(dag_id: str, said: Any) -> None:
    end(dag_id, FAILED, {"check_x.error": said})
    found = find_record(read_policy(), dag_id, RUN)
    assert found is not None
    assert found["errors"][0]["remedy"]


@pytest.mark.parametrize(
    ("dag_id", "step"),
    [
        (
            "compute_host_maintenance",
            CheckHostOperator(task_id="check_host", first_change="disable_service"),
        ),
        ("controller_maintenance", CheckControllersOperator(task_id="check_controllers")),
    ],
    ids=["host", "controllers"],
)
@pytest.mark.parametrize("content", ["null", "1", "[1]", "[" * 9000, "\x00"])
def test_a_pre_check_that_cannot_know_whether_its_run_is_done_says_so_and_changes_nothing(
    dag_id: str, step: Any, content: str, records: Path
) -> None:
    (records / dag_id).mkdir(parents=True)
    (records / dag_id / "r1.json").write_text(content)
    given = context(dag_id, {}, {})
    given["params"] = {"host": "c01"} if dag_id.startswith("compute") else {}
    with pytest.raises(
        StepFailed, match=r"(?s)record .*r1\.json: .*remove it.*[Nn]othing was changed"
    ):
        step.execute(given)


class Step(MaintenanceOperator):
    """A step that hands on what a host said."""

    def __init__(self, found: Any = None, **kwargs: Any) -> None:
        super().__init__(task_id="step", **kwargs)
        self.found = found

    def perform(self) -> Any:
        if isinstance(self.found, Exception):
            raise self.found
        self.tell("beside", self.found)
        return self.found


HOSTILE = {"a\0": ["\ud800", {"b": "\0"}], "n": float("nan")}
CLEAN = {"a\ufffd": ["\ufffd", {"b": "\ufffd"}], "n": "nan"}


def test_what_a_step_returns_and_tells_is_what_every_database_takes() -> None:
    given = context("x", {}, {})
    assert Step(found=HOSTILE).execute(given) == CLEAN
    assert given["ti"].xcoms["beside"] == CLEAN
    assert Step().execute_complete(given, {"result": HOSTILE}) == CLEAN


def test_an_error_is_handed_on_bounded() -> None:
    given = context("x", {}, {})
    with pytest.raises(StepFailed) as caught:
        Step(found=HostError("host c01", "\0" + "x" * 1_000_000, "Look.")).execute(given)
    assert len(given["ti"].xcoms["error"]["found"]) <= 4000
    assert len(str(caught.value)) < 5000


@pytest.mark.parametrize("error", [None, "text", {}, {"subject": 5}, [1]])
def test_an_event_of_another_release_is_told_in_a_sentence(error: Any) -> None:
    given = context("x", {}, {})
    with pytest.raises(StepFailed):
        Step().execute_complete(given, {"error": error})
    assert all(given["ti"].xcoms["error"].values())


def test_a_done_run_that_is_cleared_keeps_a_record_of_another_shape(records: Path) -> None:
    """As an older release, or a newer one, may have written it."""
    dag_id = "compute_host_maintenance"
    (records / dag_id).mkdir(parents=True)
    odd = {"outcome": "done", "notes": 5, "evidence": [1], "moves": None, "tasks": "x", "asked": 1}
    (records / dag_id / "r1.json").write_text(json.dumps(odd))
    given = context(dag_id, {}, {})
    with pytest.raises(DownstreamTasksSkipped):
        CheckHostOperator(task_id="check_host", first_change="x").execute(given)
    found = given["ti"].xcoms["return_value"]
    again = context(dag_id, {"check_host": "success"}, {"check_host": found})
    result = ReportOperator(task_id="report").execute(again)
    assert (result["outcome"], result["problem"]) == ("already_done", None)
    assert (find_record(read_policy(), dag_id, RUN) or {})["evidence"] == [1]
