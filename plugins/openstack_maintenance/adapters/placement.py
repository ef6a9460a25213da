"""Placement: which hosts have room, how much may be allocated on each, and what holds it.

Source: https://docs.openstack.org/api-ref/placement/#allocation-candidates and
https://docs.openstack.org/api-ref/placement/#resource-provider-inventories
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from openstack.exceptions import raise_from_response

from openstack_maintenance.adapters.api_answers import Row, body_of, object_in, texts_in
from openstack_maintenance.domain.cloud import SHUT
from openstack_maintenance.domain.drain.capacity import Need
from openstack_maintenance.domain.nights.fleet import Size

Fact = TypeVar("Fact")
Json = Mapping[str, Any]

# Forbidden traits exist from 1.22 (Rocky) on; before it Placement does not know disabled hosts.
_FORBIDS_TRAITS = (1, 22)
_OLDEST = "1.17"
# What candidates are told of holds every kind of resource, asked for or not, from 1.27 (Rocky) on.
_TELLS_ALL_KINDS = (1, 27)
# Placement tells inventories and traits of one provider at a time.
_AT_A_TIME = 8


def providers_with_room(placement: Any, need: Need) -> frozenset[str]:
    """Ids of the resource providers that can take ``need`` now.

    ``placement``: openstacksdk's proxy; its errors are the caller's to translate.
    """
    amounts = {"VCPU": need.vcpus, "MEMORY_MB": need.ram_mib, "DISK_GB": need.disk_gib}
    wanted = ",".join(f"{name}:{amount}" for name, amount in amounts.items() if amount)
    newest = _newest(placement)
    query, microversion = {"resources": wanted}, _OLDEST
    if newest is not None and newest >= _FORBIDS_TRAITS:
        query["required"], microversion = f"!{SHUT}", "1.22"
    answer = placement.get("/allocation_candidates", params=query, microversion=microversion)
    raise_from_response(answer)
    return frozenset(object_in(body_of(answer), "provider_summaries"))


def _newest(placement: Any) -> Any:
    """Its newest microversion, as a pair of numbers; None where it does not say."""
    endpoint = placement.get_endpoint_data()
    return endpoint.max_microversion if endpoint else None


def capacities_of(placement: Any, provider_ids: Iterable[str]) -> dict[str, Size]:
    """What may be allocated on each resource provider, by id; ratios and reservations applied.

    One that has no inventory of a kind (disks on shared storage) has 0 of it. One that Placement
    does not have (a compute service that is new, or about to go) is left out. One request for all
    that have a MiB of RAM free, and one for each of the others.
    """

    def capacity(provider_id: str) -> Size | None:
        answer = _of_provider(placement, provider_id, "inventories")
        if answer is None:
            return None
        return _size(Row("inventories", object_in(answer, "inventories")), _usable)

    def told(candidate: Json) -> Size:
        return _size(Row("provider_summaries", candidate).part("resources"), _capacity)

    return _of_all(placement, provider_ids, told, capacity)


def _size(of: Row, amount: Callable[[Row], int]) -> Size:
    kinds = ("VCPU", "MEMORY_MB", "DISK_GB")
    return Size(*(amount(of.part(kind)) if of.has(kind) else 0 for kind in kinds))


def _capacity(told: Row) -> int:
    return told.number("capacity")


def traits_of(placement: Any, provider_ids: Iterable[str]) -> dict[str, frozenset[str]]:
    """The traits of each resource provider, by id; one that Placement does not have is left out.

    Asked for as `capacities_of` does. Traits of nested providers (a GPU of its own inventory) are
    not among them.
    Source: https://docs.openstack.org/api-ref/placement/#resource-provider-traits (from 1.6 on)
    """

    def traits(provider_id: str) -> frozenset[str] | None:
        answer = _of_provider(placement, provider_id, "traits")
        return None if answer is None else frozenset(texts_in(answer, "traits"))

    def told(candidate: Json) -> frozenset[str]:
        return frozenset(texts_in(candidate, "traits"))

    return _of_all(placement, provider_ids, told, traits)


def consumers_of(placement: Any, provider_id: str) -> frozenset[str] | None:
    """Ids of what holds room on a resource provider; None where Placement does not have it.

    Instances, and migrations while they hold room on the host that they leave.
    Source: https://docs.openstack.org/api-ref/placement/#resource-provider-allocations
    """
    answer = _of_provider(placement, provider_id, "allocations")
    if answer is None:
        return None
    return frozenset(texts_in({"ids": list(object_in(answer, "allocations"))}, "ids"))


def _of_provider(placement: Any, provider_id: str, what: str) -> dict[str, Any] | None:
    answer = placement.get(f"/resource_providers/{provider_id}/{what}", microversion=_OLDEST)
    # Placement names the provider that it does not have; any other 404 is not Placement's.
    if answer.status_code == 404 and provider_id in answer.text:
        return None
    raise_from_response(answer)
    return body_of(answer)


def _of_all(
    placement: Any,
    provider_ids: Iterable[str],
    told: Callable[[Json], Fact],
    ask: Callable[[str], Fact | None],
) -> dict[str, Fact]:
    """Of each resource provider what is ``told`` of candidates; who is none of them is asked."""
    wanted, candidates = list(provider_ids), _candidates(placement)
    found = {each: told(candidates[each]) for each in wanted if each in candidates}
    return found | _of_each([each for each in wanted if each not in found], ask)


def _candidates(placement: Any) -> dict[str, Json]:
    """All that have a MiB of RAM free, by id; disabled hosts, too."""
    newest = _newest(placement)
    if newest is None or newest < _TELLS_ALL_KINDS:
        return {}
    query = {"resources": "MEMORY_MB:1"}
    answer = placement.get("/allocation_candidates", params=query, microversion="1.27")
    raise_from_response(answer)
    summaries = object_in(body_of(answer), "provider_summaries")
    return {each: object_in(summaries, each) for each in summaries}


def _of_each(ids: Iterable[str], read: Callable[[str], Fact | None]) -> dict[str, Fact]:
    known = list(ids)
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        found = zip(known, pool.map(read, known), strict=True)
        return {each: fact for each, fact in found if fact is not None}


def _usable(inventory: Row) -> int:
    free = inventory.number("total") - inventory.number("reserved")
    return max(0, int(free * inventory.ratio("allocation_ratio")))
