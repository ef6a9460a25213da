"""Whether nights keep up with the fleet, in one sentence."""

from __future__ import annotations

import pytest

from openstack_maintenance.domain.nights.outlook import Outlook


@pytest.mark.parametrize(
    ("outlook", "said"),
    [
        (Outlook(due=0, planned=0, fleet=50, days=30), None),
        (Outlook(due=1, planned=1, fleet=50, days=30), None),
        (
            Outlook(due=9, planned=2, fleet=50, days=30),
            "At this pace the 9 hosts that are due need 5 nights (2 a night).",
        ),
        (
            Outlook(due=9, planned=1, fleet=50, days=30),
            "At this pace the 9 hosts that are due need 9 nights (1 a night). It will not keep "
            "up: 50 hosts, each due every 30 days, need 1.7 a night. A longer window, more "
            "max_hosts_out or less reserve_hosts help.",
        ),
        (
            Outlook(due=9, planned=0, fleet=50, days=30),
            "None of the 9 hosts that are due has its turn tonight.",
        ),
    ],
)
def test_it_is_said_how_long_it_takes_and_whether_that_is_too_long(
    outlook: Outlook, said: str | None
) -> None:
    assert outlook.in_words() == said
