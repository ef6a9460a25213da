"""A record's page is written for people: no Python, no microseconds."""

from __future__ import annotations

from typing import Any

import pytest

from openstack_maintenance.domain.record_name import file_name
from openstack_maintenance.records.page import PAGES, page_of, shown

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


def test_a_hosts_page_tells_the_steps_of_a_move_that_took_more_than_one() -> None:
    start = {"at": "2026-03-10T01:02:03+00:00", "step": "start_live", "why": "first try"}
    late = {**start, "step": "abort", "why": "is running for longer than 1600 s"}
    page = page_of(record(moves=[UNKNOWN_MOVE | {"steps": [start, late]}]))
    assert "<li>2026-03-10T01:02:03+00:00 abort: is running for longer than 1600 s</li>" in page
    assert "first try" not in page_of(record(moves=[UNKNOWN_MOVE | {"steps": [start]}]))


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
        "controllers",
    )
    assert "<tr><th>check_token</th><td><ul><li>token: ok, 1 s</li></ul></td></tr>" in page
    assert "&#39;" not in page
    assert "triggered by anna" in page


# A tenant calls an instance whatever it likes.
LIKE_TIMES = [
    "2026-13-01T00:00:00Z",
    "9999-12-31T23:59:59-14:00",
    "0001-01-01T00:00:00+14:00",
    "2026-02-30 00:00:00Z",
    "2026-01-01T25:00:00Z",
    "٢٠٢٦-01-01T00:00:00Z",
]


@pytest.mark.parametrize("name", LIKE_TIMES)
def test_a_name_that_looks_like_a_time_and_is_none_is_shown_as_it_is(name: str) -> None:
    assert str(shown(name)) == name
    assert str(shown([name, {name: name}])).count(name) == 3
    moved = {**UNKNOWN_MOVE, "name": name, "status": name}
    assert page_of(record(moves=[moved], started_at=name)).count(name) == 3


NOT_A_RECORD: list[Any] = [None, 1, [1], {}, "x", {"host": "<b>"}, record(tasks=5, moves="<b>")]


@pytest.mark.parametrize("kind", sorted(PAGES.values()))
@pytest.mark.parametrize("given", NOT_A_RECORD, ids=range(len(NOT_A_RECORD)))
def test_a_record_of_another_shape_is_shown_as_it_is(given: Any, kind: str) -> None:
    page = page_of(given, kind)
    assert page.rstrip().endswith("</html>")
    assert "<b>" not in page


def test_no_value_can_be_markup_and_no_value_is_what_cannot_be_written() -> None:
    page = page_of(record(host="<script>a</script>\0\ud800", run_id='"><img src=x>'))
    page.encode("utf-8")
    assert "<script>" not in page
    assert "<img" not in page
    assert "\0" not in page


def test_a_night_links_to_the_file_of_each_run() -> None:
    done = [{"host": "c01", "run_id": "nightly__c01__a/b", "outcome": "done"}]
    page = page_of(
        record(planned=[], due=[], done=done, bound={"migrations": None, "instances": 0}), "night"
    )
    assert f"../compute_host_maintenance/{file_name('nightly__c01__a/b')}.html" in page
