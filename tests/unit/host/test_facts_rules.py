"""What a host shows, against what Nova says of it: named before anything changes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from builders import service
from openstack_maintenance.domain.host.answers import parse_unit
from openstack_maintenance.domain.host.facts import UnitState
from openstack_maintenance.domain.host.facts_rules import check_nova_compute
from openstack_maintenance.domain.mark import Mark

UP = UnitState("nova-compute.service", "systemd", "active", "running", 812, (812,))
IDLE = UnitState("nova-compute.service", "systemd", "inactive", "dead")
STRAY = "99 /system.slice/docker-ab.scope"


def told(unit: UnitState, **given: object) -> str:
    return " | ".join(map(str, check_nova_compute(service("c01", **given), unit)))  # type: ignore[arg-type]


@pytest.mark.parametrize("state", ["inactive", "failed"])
def test_an_idle_unit_of_a_host_that_nova_shows_up_is_the_wrong_unit(state: str) -> None:
    idle = replace(IDLE, active_state=state, look_alikes=("docker container nova_compute",))
    said = told(idle)
    assert f"Nova shows nova-compute up, but nova-compute.service on the host is {state}" in said
    assert "docker container nova_compute" in said


def test_where_the_running_one_is_seen_it_is_named() -> None:
    said = told(replace(IDLE, strays=(STRAY,)))
    assert "wrong unit (process 99 in /system.slice/docker-ab.scope)" in said


def test_a_left_over_beside_the_right_unit_is_named_too() -> None:
    said = told(replace(UP, strays=(STRAY,)))
    assert "another nova-compute runs there beside nova-compute.service: process 99 in" in said


def test_the_right_unit_is_no_blocker_nor_is_a_host_that_nova_shows_down() -> None:
    assert told(UP) == ""
    assert told(IDLE, is_up=False) == ""


def test_a_host_that_a_run_of_ours_stopped_a_moment_ago_still_shows_up() -> None:
    ours = str(Mark("compute_host_maintenance", "r1", "kernel"))
    assert told(IDLE, reason=ours) == ""


def test_a_nova_compute_elsewhere_is_not_gone() -> None:
    answers = {
        "unit.LoadState": ("loaded",),
        "unit.Id": ("nova-compute.service",),
        "unit.ActiveState": ("inactive",),
        "unit.MainPID": ("0",),
        "stray": ("99 0::/system.slice/docker-ab.scope",),
        "look_alike": ("nova-compute-2.service",),
    }
    unit = parse_unit(answers, "nova-compute.service")
    assert unit.is_idle
    assert not unit.is_gone
    assert unit.strays == ("99 /system.slice/docker-ab.scope",)
    assert unit.look_alikes == ("nova-compute-2.service",)
