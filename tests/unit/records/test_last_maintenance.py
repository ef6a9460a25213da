"""What is remembered between nights: who was left, in the policy's storage."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from openstack_maintenance.domain.errors import PolicyError
from openstack_maintenance.domain.policy import Policy
from openstack_maintenance.records.last_maintenance import (
    find_last_maintenances,
    find_left,
    write_last_maintenance,
    write_left,
)

NOW = datetime(2026, 11, 22, 2, 0, tzinfo=UTC)


@pytest.fixture
def policy(tmp_path: Path) -> Policy:
    return Policy(deployment="debian", records=f"file://{tmp_path}")


def left_file(tmp_path: Path) -> Path:
    return tmp_path / "nightly_compute_maintenance/hosts/left.json"


def test_before_the_first_night_nobody_was_left(policy: Policy) -> None:
    assert find_left(policy) == {}


def test_who_was_left_is_known_on_the_next_night(policy: Policy) -> None:
    write_left(policy, left=["c03", "c02"], done=["c01"], now=NOW)
    assert set(find_left(policy)) == {"c02", "c03"}


def test_who_is_done_is_forgotten_and_who_was_not_asked_about_is_not(policy: Policy) -> None:
    write_left(policy, left=["c02", "c03"], done=[], now=NOW)
    write_left(policy, left=["c04"], done=["c02"], now=NOW)
    assert set(find_left(policy)) == {"c03", "c04"}
    write_left(policy, left=[], done=[], now=NOW)  # a night on which nobody was due
    assert set(find_left(policy)) == {"c03", "c04"}
    write_left(policy, left=[], done=["c03", "c04"], now=NOW)
    assert find_left(policy) == {}


def test_the_first_night_that_left_it_is_kept(policy: Policy, tmp_path: Path) -> None:
    write_left(policy, left=["c01"], done=[], now=NOW)
    write_left(policy, left=["c01", "c02"], done=[], now=NOW + timedelta(days=1))
    assert find_left(policy) == {"c01": NOW, "c02": NOW + timedelta(days=1)}
    write_left(policy, left=[], done=["c01"], now=NOW + timedelta(days=2))
    write_left(policy, left=["c01"], done=[], now=NOW + timedelta(days=40))
    assert find_left(policy)["c01"] == NOW + timedelta(days=40)
    left_file(tmp_path).write_text('{"hosts": ["c01", "c02"]}')  # as an older release wrote it
    assert find_left(policy) == {"c01": None, "c02": None}


def test_writing_a_night_twice_changes_nothing(policy: Policy, tmp_path: Path) -> None:
    write_left(policy, left=["c02"], done=["c01"], now=NOW)
    once = left_file(tmp_path).read_bytes()
    write_left(policy, left=["c02"], done=["c01"], now=NOW)
    assert left_file(tmp_path).read_bytes() == once


@pytest.mark.parametrize("text", ["", '{"hosts": ["c0', "[]", "3", "null", '{"hosts": 3}', "{}"])
def test_a_file_that_is_cut_short_is_none_and_is_written_anew(
    policy: Policy, tmp_path: Path, text: str
) -> None:
    write_left(policy, left=["c01"], done=[], now=NOW)
    left_file(tmp_path).write_text(text)
    assert find_left(policy) == {}
    write_left(policy, left=["c02"], done=[], now=NOW)
    assert set(find_left(policy)) == {"c02"}


def test_the_records_of_years_are_not_looked_at(policy: Policy, tmp_path: Path) -> None:
    write_left(policy, left=["c02"], done=[], now=NOW)
    runs = left_file(tmp_path).parents[1]
    for night in range(50):
        (runs / f"scheduled__{night}.json").write_text("not even JSON")
    assert set(find_left(policy)) == {"c02"}


def test_it_is_no_maintenance_of_a_host(policy: Policy) -> None:
    write_left(policy, left=["c02"], done=[], now=NOW)
    write_last_maintenance(policy, "c01", {"ended_at": "2026-11-22T01:10:00+00:00"})
    assert list(find_last_maintenances(policy)) == ["c01"]


def test_storage_that_cannot_be_used_is_said_to_be(tmp_path: Path) -> None:
    (tmp_path / "records").write_text("a file where a folder should be")
    policy = Policy(deployment="debian", records=f"file://{tmp_path}/records")
    with pytest.raises(PolicyError, match="cannot be used"):
        write_left(policy, left=["c02"], done=[], now=NOW)
