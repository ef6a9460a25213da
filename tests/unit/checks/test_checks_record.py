"""The record of a night's checks, its sentence, and the runbook's printed form."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from openstack_maintenance.domain.checks.record import (
    build_checks_record,
    in_runbook_form,
    what_went_wrong,
)
from openstack_maintenance.records.page import page_of

NOW = datetime(2026, 11, 22, 1, 1, tzinfo=UTC)
RUN = {
    "dag_id": "controller_checks",
    "run_id": "r1",
    "params": {},
    "started_at": "2026-11-22T01:00:00+00:00",
}


def line(name: str, verdict: str = "ok", text: str = "active", *journal: str) -> dict[str, Any]:
    return {"name": name, "verdict": verdict, "text": text, "journal": list(journal)}


def controller(host: str, *services: dict[str, Any]) -> dict[str, Any]:
    return {
        "host": host,
        "address": "10.0.0.8",
        "clock": "2026-11-22T01:00:03+00:00",
        "groups": [{"title": "Nova services", "findings": list(services)}],
        "findings": list(services),
    }


def task(task_id: str, state: str = "success", map_index: int = -1) -> dict[str, Any]:
    return {"task_id": task_id, "map_index": map_index, "state": state, "seconds": 1.0}


def error(task_id: str, subject: str, found: str, map_index: int = -1) -> dict[str, Any]:
    said = {"subject": subject, "found": found, "remedy": "Fix it."}
    return {"task_id": task_id, "map_index": map_index, **said}


def record(
    tasks: list[dict[str, Any]],
    found: dict[str, Any],
    errors: list[dict[str, Any]] | None = None,
    night: tuple[datetime, datetime] | None = None,
) -> dict[str, Any]:
    return build_checks_record(RUN, tasks, found, errors or [], NOW, night)


def green() -> dict[str, Any]:
    return record(
        [task("list_controllers"), task("check_controller", map_index=0), task("check_images")],
        {
            "check_controller": [controller("ctl01", line("nova-api"), line("nova-scheduler"))],
            "check_images": {"findings": [line("image list", text="answers")]},
        },
    )


def test_a_green_night_is_printed_as_the_runbook_does() -> None:
    found = green()
    assert (found["outcome"], found["problem"]) == ("passed", None)
    assert in_runbook_form(found).splitlines() == [
        "ctl01 at 2026-11-22T01:00:03+00:00",
        "== Nova services ==",
        "nova-api:                               active",
        "nova-scheduler:                         active",
        "the cloud",
        "== images ==",
        "image list:                             answers",
    ]


def red() -> dict[str, Any]:
    flapping = line("nova-api", "bad", "flapping", "01:00 exited <1>", "01:00 started")
    return record(
        [
            task("check_controller", "failed", 0),
            task("check_controller", "failed", 1),
            task("check_clocks", "success"),
            task("check_images", "failed"),
            task("check_token", "failed"),
            task("check_endpoints", "failed"),
            task("check_nova_services", "failed"),
        ],
        {
            "check_controller": [controller("ctl01", flapping)],
            "check_clocks": {"findings": [line("time service on ctl01", "absent", "absent")]},
            "check_nova_services": {"findings": [line("nova-compute", "bad", "down on c01")]},
        },
        [
            error("check_controller", "controller ctl01", "nova-api: flapping", 0),
            error("check_controller", "host ctl02 at 10.0.0.9:22", "nobody answers in time", 1),
            error("check_images", "cloud lab", "Keystone answers 500."),
            error("check_token", "cloud lab", "Keystone answers 500."),
            error("check_nova_services", "check_nova_services", "nova-compute: down on c01"),
        ],
    )


def test_a_red_night_says_in_one_sentence_all_that_is_wrong_and_where() -> None:
    assert red()["problem"] == (
        "controller ctl01: nova-api: flapping; "
        "host ctl02 at 10.0.0.9:22: nobody answers in time; "
        "check_images, check_token: cloud lab: Keystone answers 500; "
        "check_endpoints: it ended without an error message (killed, or its worker died); "
        "check_nova_services: nova-compute: down on c01. "
        "See the record, and include/runbooks/controller_checks.md."
    )
    assert red()["outcome"] == "failed"


def test_a_red_night_prints_the_others_too_and_the_journal_of_what_is_bad() -> None:
    printed = in_runbook_form(red())
    assert "nova-api:                               flapping\n    01:00 exited <1>\n" in printed
    assert "host ctl02 at 10.0.0.9:22: nobody answers in time" in printed
    assert "== images ==\ncheck:                                  Keystone answers 500" in printed
    assert "time service on ctl01:                  absent" in printed


def test_the_page_escapes_what_the_journal_says() -> None:
    page = page_of(red())
    assert "01:00 exited &lt;1&gt;" in page
    assert "nobody answers in time" in page
    assert 'class="outcome failed"' in page
    assert "passed" in page_of(green())
    assert "2026-11-22 01:01:00 UTC</p>" in page


def test_a_past_night_is_unknown_where_something_is() -> None:
    night = (datetime(2026, 11, 20, 1, tzinfo=UTC), datetime(2026, 11, 20, 2, tzinfo=UTC))
    seen = controller("ctl01", line("nova-api", text="active then"))
    seen.pop("clock")
    tasks = [task("check_controller", map_index=0), task("check_images", "skipped")]
    found = record(tasks, {"check_controller": [seen]}, night=night)
    assert found["outcome"] == "passed"
    printed = in_runbook_form(found)
    assert printed.startswith("ctl01 in the night 2026-11-20T01:00:00+00:00 to 2026-11-20T02")
    assert (
        "check:                                  unknown (nothing keeps a history of it)" in printed
    )
    told = "About the night 2026-11-20 01:00:00 UTC to 2026-11-20 02:00:00 UTC: only"
    assert told in page_of(found)
    seen["findings"].append(line("nova-cert", "unknown", "unknown (why)"))
    assert record(tasks, {"check_controller": [seen]}, night=night)["outcome"] == "unknown"


@pytest.mark.parametrize("state", ["success", "skipped", None])
def test_nothing_wrong_is_no_problem(state: str) -> None:
    assert what_went_wrong([task("check_images", state)], []) is None


def test_what_could_not_run_because_of_another_is_not_told_twice() -> None:
    tasks = [task("list_controllers", "failed"), task("check_controller", "upstream_failed")]
    errors = [error("list_controllers", "policy /p.yaml", "controllers: none is named")]
    assert what_went_wrong(tasks, errors) == (
        "policy /p.yaml: controllers: none is named. "
        "See the record, and include/runbooks/controller_checks.md."
    )
