"""Lengths of time as people write them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from openstack_maintenance.domain.duration import parse_duration


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("90s", timedelta(seconds=90)),
        ("15min", timedelta(minutes=15)),
        ("2h", timedelta(hours=2)),
        ("1d", timedelta(days=1)),
        (" 15 min ", timedelta(minutes=15)),
        ("0s", timedelta()),
    ],
)
def test_a_duration_has_a_number_and_a_unit(text: str, length: timedelta) -> None:
    assert parse_duration(text) == length


@pytest.mark.parametrize(
    "text",
    ["", "15", "-5s", "1.5h", "15m", "5 weeks", "s", "2h30min", "15MIN", "1e3s", "9999999999999d"],
)
def test_anything_else_is_refused_with_the_accepted_forms(text: str) -> None:
    with pytest.raises(ValueError, match="write for example 90s, 15min, 2h or 1d"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["٣s", "²s", "9" * 5000 + "s", "9" * 10 + "d", "\0", "\ud800"])
def test_digits_that_are_none_or_too_many_are_refused_like_any_other_text(text: str) -> None:
    with pytest.raises(ValueError, match="write for example") as raised:
        parse_duration(text)
    assert len(str(raised.value)) < 300


@pytest.mark.parametrize("text", ["367d", "999999999d", "999999999h"])
def test_what_no_calendar_could_hold_is_too_long(text: str) -> None:
    with pytest.raises(ValueError, match="is too long; write at most 366d"):
        parse_duration(text)
