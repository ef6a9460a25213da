"""Devices that Nova cannot move live: by what this release surely refuses (field/03)."""

from __future__ import annotations

from typing import Any

import pytest

from builders import instance, service
from openstack_maintenance.domain.blocker import Blocker
from openstack_maintenance.domain.drain.movability import (
    movability,
    parse_microversion,
    plan_drain,
    why_live_may_fail,
)
from openstack_maintenance.domain.nights.due import Verdict
from openstack_maintenance.domain.nights.fleet_facts import FleetInCloud, compose_fleet

VTPM = {"extra_specs": {"hw:tpm_version": "2.0", "hw:tpm_model": "tpm-crb"}}
VTPM_BY_IMAGE = {"image_properties": {"hw_tpm_version": "2.0"}}
VTPM_HOST = {"extra_specs": {"hw:tpm_version": "2.0", "hw:tpm_secret_security": "host"}}
GPU = {"extra_specs": {"pci_passthrough:alias": "gpu:1"}}
VGPU = {"extra_specs": {"resources:VGPU": "1"}}
VGPU_GROUP = {"extra_specs": {"resources1:VGPU": "1"}}
YOGA, CARACAL, EPOXY, GAZPACHO = (2, 90), (2, 96), (2, 100), (2, 103)


@pytest.mark.parametrize(
    ("given", "newest", "says"),
    [
        (VTPM, YOGA, "has a vTPM, which a Nova before 2026.1 cannot live-migrate"),
        (VTPM, EPOXY, "has a vTPM, which a Nova before 2026.1"),
        (VTPM, GAZPACHO, "has a vTPM with the secret mode user"),
        (VTPM, None, "has a vTPM with the secret mode user"),
        (VTPM_BY_IMAGE, EPOXY, "has a vTPM"),
        (VTPM_BY_IMAGE, GAZPACHO, "has a vTPM with the secret mode user"),
        (VTPM_HOST, EPOXY, "has a vTPM, which a Nova before 2026.1"),
        (GPU, CARACAL, "pci_passthrough:alias), which a Nova before 2025.1"),
        (VGPU, YOGA, "has a vGPU, which a Nova before 2024.1"),
        (VGPU_GROUP, YOGA, "has a vGPU"),
    ],
)
def test_what_is_surely_refused_is_a_blocker_with_the_way_out(
    given: dict[str, Any], newest: Any, says: str
) -> None:
    verdict = movability(instance(**given), newest)
    assert isinstance(verdict, Blocker)
    assert says in verdict.reason
    assert "on_blocked=stop" in verdict.remedy


@pytest.mark.parametrize(
    ("given", "newest", "why"),
    [
        (VTPM_HOST, GAZPACHO, "a nova-compute of 2026.1"),
        (GPU, EPOXY, "live_migratable"),
        (GPU, None, "live_migratable"),
        (VGPU, CARACAL, "libvirt 8.6"),
        (VGPU_GROUP, CARACAL, "libvirt 8.6"),
    ],
)
def test_what_may_be_refused_is_planned_and_doubted(
    given: dict[str, Any], newest: Any, why: str
) -> None:
    assert movability(instance(**given), newest) == "live"
    assert why in str(why_live_may_fail(instance(**given), newest))


@pytest.mark.parametrize("given", [VTPM, GPU, VGPU])
def test_all_of_them_move_cold(given: dict[str, Any]) -> None:
    assert movability(instance(status="SHUTOFF", **given), YOGA) == "cold"
    assert why_live_may_fail(instance(status="SHUTOFF", **given), YOGA) is None
    (move,) = plan_drain([instance(**given)], "stop", YOGA).moves
    assert move.method == "stop"


def test_an_ordinary_instance_is_not_doubted() -> None:
    assert movability(instance(), YOGA) == "live"
    assert why_live_may_fail(instance(), YOGA) is None


@pytest.mark.parametrize(
    ("text", "found"), [("2.95", (2, 95)), ("2.104", (2, 104)), ("", None), (None, None)]
)
def test_a_microversion_is_read_as_numbers(text: str | None, found: Any) -> None:
    assert parse_microversion(text) == found


def test_a_night_keeps_a_host_out_by_the_same_rule() -> None:
    facts = FleetInCloud((service("c01"),), {}, {}, (instance(**VTPM),), {}, newest=YOGA)
    (host,) = compose_fleet(facts, [Verdict("c01", "due", "is old")]).hosts
    assert "has a vTPM" in str(host.keeps_out)
