"""Text and JSON from elsewhere, as databases, files and people can take them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from openstack_maintenance.domain.errors import MaintenanceError
from openstack_maintenance.domain.foreign_text import is_one_line, quoted, shortened, storable


def nested(depth: int) -> Any:
    value: Any = "end"
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        ("plain, ä, 修, 😀", "plain, ä, 修, 😀"),
        ("a\0b", "a\ufffdb"),
        ("a\ud800", "a\ufffd"),
        ({"k\0": ["\udfff", {"x": "\0"}]}, {"k\ufffd": ["\ufffd", {"x": "\ufffd"}]}),
        ((1, 2.5, None, True), [1, 2.5, None, True]),
        (float("inf"), "inf"),
        ({1: "a"}, {"1": "a"}),
        (MaintenanceError("a", "b", "c"), "a: b. c"),
    ],
)
def test_what_is_stored_is_plain_json_of_the_same_meaning(value: Any, stored: Any) -> None:
    assert storable(value) == stored


@pytest.mark.parametrize(
    "value",
    [nested(5000), 16**9000, float("nan"), {"a": nested(900)}],
    ids=["deep", "huge", "nan", "a"],
)
def test_whatever_it_is_every_reader_of_json_takes_it(value: Any) -> None:
    json.loads(json.dumps(storable(value), allow_nan=False))


def test_what_is_cut_keeps_its_begin_and_its_end() -> None:
    assert shortened("abcdefghij", 10) == "abcdefghij"
    assert shortened("abcdefghijk", 9) == "abcd...jk"
    assert len(shortened("x" * 1_000_000, 4000)) == 4000


@pytest.mark.parametrize(
    "value",
    [nested(5000), 16**9000, "x" * 1_000_000, ["y" * 9000], "\0\n"],
    ids=["deep", "huge", "long", "list", "control"],
)
def test_a_value_is_quoted_shortly_and_on_one_line(value: Any) -> None:
    assert len(quoted(value)) < 140
    assert is_one_line(quoted(value))


@pytest.mark.parametrize("char", "\n\r\t\0\x0b\x0c\x1b\x1c\x1d\x1e\x85\u2028\u2029\ud800\x7f")
def test_a_control_character_or_line_break_is_noticed(char: str) -> None:
    assert not is_one_line(f"a{char}b")


def test_every_language_is_one_line() -> None:
    assert is_one_line("für c01 — 修复 😀\u00a0x")


def test_an_error_is_bounded_and_storable_whatever_it_is_told() -> None:
    error = MaintenanceError("host \0", "\ud800" + "x" * 1_000_000, "y" * 1_000_000)
    str(error).encode()
    assert "\0" not in str(error)
    assert len(error.found) <= 4000
    assert len(str(error)) < 20_000
