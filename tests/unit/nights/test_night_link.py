"""From a host's run to the night that started it."""

from __future__ import annotations

import pytest

from openstack_maintenance.operators.night_link import night_of


@pytest.mark.parametrize(
    ("run_id", "night"),
    [
        (
            "nightly__c01__scheduled__2026-11-22T01:00:00+00:00",
            "scheduled__2026-11-22T01:00:00+00:00",
        ),
        ("nightly__c01.example.com__tonight", "tonight"),
        ("manual__2026-11-22T01:00:00+00:00", None),
        ("nightly", None),
        ("nightly__c01", None),
        ("", None),
    ],
)
def test_the_night_of_a_run_is_in_its_id(run_id: str, night: str | None) -> None:
    assert night_of(run_id) == night
