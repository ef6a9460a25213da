"""What a controller answered, as facts: recorded answers, and the clusters' older wordings."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from openstack_maintenance.domain.checks import controller_facts as facts_of
from openstack_maintenance.domain.checks.controller_facts import Broker, Cache, Database
from openstack_maintenance.domain.host.answers import Answers, parse_answers

FIXTURES = Path(__file__).parents[2] / "fixtures/controller"


def recorded(name: str) -> Answers:
    answers = parse_answers((FIXTURES / f"{name}.txt").read_text())
    assert answers is not None
    return answers


def test_a_healthy_controller_shows_broker_database_and_cache() -> None:
    answers = recorded("healthy")
    assert facts_of.parse_broker(answers) == Broker(("rabbit@ctl01",), ("rabbit@ctl01",))
    database = facts_of.parse_database(answers)
    assert database is not None
    assert database.answers
    assert database.galera["wsrep_cluster_size"] == "0"
    assert facts_of.parse_cache(answers) == Cache("1.6.18")


def test_what_does_not_run_is_not_asked() -> None:
    answers = recorded("no-database")
    assert facts_of.parse_broker(answers) == Broker(error="rabbitmq-server.service is inactive")
    assert facts_of.parse_database(answers) == Database(error="mariadb.service is inactive")


def test_a_refused_sudo_is_said() -> None:
    database = facts_of.parse_database(recorded("no-sudo"))
    assert database == Database(error="it cannot be asked: sudo: a password is required")


def test_what_a_deployment_does_not_have_is_none() -> None:
    nothing: Answers = {"end": ("ok",)}
    assert facts_of.parse_broker(nothing) is None
    assert facts_of.parse_database(nothing) is None
    assert facts_of.parse_cache(nothing) is None


@pytest.mark.parametrize(
    ("number", "name", "active", "sub", "restarts", "has_journal"),
    [
        (0, "nova-api", "active", "running", 0, False),
        (1, "nova-scheduler", "inactive", "dead", 0, True),
        (3, "placement-api", "activating", "auto-restart", 5, True),
    ],
)
def test_a_service_has_its_state_and_a_bad_one_its_journal(
    number: int, name: str, active: str, sub: str, restarts: int, has_journal: bool
) -> None:
    seen = facts_of.parse_service(recorded("broken"), number, name, f"{name}.service")
    state = seen.state
    assert (state.active_state, state.sub_state, state.n_restarts) == (active, sub, restarts)
    assert bool(seen.journal) is has_journal
    assert seen.has_restart_count
    if has_journal:
        assert all(name in line for line in seen.journal)


def test_the_time_service_that_is_masked_is_none() -> None:
    answers = recorded("healthy")
    units = [f"{name}.service" for name in ("chronyd", "chrony", "systemd-timesyncd")]
    first = 10 + 4  # after ten services; chronyd, chrony, ntpd, ntp come before
    assert facts_of.parse_time_service(answers, first, units) == ("", "")


@pytest.mark.parametrize(
    ("states", "found"),
    [
        ([("active", "enabled")], ("chronyd.service", "active")),
        ([("inactive", "enabled")], ("chronyd.service", "inactive")),
        ([("failed", "disabled")], ("chronyd.service", "failed")),
        ([("inactive", "disabled")], ("", "")),
        ([("inactive", "masked"), ("active", "enabled")], ("ntpd.service", "active")),
        ([("inactive", "enabled"), ("active", "enabled")], ("ntpd.service", "active")),
    ],
)
def test_the_unit_that_keeps_the_time(
    states: list[tuple[str, str]], found: tuple[str, str]
) -> None:
    units = ["chronyd.service", "ntpd.service"][: len(states)]
    answers: dict[str, tuple[str, ...]] = {}
    for number, (unit, (active, at_boot)) in enumerate(zip(units, states, strict=True), start=7):
        answers[f"s{number}.unit.Id"] = (unit,)
        answers[f"s{number}.unit.LoadState"] = ("loaded",)
        answers[f"s{number}.unit.ActiveState"] = (active,)
        answers[f"s{number}.unit.UnitFileState"] = (at_boot,)
    assert facts_of.parse_time_service(answers, 7, units) == found


def test_the_clock_lies_between_two_bounds() -> None:
    answers: Answers = {
        "clock": ("2026-11-22T01:00:03.000000000+0000",),
        "clock_end": ("2026-11-22T01:00:04.000000000+0000",),
        "NTPSynchronized": ("yes",),
    }
    sent = datetime(2026, 11, 22, 1, 0, 0, tzinfo=UTC)
    clock = facts_of.parse_clock_facts(
        answers, sent, sent + timedelta(seconds=1.5), ("chronyd.service", "active")
    )
    assert (clock.ahead_at_least, clock.ahead_at_most) == (2.5, 3.0)
    assert clock.synchronised is True


def broker_of(text: str, exit_status: str = "0") -> Broker | None:
    return facts_of.parse_broker(
        {"broker.exit": (exit_status,), "broker.out": tuple(text.splitlines())}
    )


def test_the_broker_before_json_is_understood() -> None:
    broker = broker_of((FIXTURES / "rabbitmq-3.6.txt").read_text())
    assert broker == Broker(
        members=("rabbit@ctl01", "rabbit@ctl02", "rabbit@ctl03"),
        running=("rabbit@ctl01", "rabbit@ctl02"),
        alarms=("rabbit@ctl02 memory",),
    )


def test_a_warning_before_the_json_does_no_harm() -> None:
    told = (
        "warning: the VM is running with native name encoding of latin1\n"
        '{"disk_nodes":["rabbit@a","rabbit@b"],"ram_nodes":[],"running_nodes":["rabbit@a"],\n'
        '"partitions":{"rabbit@a":["rabbit@b"]},"alarms":[{"node":"rabbit@a","type":"disk"}]}'
    )
    assert broker_of(told) == Broker(
        members=("rabbit@a", "rabbit@b"),
        running=("rabbit@a",),
        partitions=("rabbit@a does not see rabbit@b",),
        alarms=("rabbit@a disk",),
    )


@pytest.mark.parametrize(
    ("text", "exit_status", "error"),
    [
        ("", "124", "no answer in time"),
        ("Error: unable to connect to node rabbit@a: nodedown", "69", "nodedown"),
        ('{"running_nodes": oops', "0", "cannot be read"),
        ("nothing known", "0", "cannot be read"),
        ("", "1", "ended with status 1"),
    ],
)
def test_a_broker_that_says_nothing_usable_is_an_error(
    text: str, exit_status: str, error: str
) -> None:
    broker = broker_of(text, exit_status)
    assert broker is not None
    assert error in broker.error
    assert broker.running == ()


@pytest.mark.parametrize(
    ("lines", "exit_status", "answers", "error"),
    [
        (("1",), "0", True, ""),
        (("ERROR 2002 (HY000): Can't connect to local server",), "1", False, "ERROR 2002"),
        (("2",), "0", False, "select 1 gave"),
        ((), "124", False, "no answer in time"),
    ],
)
def test_a_database_answers_only_with_the_right_answer(
    lines: tuple[str, ...], exit_status: str, answers: bool, error: str
) -> None:
    found = facts_of.parse_database({"database.exit": (exit_status,), "database.out": lines})
    assert found is not None
    assert found.answers is answers
    assert error in found.error


@pytest.mark.parametrize("text", ["", "ERROR", "bash: connect: Connection refused"])
def test_a_cache_that_gives_no_version_does_not_answer(text: str) -> None:
    found = facts_of.parse_cache({"cache.exit": ("1",), "cache.out": (text,)})
    assert found is not None
    assert found.error


@pytest.mark.parametrize(
    "part",
    [
        {"disk_nodes": "rabbit"},
        {"disk_nodes": {"rabbit": 1}},
        {"running_nodes": [1]},
        {"running_nodes": [["rabbit"]]},
        {"running_nodes": None},
        {"partitions": "none"},
        {"partitions": {"rabbit": 5}},
        {"alarms": None},
        {"alarms": "memory"},
        {"ram_nodes": None},
    ],
)
def test_a_broker_that_answers_with_other_types_is_not_healthy(part: dict[str, Any]) -> None:
    status = {"disk_nodes": ["a"], "running_nodes": ["a"], "partitions": {}, "alarms": []}
    broker = facts_of.parse_broker(
        {"broker.exit": ("0",), "broker.out": (json.dumps({**status, **part}),)}
    )
    assert broker is not None
    assert broker.error.startswith("its answer cannot be read (")
    assert len(broker.error) < 500


@pytest.mark.parametrize(
    "text",
    [
        '{"running_nodes":' + "[" * 20_000,
        '{"running_nodes":["a"],"x":' + '{"a":' * 9_000,
        '{"running_nodes":["a"],"x":' + "9" * 5_000 + "}",
        '{"running_nodes":["a"],"x":"' + "x" * 70_000 + '"}',
        "[{nodes," + "{running_nodes,[" * 1_000,
    ],
    ids=["a deep list", "a deep object", "5,000 digits", "longer than it can be", "Erlang"],
)
def test_a_broker_whose_answer_breaks_a_parser_is_not_healthy(text: str) -> None:
    broker = facts_of.parse_broker({"broker.exit": ("0",), "broker.out": (text,)})
    assert broker is not None
    assert broker.error.startswith("its answer cannot be read (")


def test_names_of_a_broker_can_be_stored_and_read() -> None:
    status = {
        "disk_nodes": ["a\ud800\0"],
        "running_nodes": ["a\ud800\0"],
        "partitions": {"b\udfff": ["c\0"] * 5_000},
        "alarms": [{"node": "\ud800" * 5_000}],
    }
    broker = facts_of.parse_broker({"broker.exit": ("0",), "broker.out": (json.dumps(status),)})
    assert broker is not None
    said = " ".join([*broker.running, *broker.partitions, *broker.alarms])
    said.encode("utf-8")
    assert "\0" not in said
    assert len(said) < 5_000


def test_a_journal_is_kept_to_its_last_lines_and_each_to_a_length() -> None:
    lines = tuple(f"{number} {'x' * 3_000}" for number in range(300))
    seen = facts_of.parse_service({"s0.journal": lines}, 0, "nova-api", "nova-api.service")
    assert len(seen.journal) == 10
    assert seen.journal[-1].startswith("299 ")
    assert all(len(line) < 1_100 for line in seen.journal)
