"""The lab never takes a subnet that the machine reaches elsewhere."""

import pytest

from osm_lab.subnet import find_conflict

# /proc/net/route of a machine on 192.0.2.0/24 with a VPN route to 172.31.0.0/16.
HEADER = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
DEFAULT = "eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
LOCAL = "eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
VPN = "tun0\t00001FAC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
BRIDGE = "br-1\t00F01FAC\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"


@pytest.mark.parametrize(
    ("routes", "interface"),
    [
        pytest.param(VPN, "tun0", id="a wider route holds it"),
        pytest.param(BRIDGE, "br-1", id="the very same subnet"),
    ],
)
def test_a_route_that_overlaps_is_named(routes, interface):
    sentence = find_conflict("172.31.240.0/24", HEADER + DEFAULT + LOCAL + routes)
    assert sentence is not None
    assert f"on {interface}" in sentence


def test_a_narrower_route_inside_the_subnet_is_a_conflict():
    assert find_conflict("172.31.0.0/16", HEADER + BRIDGE) is not None


def test_the_default_route_and_other_subnets_are_no_conflict():
    assert find_conflict("172.31.240.0/24", HEADER + DEFAULT + LOCAL) is None
