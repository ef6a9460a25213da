"""A run's files: one name for each run id, and the one that it had before wherever it can."""

from __future__ import annotations

from itertools import combinations

import pytest

from openstack_maintenance.domain.record_name import file_name

PLAIN = [
    "manual__2026-03-10T01:00:00.123456+00:00_aB3",
    "nightly__c01.example.com__scheduled__2026-03-10T00:00:00+00:00",
    "r1",
    "a_b",
    ".hidden",
    "-x",
    "für",
    "r" * 200,
]
ODD = [
    "a/b",
    "a b",
    "a\\b",
    "../a",
    "/a",
    ".",
    "..",
    "...",
    "",
    "a\0b",
    "a\ud800b",
    "a~b",
    "~",
    "²/",
    "a\u2028b",
    "r" * 201,
    "r" * 250,
    "R" * 250,
    "修" * 100,
]


@pytest.mark.parametrize("run_id", PLAIN)
def test_a_plain_run_id_is_its_files_name_as_ever(run_id: str) -> None:
    assert file_name(run_id) == run_id


@pytest.mark.parametrize("run_id", ODD)
def test_any_other_has_a_name_that_every_file_system_takes(run_id: str) -> None:
    name = file_name(run_id)
    assert name not in ("", ".", "..")
    assert not set("/\\\0") & set(name)
    assert len(f"{name}.json.unreadable".encode()) <= 255


def test_no_two_share_one_also_where_case_does_not_count() -> None:
    made = [*ODD, "a_b", "a:b", "A/b", "a/B", file_name("a/b")]
    for one, other in combinations(made, 2):
        assert file_name(one).casefold() != file_name(other).casefold(), (one, other)
