"""How Placement and Nova are asked who holds room on a host, and which hypervisor is the host's."""

from __future__ import annotations

import json
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest

from builders import NOW, instance, migration
from openstack_maintenance.adapters.api_answers import Unreadable
from openstack_maintenance.adapters.cloud_errors import NotThere, Refused
from openstack_maintenance.adapters.nova import Nova
from openstack_maintenance.adapters.placement import consumers_of
from openstack_maintenance.domain.cloud import Hypervisor, Instance, Migration

PROVIDER = "4c8d95dd-fefa-5f8a-a953-f86694cabc46"


class Placement:
    """Placement's proxy; ``body`` is what it answers."""

    def __init__(self, body: Any, status: int = 200) -> None:
        self.body, self.status = json.dumps(body), status
        self.asked: list[str] = []

    def get(self, path: str, **given: Any) -> Any:
        self.asked.append(path)
        return SimpleNamespace(
            status_code=self.status, text=self.body, content=self.body.encode(), headers={}
        )


def test_consumers_are_the_keys_of_the_providers_allocations() -> None:
    placement = Placement(
        {"allocations": {"i1": {"resources": {"VCPU": 1}}, "m1": {"resources": {"VCPU": 2}}}}
    )
    assert consumers_of(placement, PROVIDER) == {"i1", "m1"}
    assert placement.asked == [f"/resource_providers/{PROVIDER}/allocations"]


def test_no_allocation_is_an_empty_answer_and_no_provider_is_none() -> None:
    assert consumers_of(Placement({"allocations": {}}), PROVIDER) == frozenset()
    gone = {"errors": [{"detail": f"No resource provider with uuid {PROVIDER} found"}]}
    assert consumers_of(Placement(gone, 404), PROVIDER) is None


@pytest.mark.parametrize("body", [{}, {"allocations": []}, {"allocations": None}, []])
def test_an_answer_of_another_shape_is_no_empty_host(body: Any) -> None:
    with pytest.raises(Unreadable):
        consumers_of(Placement(body), PROVIDER)


class Asked(Nova):
    """Nova with its answers in hand. ``rows``: the hypervisors; ``patterns``: what was asked."""

    def __init__(self, rows: list[Hypervisor] | None = None) -> None:
        super().__init__("openstack_default", {})
        self.rows = rows or []
        self.patterns: list[str | None] = []
        self.servers: dict[str, Instance] = {}
        self.moves: list[Migration] = []
        self.waiting: list[Migration] = []

    def _hypervisors(self, query: Any) -> list[Hypervisor]:
        pattern = query.get("hypervisor_hostname_pattern")
        self.patterns.append(pattern)
        found = [each for each in self.rows if pattern is None or pattern in each.hostname]
        if not found and pattern is not None:
            raise NotThere("compute API", "No hypervisor matching", "Check the name or id.")
        return found

    def migrations(self, changes_since: datetime) -> list[Migration]:
        return self.moves

    def unconfirmed(self, host: str) -> list[Migration]:
        return self.waiting

    def find_instance(self, instance_id: str) -> Instance | None:
        return self.servers.get(instance_id)


def test_each_consumer_is_looked_up_as_a_migration_then_as_an_instance() -> None:
    nova = Asked()
    half = migration(7, "finished", uuid="m7", instance_id="i7", kind="resize")
    nova.waiting = [half]
    nova.servers = {"i7": instance("i7", "VERIFY_RESIZE", host="c02"), "i8": instance("i8")}
    found = nova.holders({"m7", "i8", "dead"}, "c01", NOW)
    assert [(each.id, each.instance and each.instance.id, each.migration) for each in found] == [
        ("dead", None, None),
        ("i8", "i8", None),
        ("m7", "i7", half),
    ]


def test_nobody_is_looked_up_where_nobody_holds_room() -> None:
    assert Asked().holders((), "c01", NOW) == []


def test_a_host_that_placement_does_not_know_is_not_taken_for_empty(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    nova = Asked()
    monkeypatch.setattr(Nova, "_cloud", SimpleNamespace(placement=None))
    monkeypatch.setattr(
        "openstack_maintenance.adapters.nova_fleet.consumers_of", lambda *given: None
    )
    with pytest.raises(Refused, match="Placement has no resource provider of that id"):
        nova.consumers(PROVIDER)


# field/06


def hypervisor(host: str, hostname: str) -> Hypervisor:
    return Hypervisor(f"id-{host}", hostname, host, "192.0.2.11", "QEMU")


def test_a_hypervisor_is_found_though_anothers_name_contains_the_hosts() -> None:
    nova = Asked([hypervisor("c1", "hv-a.example.com"), hypervisor("c10", "c10.example.com")])
    found = nova.find_hypervisor("c1")
    assert found is not None
    assert found.host == "c1"
    assert nova.patterns == ["c1", None]


def test_all_are_asked_for_only_where_the_names_do_not_tell() -> None:
    nova = Asked([hypervisor("c1", "c1.example.com"), hypervisor("c10", "c10.example.com")])
    assert nova.find_hypervisor("c1") == nova.rows[0]
    assert nova.patterns == ["c1"]
    assert nova.find_hypervisor("c7") is None
