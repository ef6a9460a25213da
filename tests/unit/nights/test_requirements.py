"""What a flavor demands of a host, and which host meets it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from openstack_maintenance.domain.nights.requirements import asks_for_traits, demands, is_met

SCOPED = "aggregate_instance_extra_specs:ssd"

# The case, the extra specs, KEY=VALUE of the aggregates of the present host, the demands.
FLAVORS: list[tuple[str, dict[str, str], set[str], set[str]]] = [
    ("nothing", {}, {"ssd=true"}, set()),
    ("a required trait", {"trait:HW_CPU_AVX2": "required"}, set(), {"trait:HW_CPU_AVX2=required"}),
    ("a forbidden trait", {"trait:CUSTOM_OLD": "forbidden"}, set(), {"trait:CUSTOM_OLD=forbidden"}),
    ("a trait of another kind", {"trait:CUSTOM_OLD": "maybe"}, set(), set()),
    ("a scoped key that the host has", {SCOPED: "true"}, {"ssd=true"}, {"ssd=true"}),
    ("a key without a scope", {"ssd": "true"}, {"ssd=true"}, {"ssd=true"}),
    ("a value with an equals sign", {"ssd": "a=b"}, {"ssd=a=b"}, {"ssd=a=b"}),
    ("one of several aggregates", {"ssd": "true"}, {"ssd=true", "ssd=false"}, {"ssd=true"}),
    ("an operator", {SCOPED: "<or> a <or> b"}, {"ssd=a", "gpu=a"}, {"ssd=a"}),
    ("an operator, several aggregates", {SCOPED: "<in> a"}, {"ssd=a", "ssd=b"}, {"ssd=a", "ssd=b"}),
    ("an operator, another key's beginning", {"ssd": "<or> a"}, {"ssd2=a", "ss=a"}, set()),
    ("what Nova does not enforce here", {SCOPED: "true"}, {"gpu=true"}, set()),
    ("another scope", {"hw:cpu_policy": "dedicated"}, {"cpu_policy=dedicated"}, set()),
    (
        "several",
        {"trait:A": "required", "trait:B": "forbidden", "ssd": "true"},
        {"ssd=true"},
        {"trait:A=required", "trait:B=forbidden", "ssd=true"},
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("extra_specs", "home", "demanded"), [pytest.param(*row[1:], id=row[0]) for row in FLAVORS]
)
def test_what_a_flavor_demands(
    extra_specs: Mapping[str, str], home: set[str], demanded: set[str]
) -> None:
    assert demands(extra_specs, home) == demanded


@pytest.mark.parametrize(
    ("extra_specs", "asks"),
    [
        ({"trait:HW_CPU_AVX2": "required"}, True),
        ({"trait:CUSTOM_OLD": "forbidden", "ssd": "true"}, True),
        ({"trait:CUSTOM_OLD": "maybe"}, False),
        ({"ssd": "true", "hw:cpu_policy": "dedicated"}, False),
        ({}, False),
    ],
)
def test_which_flavor_asks_for_traits(extra_specs: Mapping[str, str], asks: bool) -> None:
    assert asks_for_traits(extra_specs) is asks


@pytest.mark.parametrize(
    ("demand", "traits", "properties", "met"),
    [
        ("trait:A=required", {"A", "B"}, set(), True),
        ("trait:A=required", {"B"}, set(), False),
        ("trait:A=required", set(), {"trait:A=required"}, False),
        ("trait:A=forbidden", {"B"}, set(), True),
        ("trait:A=forbidden", {"A"}, set(), False),
        ("ssd=true", set(), {"ssd=true", "gpu=a"}, True),
        ("ssd=true", set(), {"ssd=false"}, False),
        ("ssd=true", {"ssd=true"}, set(), False),
    ],
)
def test_which_host_meets_a_demand(
    demand: str, traits: set[str], properties: set[str], met: bool
) -> None:
    assert is_met(demand, traits, properties) is met
