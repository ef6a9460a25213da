"""What a nightly run was asked, and which night it is about."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from openstack_maintenance.domain.nights.request import (
    NightRequest,
    check_night_params,
    night_began,
    read_night_request,
)
from openstack_maintenance.domain.window import Window

BERLIN = Window("01:00", "02:00", "Europe/Berlin")


def utc(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({}, []),
        ({"dry_run": True, "ignore_window": True, "reason": "now"}, []),
        ({"ignore_window": True}, ["param ignore_window: is set without a reason"]),
        ({"dry_run": "true"}, ["param dry_run: 'true' is not a choice"]),
        ({"reason": ["x"]}, ["param reason: ['x'] is not a string"]),
        ({"reason": "a\0"}, ["param reason: 'a\\x00' holds a line break or another control"]),
        ({"reason": "x" * 151}, ["param reason: has 151 characters"]),
        ({"hosts": ["c01"], "zone": "az1", "aggregate": "gold", "at_most": 3}, []),
        ({"script": "patch.sh", "hosts": None, "at_most": None}, []),
        ({"script": "x.sh"}, ["param script: 'x.sh' is not in include/scripts (there: patch.sh)"]),
        ({"hosts": "c01"}, ["param hosts: 'c01' is not a list"]),
        ({"hosts": ["c01", "a b", 3]}, ["param hosts: 'a b' is not a", "param hosts: 3 is not a"]),
        ({"zone": 3}, ["param zone: 3 is not a string"]),
        ({"at_most": 0}, ["param at_most: 0 is no number of hosts"]),
        ({"at_most": True}, ["param at_most: True is no number of hosts"]),
        ({"at_most": "2"}, ["param at_most: '2' is no number of hosts"]),
        ({"dryrun": True}, ["param dryrun: this DAG has no such param (did you mean dry_run?)"]),
    ],
)
def test_a_bad_param_is_named(params: dict[str, Any], said: list[str]) -> None:
    found = [
        str(each) for each in check_night_params(params, read_night_request(params), ["patch.sh"])
    ]
    assert len(found) == len(said)
    assert all(text.startswith(start) for text, start in zip(found, said, strict=True))


def test_a_text_for_yes_is_not_yes() -> None:
    assert read_night_request({"dry_run": "false", "reason": None}) == NightRequest()


@pytest.mark.parametrize(
    ("logical_date", "began", "since"),
    [
        (utc(22, 0, 0), utc(22, 0, 1), utc(22, 0)),  # 01:00 in Berlin, as scheduled
        (utc(10, 0, 0), utc(22, 14), utc(10, 0)),  # backfilled by day
        (None, utc(22, 0, 30), utc(22, 0)),  # by hand, in the window
        (None, utc(22, 14), utc(22, 14)),  # by hand, outside of it
    ],
)
def test_a_night_begins_with_its_window(
    logical_date: datetime | None, began: datetime, since: datetime
) -> None:
    assert night_began(BERLIN, logical_date, began) == since
