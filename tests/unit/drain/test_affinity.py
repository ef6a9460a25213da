"""Hard affinity groups keep their members where they are: named before anything changes."""

from __future__ import annotations

import pytest

from builders import instance, service
from openstack_maintenance.adapters.api_answers import Row
from openstack_maintenance.adapters.nova import Nova
from openstack_maintenance.domain.drain.affinity import (
    AffinityGroup,
    affinity_blockers,
    apart_blockers,
)
from openstack_maintenance.domain.nights.due import Verdict
from openstack_maintenance.domain.nights.fleet import Size
from openstack_maintenance.domain.nights.fleet_facts import FleetInCloud, compose_fleet

I1, I2, I3 = instance("i1"), instance("i2"), instance("i3")


def group(*members: str) -> AffinityGroup:
    return AffinityGroup("g1", "pair", frozenset(members))


def test_two_members_on_the_host_can_leave_neither() -> None:
    (blocker,) = affinity_blockers([I1, I2, I3], [I1, I2, I3], [group("i1", "i2")])
    assert str(blocker).startswith(
        "instances i1 (i1), i2 (i2): are in the hard affinity group pair: neither can leave "
        "without the other. "
    )
    assert "openstack server shelve --offload i1" in blocker.remedy
    assert "affinity_filter: false" in blocker.remedy


def test_of_more_members_none_can_leave() -> None:
    (blocker,) = affinity_blockers([I1, I2, I3], [I1], [group("i1", "i2", "i3")])
    assert "none can leave without the others" in blocker.reason


@pytest.mark.parametrize(
    "members",
    [(), ("i1",), ("i1", "elsewhere"), ("elsewhere", "there")],
    ids=["nobody", "one alone", "one may follow the other", "another host's"],
)
def test_other_groups_keep_nobody(members: tuple[str, ...]) -> None:
    assert affinity_blockers([I1, I2], [I1, I2], [group(*members)]) == []


def test_to_a_named_host_with_a_member_of_its_anti_affinity_group_nobody_can_go() -> None:
    apart = {"i1": "g1", "i3": "g1", "i2": "g2"}
    (blocker,) = apart_blockers([I1, I2], [I3], "c03", apart)
    assert str(blocker) == (
        "instance i1 (i1): cannot go to c03: i3 (i3) of its anti-affinity group is there. Name "
        "another destination, or leave it empty. If this cloud's scheduler does not use "
        "ServerGroupAntiAffinityFilter, write affinity_filter: false into the policy."
    )
    assert apart_blockers([I1, I2], [], "c03", apart) == []
    assert apart_blockers([I2], [I3], "c03", apart) == []


@pytest.mark.parametrize(
    ("rules", "found"),
    [
        ({}, {"i3": "g2"}),
        ({"rules": {}}, {"i3": "g2"}),
        ({"rules": {"max_server_per_host": 2}}, {}),
    ],
)
def test_a_group_that_allows_several_on_a_host_keeps_nobody_off_one(
    rules: dict[str, object], found: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    row = {"id": "g2", "name": "apart", "members": ["i3"], "policy": "anti-affinity", **rules}
    monkeypatch.setattr(Nova, "_server_groups", lambda self: [Row("groups", row)])
    assert Nova("openstack_default", {}).one_a_host_groups() == found


def test_members_that_stay_are_no_matter() -> None:
    assert affinity_blockers([I1, I2], [], [group("i1", "i2")]) == []


@pytest.mark.parametrize(
    "row",
    [
        {"policy": "affinity", "rules": {}},
        {"policies": ["affinity"]},  # before 2.64
    ],
)
def test_nova_tells_hard_groups_of_both_kinds_at_once(
    row: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [
        {"id": "g1", "name": "pair", "members": ["i1", "i2"], **row},
        {"id": "g2", "name": "apart", "members": ["i3"], "policies": ["anti-affinity"]},
        {"id": "g3", "name": "soft", "members": ["i4"], "policies": ["soft-affinity"]},
    ]
    monkeypatch.setattr(Nova, "_server_groups", lambda self: [Row("groups", each) for each in rows])
    groups = Nova("openstack_default", {}).hard_groups()
    assert groups.together == (group("i1", "i2"),)
    assert groups.apart == {"i3": "g2"}


def fleet_of(**given: object) -> FleetInCloud:
    known = {
        "services": (service("c01"), service("c02")),
        "capacities": {"c01": Size(8, 8192, 100), "c02": Size(8, 8192, 100)},
        "properties": {},
        "instances": (I1, I2),
        "groups": {},
        "together": (group("i1", "i2"),),
    }
    return FleetInCloud(**{**known, **given})  # type: ignore[arg-type]


def test_a_night_leaves_such_a_host_and_says_why() -> None:
    fleet = compose_fleet(fleet_of(), [Verdict("c01", "due", "is old")])
    assert fleet.hosts[0].keeps_out is not None
    assert "neither can leave without the other" in fleet.hosts[0].keeps_out


def test_where_the_scheduler_does_not_enforce_it_the_policy_says_so() -> None:
    verdicts = [Verdict("c01", "due", "is old")]
    assert compose_fleet(fleet_of(), verdicts, affinity_filter=False).hosts[0].keeps_out is None
