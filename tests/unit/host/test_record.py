"""A run's record: how it ended, what went wrong first, and what was moved."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from openstack_maintenance.domain.host.record import build_record

NOW = datetime(2026, 3, 10, 1, 40, tzinfo=UTC)
STEPS = ["check_host", "disable_service", "migrate_instance", "reboot", "enable_service"]
CHECKED = {"host": "c01", "boot_id": "b1", "left": [{"name": "old-1"}]}
MOVE = {
    "name": "web-1",
    "host": "c02",
    "started_at": "2026-03-10T01:10:00+00:00",
    "ended_at": "2026-03-10T01:10:42+00:00",
}
DONE = {"check_host": CHECKED, "enable_service": {"state": "enabled, up"}}
SAID: dict[str, Any] = {
    "subject": "host c01",
    "found": "it is not empty.",
    "remedy": "Clear list_arrivals.",
}


def record(
    states: dict[str, str] | None = None,
    results: dict[str, Any] | None = None,
    errors: list[dict[str, Any]] | None = None,
    **params: Any,
) -> dict[str, Any]:
    tasks = [
        {"task_id": name, "map_index": -1, "state": (states or {}).get(name, "success")}
        for name in STEPS
    ]
    return build_record(
        run={
            "dag_id": "compute_host_maintenance",
            "run_id": "r1",
            "params": {"host": "c01", **params},
            "started_at": "2026-03-10T01:00:00+00:00",
            "triggered_by": "anna",
        },
        tasks=tasks,
        results=DONE if results is None else results,
        errors=errors or [],
        now=NOW,
    )


FAILED: dict[str, str] = {"reboot": "failed", "enable_service": "upstream_failed"}


@pytest.mark.parametrize(
    ("given", "outcome"),
    [
        pytest.param({}, "done", id="the host was given back"),
        pytest.param({"results": {"check_host": CHECKED}, "dry_run": True}, "dry_run", id="dry"),
        pytest.param({"results": {"check_host": CHECKED}}, "incomplete", id="all green, no end"),
        pytest.param({"results": {}}, "incomplete", id="nothing was said at all"),
        pytest.param(
            {"results": {"check_host": {"already_done": True}}}, "already_done", id="a rerun"
        ),
        pytest.param({"states": FAILED}, "failed", id="a task failed"),
        pytest.param({"states": {"reboot": "upstream_failed"}}, "failed", id="a task never ran"),
        pytest.param({"states": FAILED, "dry_run": True}, "failed", id="a dry run failed"),
        pytest.param({"states": {"reboot": "skipped"}}, "done", id="no reboot was asked for"),
    ],
)
def test_how_it_ended(given: dict[str, Any], outcome: str) -> None:
    assert record(**given)["outcome"] == outcome


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        pytest.param({}, None, id="none"),
        pytest.param(
            {"states": FAILED, "errors": [{"task_id": "reboot", **SAID}]},
            "host c01: it is not empty. Clear list_arrivals.",
            id="what the task said",
        ),
        pytest.param(
            {
                "states": {**FAILED, "migrate_instance": "failed"},
                "errors": [{"task_id": "reboot", **SAID}, {"task_id": "migrate_instance", **SAID}],
            },
            "host c01: it is not empty (2 tasks failed). Clear list_arrivals.",
            id="the first of two",
        ),
        pytest.param(
            {"states": FAILED},
            "task reboot: it ended without an error message (killed, or its worker died). See "
            "its log, "
            "then clear it with Downstream.",
            id="it was killed",
        ),
        pytest.param(
            {"states": {"reboot": "upstream_failed"}},
            "A task could not run because an earlier one failed.",
            id="only upstream",
        ),
    ],
)
def test_the_problem_is_one_sentence_that_says_what_to_do(
    given: dict[str, Any], problem: str | None
) -> None:
    assert record(**given)["problem"] == problem


def test_the_moves_of_both_rounds_are_kept_with_their_length() -> None:
    results = {**DONE, "migrate_instance": [MOVE, None], "migrate_arrival": [{**MOVE, "name": "b"}]}
    moves = record(results=results)["moves"]
    assert [(each["name"], each["round"], each["seconds"]) for each in moves] == [
        ("web-1", "migrate_instance", 42.0),
        ("b", "migrate_arrival", 42.0),
    ]


def test_a_move_that_nova_has_no_record_of_has_no_length() -> None:
    move = {**MOVE, "started_at": None, "ended_at": None}
    (found,) = record(results={**DONE, "migrate_instance": [move]})["moves"]
    assert found["seconds"] is None


def test_what_was_left_is_what_the_proof_of_emptiness_saw_last() -> None:
    assert record()["left"] == [{"name": "old-1"}]
    proof: dict[str, Any] = {"check_host_empty": {"left": []}}
    assert record(results={**DONE, **proof})["left"] == []


def test_every_evidence_has_its_place_and_everything_is_plain_json() -> None:
    found = record(reason="kernel", results={**DONE, "assert_amqp": {"line": "Connected"}})
    assert list(found["evidence"]) == [
        *("disabled", "empty", "stopped", "script", "empty_before_reboot", "reboot"),
        *("nova_compute", "amqp", "enabled"),
    ]  # as the steps happen
    assert found["evidence"]["amqp"] == {"line": "Connected"}
    assert found["evidence"]["reboot"] is None
    assert found["asked"] == {"host": "c01", "reason": "kernel"}
    assert json.loads(json.dumps(found)) == found


def test_the_proof_before_the_reboot_is_that_of_its_order() -> None:
    results = {**DONE, "reboot": {"boot_id_before": "b1", "empty": {"instances": 0}}}
    assert record(results=results)["evidence"]["empty_before_reboot"] == {"instances": 0}


def test_the_record_says_who_triggered_the_run() -> None:
    assert record()["triggered_by"] == "anna"


def test_a_dry_runs_record_says_once_what_would_happen() -> None:
    results = {"check_host": {**CHECKED, "would": ["1. disable", "2. move"]}}
    found = record(results=results, dry_run=True)
    assert found["would"] == ["1. disable", "2. move"]
    assert "would" not in found["before"]
    assert record()["would"] == []
