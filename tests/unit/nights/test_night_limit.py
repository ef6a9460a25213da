"""What a run of a night is limited to, and names that Nova does not know."""

from __future__ import annotations

import pytest

from openstack_maintenance.domain.nights.limit import Limit


@pytest.mark.parametrize(
    ("limit", "why"),
    [
        (Limit(), None),
        (Limit(("c01", "c02"), "az1", "gold"), None),
        (Limit(("c02",)), "is not among the hosts of this run"),
        (Limit(zone="az2"), "is in zone az1, and this run is limited to az2"),
        (Limit(aggregate="red"), "is not in the aggregate red, to which this run is limited"),
    ],
)
def test_all_that_is_given_must_hold(limit: Limit, why: str | None) -> None:
    assert limit.why_outside("c01", "az1", {"gold"}) == why


def test_a_name_that_nova_does_not_know_is_refused_with_what_is_near() -> None:
    known = ({"c01", "c02"}, {"az1"}, {"gold"})
    assert Limit(("c01",), "az1", "gold").unknown(*known) == []
    found = [str(each) for each in Limit(("c01", "c2"), "az", "golf").unknown(*known)]
    assert [each.partition(". ")[0] for each in found] == [
        "param hosts: Nova has no compute host c2 (did you mean c02?)",
        "param zone: Nova has no compute host in a zone az (did you mean az1?)",
        "param aggregate: Nova has no host in an aggregate golf (did you mean gold?)",
    ]
