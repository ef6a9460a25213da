"""A run's files in the records: whole or not there, its own, and readable by whoever comes next."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from openstack_maintenance.domain.checks.service_rules import LastCheck
from openstack_maintenance.domain.errors import PolicyError, RecordUnreadable
from openstack_maintenance.domain.policy import Policy
from openstack_maintenance.domain.record_name import file_name
from openstack_maintenance.records.last_check import find_last_check, write_last_checks
from openstack_maintenance.records.last_maintenance import find_last_maintenances
from openstack_maintenance.records.store import (
    find_note,
    find_record,
    has_done,
    write_note,
    write_record,
)

DAG = "compute_host_maintenance"
DONE = {"dag_id": DAG, "run_id": "r1", "outcome": "done", "host": "c01"}
SEEN = {"boot_id": "b", "clock": "2026-11-22T01:00:00+00:00", "restarts": {"nova-api": 2}}

UNREADABLE: dict[str, bytes | None] = {
    "null": b"null",
    "a number": b"1",
    "a list": b"[1]",
    "another object": b"{}",
    "an outcome that is none": b'{"outcome": {}}',
    "nested without end": b"[" * 100_000,
    "cut short": b'{"outcome": "do',
    "empty": b"",
    "not UTF-8": b"\xff",
    "NUL": b"\0",
    "a number of 5,000 digits": b"1" * 5000,
    "a folder": None,
}
each_unreadable = pytest.mark.parametrize("content", UNREADABLE.values(), ids=UNREADABLE)


@pytest.fixture
def policy(tmp_path: Path) -> Policy:
    return Policy(records=f"file://{tmp_path}")


def place(path: Path, content: bytes | None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    return path


@each_unreadable
def test_a_record_that_cannot_be_read_is_named_and_its_run_is_not_done_again(
    policy: Policy, tmp_path: Path, content: bytes | None
) -> None:
    path = place(tmp_path / DAG / "r1.json", content)
    for ask in (find_record, has_done):
        with pytest.raises(RecordUnreadable) as caught:
            ask(policy, DAG, "r1")
        assert str(path) in caught.value.subject
        assert "remove it" in caught.value.remedy


@each_unreadable
def test_it_is_put_aside_when_the_run_ends_and_named_until_a_person_has_decided(
    policy: Policy, tmp_path: Path, content: bytes | None
) -> None:
    path = place(tmp_path / DAG / "r1.json", content)
    write_record(policy, {**DONE, "outcome": "failed"})
    found = find_record(policy, DAG, "r1")
    assert found is not None
    assert found["outcome"] == "failed"
    with pytest.raises(RecordUnreadable, match=r"r1\.json\.unreadable"):
        has_done(policy, DAG, "r1")

    path.with_name("r1.json.unreadable").replace(tmp_path / "removed")
    assert has_done(policy, DAG, "r1") is False


def test_a_record_is_written_at_once_or_not_at_all(
    policy: Policy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_record(policy, DONE)

    def die(self: Path, target: Path) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(Path, "replace", die)
    with pytest.raises(PolicyError, match="no space left"):
        write_record(policy, {**DONE, "outcome": "failed"})
    assert has_done(policy, DAG, "r1")
    assert [each.name for each in (tmp_path / DAG).iterdir()] == ["r1.json"]


def test_runs_of_like_names_have_records_of_their_own(policy: Policy) -> None:
    names = ["a/b", "a_b", "a b", "..", "", "x" * 250, "x" * 249 + "/"]
    for name in names:
        write_record(policy, {**DONE, "run_id": name})
        write_note(policy, DAG, name, "turn", {"of": name})
    for name in names:
        assert (find_record(policy, DAG, name) or {})["run_id"] == name
        assert find_note(policy, DAG, name, "turn") == {"of": name}


def test_an_older_releases_record_of_an_odd_name_is_still_found(
    policy: Policy, tmp_path: Path
) -> None:
    place(tmp_path / DAG / "a_b.json", json.dumps({**DONE, "run_id": "a/b"}).encode())
    assert has_done(policy, DAG, "a/b")
    assert find_record(policy, DAG, "a b") is None


def test_a_file_that_is_another_runs_is_neither_taken_for_ones_own_nor_overwritten(
    policy: Policy, tmp_path: Path
) -> None:
    """As on a store that does not tell upper from lower case."""
    path = place(tmp_path / DAG / "r1.json", json.dumps({**DONE, "run_id": "R1"}).encode())
    ways: list[Callable[[], Any]] = [
        lambda: has_done(policy, DAG, "r1"),
        lambda: write_record(policy, DONE),
    ]
    for way in ways:
        with pytest.raises(RecordUnreadable, match="the record of another run, 'R1'"):
            way()
    assert json.loads(path.read_text())["run_id"] == "R1"


def test_what_no_file_takes_is_replaced_in_a_record(policy: Policy, tmp_path: Path) -> None:
    write_record(policy, {**DONE, "host": "c\0\ud800", "deep": {"\udfff": float("nan")}})
    text = (tmp_path / DAG / "r1.json").read_text(encoding="utf-8")
    assert json.loads(text, parse_constant=pytest.fail)["host"] == "c\ufffd\ufffd"
    assert has_done(policy, DAG, "r1")


@each_unreadable
def test_a_note_that_cannot_be_read_is_named(
    policy: Policy, tmp_path: Path, content: bytes | None
) -> None:
    path = place(tmp_path / DAG / "notes" / "r1.turn.json", content)
    try:
        find_note(policy, DAG, "r1", "turn")  # any JSON at all is for its reader to judge
    except RecordUnreadable as error:
        assert str(path) in error.subject


LAST_CHECKS: list[Any] = [
    b"null",
    b"[1]",
    b'{"ctl01": null}',
    b'{"ctl01": [1]}',
    b'{"ctl01": {"boot_id": "b"}}',
    b'{"ctl01": {"boot_id": "b", "clock": "2026-13-01T00:00:00Z", "restarts": {}}}',
    b'{"ctl01": {"boot_id": "b", "clock": "2026-11-22T01:00:00", "restarts": {}}}',
    b'{"ctl01": {"boot_id": "b", "clock": 5, "restarts": {}}}',
    b'{"ctl01": {"boot_id": 5, "clock": "2026-11-22T01:00:00Z", "restarts": {}}}',
    b'{"ctl01": {"boot_id": "b", "clock": "2026-11-22T01:00:00Z", "restarts": [1]}}',
]


@pytest.mark.parametrize("content", [*UNREADABLE.values(), *LAST_CHECKS])
def test_a_last_check_that_cannot_be_used_is_as_none_and_written_anew(
    policy: Policy, tmp_path: Path, content: bytes | None
) -> None:
    place(tmp_path / "controller_checks/last_check.json", content)
    assert find_last_check(policy, "ctl01") == LastCheck()
    if content is not None:
        write_last_checks(policy, {"ctl02": SEEN})
        assert find_last_check(policy, "ctl02").restarts == {"nova-api": 2}


def test_one_that_cannot_be_used_does_not_cost_the_others(policy: Policy, tmp_path: Path) -> None:
    content = json.dumps({"ctl01": 5, "ctl02": SEEN}).encode()
    place(tmp_path / "controller_checks/last_check.json", content)
    assert find_last_check(policy, "ctl02").boot_id == "b"


@pytest.mark.parametrize(
    "content",
    [
        *UNREADABLE.values(),
        b'{"ended_at": 5}',
        b'{"ended_at": "2026-13-01T00:00:00Z"}',
        b'{"ended_at": "2026-11-22T01:10:00"}',
    ],
)
def test_a_last_maintenance_that_cannot_be_used_is_as_none(
    policy: Policy, tmp_path: Path, content: bytes | None
) -> None:
    folder = tmp_path / DAG / "hosts"
    place(folder / "c01.json", content)
    place(folder / "c02.json", b'{"ended_at": "2026-11-22T01:10:00+00:00"}')
    assert list(find_last_maintenances(policy)) == ["c02"]


@pytest.mark.parametrize("url", ["nonsense://x", "data:,x", "C:/x", "s3://bucket/x"])
def test_a_storage_that_there_is_not_is_said(url: str) -> None:
    with pytest.raises(PolicyError, match="cannot be used"):
        find_record(Policy(records=url), DAG, "r1")


def test_a_pipe_in_a_records_place_is_not_waited_for(policy: Policy, tmp_path: Path) -> None:
    (tmp_path / DAG).mkdir()
    os.mkfifo(tmp_path / DAG / f"{file_name('r1')}.json")
    with pytest.raises(RecordUnreadable, match="not a regular file"):
        has_done(policy, DAG, "r1")
