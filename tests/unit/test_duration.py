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
