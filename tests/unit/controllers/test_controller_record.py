"""The record of a controllers' run: the outcome, the one sentence, and the page."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from openstack_maintenance.domain.controllers.record import build_controller_record, what_went_wrong
from openstack_maintenance.records.page import page_of

NOW = datetime(2026, 3, 10, 1, 30, tzinfo=UTC)
RUN = {
    "dag_id": "controller_maintenance",
    "run_id": "r1",
    "params": {"action": "restart", "reason": "<b>kernel</b>"},
    "started_at": "2026-03-10T01:00:00+00:00",
}
PLAN = {
    "ctl02": {"action": "restart", "stages": [["mariadb"], ["nova-api"]], "boot_id": "b2"},
    "ctl01": {"action": "restart", "stages": [["mariadb"], ["nova-api"]], "boot_id": "b1"},
}


def task(task_id: str, state: str = "success", map_index: int = -1) -> dict[str, Any]:
    return {"task_id": task_id, "map_index": map_index, "state": state, "seconds": 1.0}


def controller(host: str, **evidence: Any) -> dict[str, Any]:
    picture = {"at": "2026-03-10T01:02:03+00:00", "instances": [{"id": "i1"}]}
    return {"host": host, "evidence": evidence, "before": picture, "after": None}


def record(
    plan: Any, controllers: list[dict[str, Any]], *tasks: dict[str, Any], **params: Any
) -> dict[str, Any]:
    run = {**RUN, "params": {**RUN["params"], **params}}  # type: ignore[dict-item]
    return build_controller_record(run, tasks, plan, controllers, [], NOW)


PROVEN = [controller(host, check_instances={"instances": 1}) for host in PLAN]


@pytest.mark.parametrize(
    ("plan", "controllers", "params", "outcome", "left"),
    [
        (PLAN, PROVEN, {}, "done", []),
        (PLAN, PROVEN[:1], {}, "incomplete", ["ctl01"]),
        (PLAN, [*PROVEN[:1], controller("ctl01", reboot={"x": 1})], {}, "incomplete", ["ctl01"]),
        (PLAN, [], {"dry_run": True}, "dry_run", ["ctl02", "ctl01"]),
        ({}, [], {}, "already_done", []),
        (None, [], {}, "incomplete", []),
    ],
)
def test_done_is_what_ended_with_the_last_proof_on_every_controller(
    plan: Any, controllers: Any, params: dict[str, Any], outcome: str, left: list[str]
) -> None:
    found = record(plan, controllers, task("check_controllers"), **params)
    assert (found["outcome"], found["left"], found["problem"]) == (outcome, left, None)


def test_a_failed_task_fails_the_record_whatever_was_proven() -> None:
    found = record(PLAN, PROVEN, task("maintain_controller.reboot", "failed", 0))
    assert found["outcome"] == "failed"


def test_the_sentence_is_of_the_controller_that_failed_first() -> None:
    tasks = [
        task("maintain_controller.wait_for_turn", "failed", 1),
        task("maintain_controller.check_controller", "failed", 0),
        task("maintain_controller.check_serving", "upstream_failed", 0),
    ]
    errors = [
        {
            "task_id": each["task_id"],
            "map_index": each["map_index"],
            "subject": f"controller {each['map_index']}",
            "found": "is wrong.",
            "remedy": "Fix it.",
        }
        for each in tasks
    ]
    assert what_went_wrong(tasks, errors) == "controller 0: is wrong. Fix it."
    said = what_went_wrong(tasks, errors[:1])
    assert said is not None
    assert said.startswith("task maintain_controller.check_controller: it ended without an error")


@pytest.mark.parametrize(
    ("states", "is_problem"), [(["success", "skipped"], False), (["upstream_failed"], True)]
)
def test_without_a_failure_there_is_no_problem(states: list[str], is_problem: bool) -> None:
    assert (what_went_wrong([task("x", state) for state in states], []) is not None) is is_problem


def test_the_page_tells_all_and_escapes_what_people_wrote() -> None:
    page = page_of(record(PLAN, PROVEN, task("check_controllers")))
    assert "Controller maintenance <span" in page
    assert "restart mariadb; then nova-api" in page
    assert "2026-03-10 01:02:03 UTC: 1" in page
    assert "&lt;b&gt;kernel&lt;/b&gt;" in page
    assert "Not finished" not in page
    assert "Not finished: ctl01" in page_of(record(PLAN, PROVEN[:1]))
