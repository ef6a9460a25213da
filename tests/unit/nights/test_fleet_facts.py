"""The fleet, composed from what Nova and Placement say."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from builders import instance, service
from openstack_maintenance.domain.nights.due import Verdict
from openstack_maintenance.domain.nights.fleet import FleetHost, FleetInstance, Size
from openstack_maintenance.domain.nights.fleet_facts import FleetInCloud, compose_fleet

CAPACITY = Size(vcpus=16, ram_mib=32768, disk_gib=100)
SERVICE = service(zone="az1")
INSTANCE = instance(name="web", ram_mib=2048, disk_gib=20, vcpus=2)


def facts(**given: Any) -> FleetInCloud:
    known: dict[str, Any] = {
        "services": (SERVICE,),
        "capacities": {"c01": CAPACITY},
        "properties": {"c01": frozenset({"tier=gold", "availability_zone=az1"})},
        "instances": (INSTANCE,),
        "groups": {"i1": "g"},
    }
    return FleetInCloud(**{**known, **given})


def test_a_due_host_and_its_instance_are_as_they_were_read() -> None:
    fleet = compose_fleet(facts(), [Verdict("c01", "due", "is old")])
    assert fleet.hosts == (
        FleetHost(name="c01", zone="az1", capacity=CAPACITY, is_due=True, is_open=True),
    )
    assert fleet.instances == (
        FleetInstance(
            id="i1", host="c01", size=Size(vcpus=2, ram_mib=2048, disk_gib=20), group="g"
        ),
    )


def test_who_was_left_on_an_earlier_night_is_marked_so() -> None:
    verdicts = [Verdict("c01", "due", "is old")]
    day = timedelta(days=1)
    (found, *_) = compose_fleet(facts(), verdicts, {"c01": day, "gone": day}).hosts
    assert found.left_for == day
    assert not compose_fleet(facts(), verdicts, {"c02": day}).hosts[0].left_for


@pytest.mark.parametrize("verdicts", [[], [Verdict("c01", "passed_over", "a person has it")]])
def test_who_was_not_found_due_is_not(verdicts: list[Verdict]) -> None:
    assert not compose_fleet(facts(), verdicts).hosts[0].is_due


@pytest.mark.parametrize(
    "given",
    [
        {"services": (replace(SERVICE, is_enabled=False),)},
        {"services": (replace(SERVICE, is_up=False),)},
        {"capacities": {}},
    ],
)
def test_a_host_that_is_out_or_of_unknown_capacity_takes_nothing(given: dict[str, Any]) -> None:
    assert not compose_fleet(facts(**given), []).hosts[0].is_open


@pytest.mark.parametrize(
    "given",
    [
        {"instances": (replace(INSTANCE, is_volume_backed=True),)},
        {"capacities": {"c01": replace(CAPACITY, disk_gib=0)}},
    ],
)
def test_a_disk_that_is_not_on_the_host_needs_no_room_there(given: dict[str, Any]) -> None:
    assert compose_fleet(facts(**given), []).instances[0].size == Size(
        vcpus=2, ram_mib=2048, disk_gib=0
    )


def test_a_disk_on_a_host_of_unknown_capacity_is_taken_to_be_there() -> None:
    assert compose_fleet(facts(capacities={}), []).instances[0].size == Size(
        vcpus=2, ram_mib=2048, disk_gib=20
    )


GPU, NO_GPU = "trait:CUSTOM_GPU=required", "trait:CUSTOM_GPU=forbidden"


@pytest.mark.parametrize(
    ("extra_specs", "requires", "hosts"),
    [
        ({}, set(), ["c01", "c02", "c03"]),
        ({"hw:cpu_policy": "dedicated", "resources:VGPU": "1"}, set(), ["c01", "c02", "c03"]),
        ({"trait:CUSTOM_GPU": "required"}, {GPU}, ["c01", "c02"]),
        ({"trait:CUSTOM_GPU": "forbidden"}, {NO_GPU}, ["c03"]),
        ({"trait:CUSTOM_NOWHERE": "required"}, {"trait:CUSTOM_NOWHERE=required"}, []),
        ({"aggregate_instance_extra_specs:tier": "gold"}, {"tier=gold"}, ["c01", "c03"]),
        ({"tier": "gold"}, {"tier=gold"}, ["c01", "c03"]),
        (
            {"aggregate_instance_extra_specs:tier": "<or> gold <or> tin"},
            {"tier=gold"},
            ["c01", "c03"],
        ),
        ({"aggregate_instance_extra_specs:disk": "ssd"}, set(), ["c01", "c02", "c03"]),
        (
            {"trait:CUSTOM_GPU": "required", "aggregate_instance_extra_specs:tier": "gold"},
            {GPU, "tier=gold"},
            ["c01"],
        ),
    ],
)
def test_what_a_flavor_demands_is_provided_by_the_hosts_that_have_it(
    extra_specs: dict[str, str], requires: set[str], hosts: list[str]
) -> None:
    given = facts(
        services=tuple(replace(SERVICE, host=each) for each in ("c01", "c02", "c03")),
        properties={
            "c01": frozenset({"tier=gold"}),
            "c02": frozenset({"tier=silver"}),
            "c03": frozenset({"tier=gold", "tier=silver"}),
        },
        traits={"c01": frozenset({"CUSTOM_GPU"}), "c02": frozenset({"CUSTOM_GPU", "X"})},
        instances=(replace(INSTANCE, extra_specs=extra_specs),),
    )
    fleet = compose_fleet(given, [])
    (instance,) = fleet.instances
    assert instance.requires == requires
    assert [each.name for each in fleet.hosts if instance.requires <= each.provides] == hosts


def test_an_instance_on_no_host_is_not_of_the_fleet() -> None:
    assert compose_fleet(facts(instances=(replace(INSTANCE, host=None),)), []).instances == ()


def test_a_due_host_with_an_instance_in_the_way_is_kept_out_by_name() -> None:
    stuck = replace(INSTANCE, id="i2", name="db", status="SUSPENDED", vm_state="suspended")
    both = facts(instances=(INSTANCE, stuck, replace(stuck, id="i3")))
    due = [Verdict("c01", "due", "booted 31 days ago")]

    said = compose_fleet(both, due).hosts[0].keeps_out

    assert said is not None
    assert said.startswith("instance db (i2) is SUSPENDED, which Nova cannot migrate")
    assert said.endswith(" (and 1 more in the way)")
    assert compose_fleet(both, due, on_blocked="stop").hosts[0].keeps_out is not None
    assert compose_fleet(both, []).hosts[0].keeps_out is None
    assert compose_fleet(facts(), due).hosts[0].keeps_out is None
