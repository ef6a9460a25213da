"""What the benchmark counts: requests in nova-api's log, and worker slots while something moves."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from maintenance_bench.api_log import ApiRequest, counted, first_migration, parse
from maintenance_bench.dag import Look, Watched, slots_held
from maintenance_bench.errors import BenchError
from maintenance_bench.measured import Unfinished
from maintenance_bench.observer import OBSERVER_ID, Sample
from maintenance_bench.report import write_json

SERVER = "0b90e7e8-04de-418a-bf06-4952f4b780f4"


def line(request: str, ids: str = "None req-1 044cf3 da89b7 - - default default") -> str:
    return (
        "2026-11-22 13:05:08.811 263 INFO nova.api.openstack.requestlog "
        f'[{ids}] 172.31.244.1 "{request}" status: 200 len: 15 microversion: 2.79 time: 0.075058'
    )


@pytest.mark.parametrize(
    ("given", "what"),
    [
        (line(f"POST /v2.1/servers/{SERVER}/action"), "POST /v2.1/servers/{id}/action"),
        (line("GET /v2.1/servers/bench-01"), "GET /v2.1/servers/{id}"),
        (line("GET /v2.1/servers/detail?host=c01"), "GET /v2.1/servers/detail"),
        (line("GET /v2.1/os-migrations?changes-since=x"), "GET /v2.1/os-migrations"),
        (line("GET /v2.1/"), "GET /v2.1"),
        (line("GET /"), "GET /"),
        # What needs no login is logged with the ids of whoever asked before.
        (line("GET /v2.1", f"{OBSERVER_ID} req-2 x"), "GET /v2.1"),
    ],
)
def test_a_request_is_counted_by_what_it_asks(given: str, what: str) -> None:
    assert counted(parse([given])) == {what: 1}


@pytest.mark.parametrize(
    "given",
    [
        line("GET /v2.1/os-migrations", f"{OBSERVER_ID} req-2 044cf3"),
        "2026-11-22 13:05:08.811 263 INFO nova.compute.api [None req-1] Going to migrate",
        "Traceback (most recent call last):",
    ],
)
def test_the_observer_and_other_lines_are_not_counted(given: str) -> None:
    assert counted(parse([given])) == {}


def test_the_drain_begins_with_the_first_migration_that_is_asked_for() -> None:
    asked = [ApiRequest(1.0, "GET", "/v2.1/os-migrations")]
    assert first_migration(asked) is None
    action = "POST", "/v2.1/servers/{id}/action"
    asked += [ApiRequest(2.0, *action, 400)]  # whether it may be asked for
    assert first_migration(asked) is None
    asked += [ApiRequest(at, *action, 202) for at in (3.0, 2.5)]
    assert first_migration(asked) == 2.5


def test_a_request_is_read_with_its_answer() -> None:
    assert [each.status for each in parse([line("GET /v2.1/")])] == [200]


def test_a_task_that_holds_a_slot_again_after_it_was_deferred_is_held_against_the_dag(
    tmp_path: Path,
) -> None:
    watched = Watched(tmp_path, "run")
    task = ("migrate_instance", 0)
    for state in ("running", "deferred", "running"):
        watched.note_slots({task: state, ("list_arrivals", -1): "running"})
    assert [(look.starting, look.waiting) for look in watched.looks] == [(1, 0), (0, 0), (0, 1)]


def test_slots_count_only_while_something_moves() -> None:
    looks = [Look(0.0, 9, 0), Look(2.0, 3, 0), Look(3.0, 0, 1), Look(9.0, 0, 7)]
    samples = [Sample(at, moving, 0, 0, 0) for at, moving in ((0.0, 0), (1.0, 1), (4.0, 1))]
    assert slots_held(looks, samples) == {
        "looks_while_migrating": 2,
        "held_while_waiting": 1,
        "held_while_starting": 3,
        "starting_until": 1.0,
    }


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (BenchError("the host was not empty after 330 s."), "the host was not empty after 330 s."),
        (subprocess.TimeoutExpired(["nova"], 330), "its command did not end within 330 s"),
    ],
)
def test_a_tool_that_does_not_finish_is_a_result_of_its_own(error: Any, why: str) -> None:
    assert Unfinished.of("evacuate", 20, 1, error) == Unfinished("evacuate", 20, 1, why)


def test_what_did_not_finish_stands_in_the_results(tmp_path: Path) -> None:
    left = Unfinished("evacuate", 20, 1, "the host was not empty after 330 s.")
    write_json(tmp_path / "bench.json", [], {"seconds": 10.0}, [left])
    found = json.loads((tmp_path / "bench.json").read_text())
    assert found["unfinished"] == [
        {"way": "evacuate", "instances": 20, "in_flight": 1, "why": left.why}
    ]
    assert str(left) == "evacuate, 20 instances, 1 in flight: the host was not empty after 330 s."
