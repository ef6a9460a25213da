"""Ports whose devices Nova does not move: by what this release surely refuses."""

from __future__ import annotations

from typing import Any

import pytest

from builders import instance
from openstack_maintenance.domain.drain.movability import Movement
from openstack_maintenance.domain.drain.ports import HostPort, port_blockers, why_ports_may_fail

LIVE, COLD = Movement(instance("i1"), "live"), Movement(instance("i1", "SHUTOFF"), "cold")
STEIN, TRAIN, USSURI = (2, 72), (2, 79), (2, 87)


def told(move: Movement, port: HostPort, newest: Any, may_stop: bool = False) -> str:
    found = port_blockers([move], [port], newest, may_stop=may_stop)
    return " | ".join(map(str, found))


@pytest.mark.parametrize("move", [LIVE, COLD], ids=["live", "cold"])
@pytest.mark.parametrize("newest", [STEIN, USSURI, None])
def test_an_accelerator_on_a_port_moves_in_no_way(move: Movement, newest: Any) -> None:
    said = told(move, HostPort("i1", "accelerator-direct"), newest, may_stop=True)
    assert "has a port with an accelerator, which Nova cannot migrate" in said


@pytest.mark.parametrize(
    ("port", "newest", "says"),
    [
        (HostPort("i1", "direct"), STEIN, "a port of type direct, which a Nova before Train"),
        (HostPort("i1", "vdpa"), STEIN, "a port of type vdpa, which a Nova before Train"),
        (HostPort("i1", has_request=True), TRAIN, "resource request, which a Nova before Ussuri"),
    ],
)
def test_what_this_release_cannot_move_live_is_a_blocker_unless_it_may_be_stopped(
    port: HostPort, newest: Any, says: str
) -> None:
    assert says in told(LIVE, port, newest)
    assert "on_blocked=stop" in told(LIVE, port, newest)
    assert told(LIVE, port, newest, may_stop=True) == ""
    assert told(COLD, port, newest) == ""
    assert told(LIVE, port, None) == ""


@pytest.mark.parametrize(
    ("port", "why"),
    [
        (HostPort("i1", "direct"), "its direct port needs Neutron's binding-extended"),
        (HostPort("i1", "vdpa"), "its vdpa port needs a nova-compute of 2023.1"),
        (HostPort("i1", has_request=True), "asks Placement for resources"),
    ],
)
def test_what_depends_on_more_is_doubted(port: HostPort, why: str) -> None:
    assert told(LIVE, port, USSURI) == ""
    assert why in str(why_ports_may_fail(LIVE, [port]))
    assert why_ports_may_fail(COLD, [port]) is None


def test_ordinary_ports_and_those_of_others_are_no_matter() -> None:
    for port in (HostPort("i1"), HostPort("i2", "direct", has_request=True)):
        assert told(LIVE, port, STEIN) == ""
        assert why_ports_may_fail(LIVE, [port]) is None
