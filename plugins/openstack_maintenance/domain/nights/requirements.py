"""What an instance's flavor demands of its host beyond room: traits, and aggregates' metadata.

A demand is a string, ``trait:NAME=required``, ``trait:NAME=forbidden`` or, of an aggregate's
metadata, ``KEY=VALUE``. Hosts are measured only against what some instance demands.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

_TRAIT = "trait:"
# Nova's filter takes a key without a scope for one of its own, too.
_AGGREGATE_SCOPES = ("", "aggregate_instance_extra_specs")


def demands(extra_specs: Mapping[str, str], home: Collection[str]) -> frozenset[str]:
    """What a flavor's extra specs demand of a host.

    ``home``: ``KEY=VALUE`` of the aggregates of the instance's present host. What an extra spec
    with an operator (``<or>``, ``>=``, ...) means is not guessed: the next host must have all
    that this one has under the key. Where this one has nothing there, Nova does not enforce it
    (the filter is not among the enabled ones by default), and neither does the plan.
    Source: https://docs.openstack.org/nova/latest/configuration/extra-specs.html and
    AggregateInstanceExtraSpecsFilter in
    https://docs.openstack.org/nova/latest/admin/scheduling.html
    """
    return frozenset(
        demand for key, value in extra_specs.items() for demand in _demand(key, value, home)
    )


def asks_for_traits(extra_specs: Mapping[str, str]) -> bool:
    """Whether a flavor's extra specs name a trait."""
    return any(demand.startswith(_TRAIT) for demand in demands(extra_specs, ()))


def is_met(demand: str, traits: Collection[str], properties: Collection[str]) -> bool:
    """Whether a host with these traits and ``KEY=VALUE`` of its aggregates meets a demand."""
    if not demand.startswith(_TRAIT):
        return demand in properties
    name, _, kind = demand.removeprefix(_TRAIT).partition("=")
    return (name in traits) == (kind == "required")


def _demand(key: str, value: str, home: Collection[str]) -> Iterator[str]:
    scope, _, name = key.partition(":") if ":" in key else ("", "", key)
    if scope == "trait" and value in ("required", "forbidden"):
        yield f"{_TRAIT}{name}={value}"
    elif scope in _AGGREGATE_SCOPES and f"{name}={value}" in home:
        yield f"{name}={value}"
    elif scope in _AGGREGATE_SCOPES:
        yield from (each for each in home if each.startswith(f"{name}="))
