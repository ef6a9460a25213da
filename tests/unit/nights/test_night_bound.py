"""What no night could do better."""

from __future__ import annotations

from datetime import timedelta

from openstack_maintenance.domain.nights.bound import Bound, bound_of
from openstack_maintenance.domain.nights.fleet import Fleet, FleetHost, FleetInstance, Size
from openstack_maintenance.domain.nights.plan import NightLimits, NightPace, NightPlan, plan_night

PACE = NightPace(
    per_host=timedelta(minutes=5), per_move=timedelta(minutes=1), per_gib=timedelta(0), in_flight=1
)


def fleet(**instances: int) -> Fleet:
    """Hosts by name with so many instances each; one without any is not due."""
    hosts = [
        FleetHost(
            name=name,
            zone="az1",
            capacity=Size(vcpus=100, ram_mib=100, disk_gib=100),
            is_due=count > 0,
        )
        for name, count in instances.items()
    ]
    there = [
        FleetInstance(id=f"{name}-{number}", host=name, size=Size(vcpus=1, ram_mib=1, disk_gib=1))
        for name, count in instances.items()
        for number in range(count)
    ]
    return Fleet(tuple(hosts), tuple(there))


def test_one_after_the_other_the_floor_is_the_sum() -> None:
    of, limits = fleet(c01=2, c02=4, c03=0), NightLimits(hosts_out=1, reserve_hosts=0)
    plan = plan_night(of, limits, PACE)
    assert bound_of(plan, of, limits, PACE) == Bound(6, timedelta(minutes=16))
    assert plan.makespan == timedelta(minutes=16)  # a spare host: the plan reaches it


def test_side_by_side_the_longest_host_counts() -> None:
    of, limits = fleet(c01=1, c02=20, c03=0, c04=0), NightLimits(hosts_out=2, reserve_hosts=0)
    plan = plan_night(of, limits, PACE)
    assert bound_of(plan, of, limits, PACE).makespan == timedelta(minutes=25)


def test_four_alike_in_three_slots_take_two_rounds() -> None:
    of, limits = fleet(c01=1, c02=1, c03=1, c04=1, c05=0), NightLimits(hosts_out=3, reserve_hosts=0)
    plan = plan_night(of, limits, PACE)
    assert bound_of(plan, of, limits, PACE).makespan == timedelta(minutes=12)


def test_a_host_that_is_left_does_not_count() -> None:
    of = fleet(c01=1, c02=20, c03=0)
    limits = NightLimits(hosts_out=1, reserve_hosts=0, time=timedelta(minutes=10))
    plan = plan_night(of, limits, PACE)
    assert [each.host for each in plan.left] == ["c02"]
    assert bound_of(plan, of, limits, PACE) == Bound(1, timedelta(minutes=6))


def test_nobody_takes_no_time() -> None:
    assert bound_of(
        NightPlan(hosts=(), left=(), instances=0), fleet(c01=0), NightLimits(), PACE
    ) == Bound(0, timedelta(0))
