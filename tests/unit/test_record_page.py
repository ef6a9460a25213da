"""A record's page is written for people: no Python, no microseconds."""

from __future__ import annotations

from typing import Any

import pytest

from openstack_maintenance.operators.controllers_report import _PAGE as CONTROLLERS_PAGE
from openstack_maintenance.operators.record_page import page_of, shown

BEAT = "2026-03-10T01:00:01.123456+00:00"


@pytest.mark.parametrize(
    ("value", "html"),
    [
        (None, "-"),
        ("", "-"),
        ([], "-"),
        ({}, "-"),
        (True, "yes"),
        (False, "no"),
        (0, "0"),
        (1.2345, "1.2"),
        ("<b>", "&lt;b&gt;"),
        (BEAT, "2026-03-10 01:00:01 UTC"),
        ("2026-03-10T02:00:01+01:00", "2026-03-10 01:00:01 UTC"),
        (f"{BEAT} 812 DEBUG x", f"{BEAT} 812 DEBUG x"),
        (["a", "b"], "a, b"),
        ([BEAT, None], "2026-03-10 01:00:01 UTC, -"),
        (["one line", "<x>"], "<ul><li>one line</li><li>&lt;x&gt;</li></ul>"),
        (
            [{"a": 1}],
            '<ul><li><table class="inner"><tr><th>a</th><td>1</td></tr></table></li></ul>',
        ),
        (
            {"token": ["token: ok"], "<k>": {"deep": None}},
            '<table class="inner"><tr><th>token</th><td><ul><li>token: ok</li></ul></td></tr>'
            '<tr><th>&lt;k&gt;</th><td><table class="inner"><tr><th>deep</th><td>-</td></tr>'
            "</table></td></tr></table>",
        ),
    ],
)
def test_every_value_is_shown_as_people_write_it(value: Any, html: str) -> None:
    assert str(shown(value)) == html


def record(**given: Any) -> dict[str, Any]:
    return {
        "dag_id": "compute_host_maintenance",
        "run_id": "r1",
        "host": "c01",
        "outcome": "done",
        "started_at": BEAT,
        "ended_at": BEAT,
        "triggered_by": "anna",
        "problem": None,
        "notes": [],
        "asked": {"destination": None, "reboot": True, "controllers": ["ctl01", "ctl02"]},
        "would": [],
        "moves": [],
        "left": [],
        "evidence": {
            "nova_compute": {"started_by_run": False, "heartbeats": [BEAT, BEAT]},
            "script": None,
        },
        "tasks": [{"task_id": "reboot", "map_index": -1, "state": None, "seconds": None}],
        **given,
    }


UNKNOWN_MOVE = {
    "name": "web",
    "instance_id": "i1",
    "source": "c01",
    "host": None,
    "status": "DELETED",
    "method": "live",
    "seconds": None,
    "outcome": "was deleted meanwhile: nothing to move",
}


def test_a_hosts_page_has_no_python_in_it() -> None:
    page = page_of(record(moves=[UNKNOWN_MOVE]))
    for python in ("None", "True", "False", "[&#39;", "{&#39;", "123456"):
        assert python not in page
    assert "<tr><th>reboot</th><td>yes</td></tr>" in page
    assert "ctl01, ctl02" in page
    assert "2026-03-10 01:00:01 UTC, 2026-03-10 01:00:01 UTC" in page


def test_a_page_says_who_triggered_the_run_where_that_is_known() -> None:
    assert "triggered by anna" in page_of(record())
    assert "triggered by" not in page_of(record(triggered_by=None))


def test_a_dry_runs_page_shows_what_would_happen_and_no_empty_evidence() -> None:
    would = ["1. disable nova-compute on c01: [airflow x] <why>", "2. move web-1"]
    evidence = {"disabled": None, "empty": None}
    page = page_of(record(outcome="dry_run", would=would, evidence=evidence))
    assert "1. disable nova-compute on c01: [airflow x] &lt;why&gt;\n2. move web-1" in page
    assert "None was moved" not in page
    assert "Evidence" not in page


def test_a_controllers_page_shows_nested_findings_as_lists() -> None:
    evidence = {"check_controller": {"cloud": {"check_token": ["token: ok, 1 s"]}}}
    page = page_of(
        record(
            plan={},
            controllers=[{"host": "ctl01", "evidence": evidence, "before": None, "after": None}],
        ),
        CONTROLLERS_PAGE,
    )
    assert "<tr><th>check_token</th><td><ul><li>token: ok, 1 s</li></ul></td></tr>" in page
    assert "&#39;" not in page
    assert "triggered by anna" in page
