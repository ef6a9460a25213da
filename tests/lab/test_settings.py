"""Settings of nova.conf as they are given on the command line."""

import pytest

from osm_lab.errors import LabError
from osm_lab.layout import make_hosts
from osm_lab.nodes import parse_settings


def test_an_option_is_of_the_section_default_unless_it_says_otherwise():
    assert parse_settings(["max_concurrent_live_migrations=4", "libvirt.images_type=raw"]) == {
        "DEFAULT.max_concurrent_live_migrations": "4",
        "libvirt.images_type": "raw",
    }


def test_the_heartbeat_of_nova_is_10_and_60_seconds():
    assert parse_settings(["heartbeat=nova"]) == {
        "DEFAULT.report_interval": "10",
        "DEFAULT.service_down_time": "60",
    }


@pytest.mark.parametrize("word", ["no-equals", "=4", "heartbeat=slow"])
def test_a_wrong_setting_is_refused(word):
    with pytest.raises(LabError):
        parse_settings([word])


def test_hosts_have_the_addresses_that_everyone_relies_on():
    hosts = {host.name: host.address for host in make_hosts("172.31.240.0/24", 4)}
    assert hosts["ctl01"] == "172.31.240.10"
    assert hosts["c04"] == "172.31.240.14"


@pytest.mark.parametrize(
    ("subnet", "computes"), [("172.31.240.0/25", 4), ("not-a-subnet", 4), ("10.0.0.0/24", 0)]
)
def test_a_lab_that_cannot_be_is_refused(subnet, computes):
    with pytest.raises(LabError):
        make_hosts(subnet, computes)
