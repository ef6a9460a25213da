"""Room elsewhere: what surely does not fit blocks, what only Nova can tell does not."""

from __future__ import annotations

from typing import Any

import pytest

import builders
from openstack_maintenance.domain.cloud import Instance
from openstack_maintenance.domain.drain.capacity import Need, check_room, need_of

SMALL = Need(vcpus=1, ram_mib=512, disk_gib=1)


def instance(**given: Any) -> Instance:
    return builders.instance(name="web", vcpus=1, **given)


@pytest.mark.parametrize(
    ("room", "destination", "blocks"),
    [
        ({"h1", "h2"}, None, False),
        ({"h1"}, None, True),
        (set(), None, True),
        ({"h1", "h2", "h3"}, "h3", False),
        ({"h1", "h2"}, "h3", True),
    ],
)
def test_an_instance_needs_room_on_another_host(
    room: set[str], destination: str | None, blocks: bool
) -> None:
    found = check_room([instance()], {SMALL: frozenset(room)}, "h1", destination)
    assert bool(found) is blocks
    if blocks:
        assert "web" in found[0].subject
        assert "1 VCPU, 512 MiB RAM, 1 GiB disk" in found[0].reason


def test_a_volume_backed_instance_needs_no_disk() -> None:
    assert need_of(instance(is_volume_backed=True)) == Need(vcpus=1, ram_mib=512, disk_gib=0)


@pytest.mark.parametrize("key", ["resources:VGPU", "hw:cpu_policy", "resources1:CUSTOM_FPGA"])
def test_what_only_nova_can_tell_is_not_judged(key: str) -> None:
    odd = instance(extra_specs={key: "x"})
    assert need_of(odd) is None
    assert check_room([odd], {}, "h1", None) == []
