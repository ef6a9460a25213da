"""Orders to set and clear faults are understood, or refused with a remedy."""

import pytest

from osm_lab.errors import LabError
from osm_lab.faults import Order, parse


@pytest.mark.parametrize(
    ("words", "order"),
    [
        ("", Order("list")),
        ("c01", Order("list", "c01")),
        ("c01 migration-seconds 10", Order("set", "c01", "migration-seconds", "10")),
        (
            "all migration-seconds-per-gib 2.5",
            Order("set", "all", "migration-seconds-per-gib", "2.5"),
        ),
        ("c01 migration-fail", Order("set", "c01", "migration-fail", "*")),
        ("c01 migration-fail web-1 2", Order("set", "c01", "migration-fail", "web-1 2")),
        ("ctl01 api-fail 503", Order("set", "ctl01", "api-fail", "503")),
        ("api-slow 3", Order("set", "ctl01", "api-slow", "3")),
        ("broker-restart", Order("set", "ctl01", "broker-restart")),
        ("c02 cut-off", Order("set", "c02", "cut-off")),
        ("clear", Order("clear")),
        ("c01 clear", Order("clear", "c01")),
        ("c01 clear boot-hang", Order("clear", "c01", "boot-hang")),
    ],
)
def test_an_order_is_understood(words, order):
    assert parse(words.split()) == order


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        ("c01 no-such-fault", "There are: "),
        ("boot-hang", "on which host"),
        ("c01 api-slow 3", "fault of ctl01"),
        ("ctl01 migration-seconds 3", "compute host"),
        ("c01 migration-seconds soon", "number of seconds"),
        ("c01 migration-seconds", "number of seconds"),
        ("ctl01 api-fail 200", "503"),
        ("c01 boot-hang now", "takes no value"),
        ("c01 migration-fail web-1 often", "how often"),
        ("c01 clear no-such-fault", "There are: "),
    ],
)
def test_a_wrong_order_is_refused_with_a_remedy(words, remedy):
    with pytest.raises(LabError, match=remedy):
        parse(words.split())
