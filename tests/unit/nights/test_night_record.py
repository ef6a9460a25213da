"""A night's record: how it ended, who was done, who was left and why, and its page."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from openstack_maintenance.domain.nights.record import build_night_record
from openstack_maintenance.records.page import page_of

NOW = datetime(2026, 11, 22, 2, 0, tzinfo=UTC)
ERROR = {
    "task_id": "maintain_host",
    "map_index": -1,
    "subject": "host c02",
    "found": "run nightly__c02__x did not finish it: no answer",
    "remedy": "Fix that.",
}


def due(*hosts: str) -> list[dict[str, str]]:
    return [{"host": host, "kind": "due", "reason": "booted 40 days ago"} for host in hosts]


OPEN = {"host": "c04", "kind": "passed_over", "reason": "SSH refused", "is_open": True}


def record(states: dict[str, str] | None = None, **given: Any) -> dict[str, Any]:
    told = {"maintain_host": "success", **(states or {})}
    found: dict[str, Any] = {
        "due": [*due("c01", "c02"), {"host": "c03", "kind": "not_due", "reason": "fresh"}],
        "planned": [
            {"host": host, "zone": "az1", "seconds": 300.0, "destinations": {"i": "c03"}}
            for host in ("c01", "c02")
        ],
        "night": {"left": [], "instances": 2, "migrations": 2, "seconds": 600.0},
        "done": [{"host": "c01", "run_id": "nightly__c01__x", "outcome": "done"}],
        "skipped": [{"host": "c02", "reason": "the window is over"}],
        **{key: value for key, value in given.items() if key not in ("params", "errors")},
    }
    return build_night_record(
        run={
            "dag_id": "nightly_compute_maintenance",
            "run_id": "x",
            "started_at": "2026-11-22T01:00:00+00:00",
            "params": given.get("params", {"dry_run": False}),
        },
        tasks=[
            {"task_id": name, "map_index": -1, "state": state, "seconds": 12.345678}
            for name, state in told.items()
        ],
        found=found,
        errors=given.get("errors", []),
        now=NOW,
    )


@pytest.mark.parametrize(
    ("given", "outcome"),
    [
        ({}, "partly_done"),
        ({"due": due("c01")}, "done"),
        ({"done": []}, "none_done"),
        ({"due": [], "planned": [], "done": []}, "nothing_due"),
        ({"due": [*due("c01"), OPEN]}, "partly_done"),
        ({"due": [OPEN], "planned": [], "done": []}, "none_done"),
        ({"params": {"dry_run": True}, "done": []}, "dry_run"),
        ({"states": {"maintain_host": "failed"}}, "failed"),
        ({"states": {"plan": "failed", "maintain_host": "upstream_failed"}}, "failed"),
    ],
)
def test_a_night_ends_in_one_word(given: dict[str, Any], outcome: str) -> None:
    assert record(**given)["outcome"] == outcome


def test_who_was_left_is_named_by_the_plan_and_by_the_turns() -> None:
    made = record(night={"left": [{"host": "c04", "reason": "no room"}]})

    assert made["left"] == [
        {"host": "c04", "reason": "no room"},
        {"host": "c02", "reason": "the window is over"},
    ]
    assert [each["host"] for each in made["due"]] == ["c01", "c02"]


def test_the_problem_is_what_the_hosts_said_and_how_many_said_nothing() -> None:
    said = record(states={"maintain_host": "failed", "plan": "failed"}, errors=[ERROR])["problem"]

    assert said.startswith("host c02: run nightly__c02__x did not finish it: no answer. Fix that.")
    assert said.endswith(
        "1 task ended without an error message (killed, or a worker died): plan. "
        "See the logs, then clear the run's failed tasks."
    )


def test_the_page_shows_who_was_done_and_left_and_links_the_runs() -> None:
    page = page_of(record(skipped=[{"host": "c02", "reason": "<script>"}]))

    assert "partly_done" in page
    assert 'href="../compute_host_maintenance/nightly__c01__x.html"' in page
    assert "&lt;script&gt;" in page
    assert "<td>12.3</td>" in page


def test_a_night_that_made_no_plan_says_so_on_its_page() -> None:
    tasks: dict[str, Any] = {"plan": "failed", "maintain_host": None}
    page = page_of(record(states=tasks, night={}, planned=[], done=[], skipped=[]))

    assert "<h2>Plan</h2>\n<p>None was made.</p>" in page
    assert "None migrations" not in page
    assert "<td>None</td>" not in page
    assert "<tr><th>dry_run</th><td>no</td></tr>" in page
