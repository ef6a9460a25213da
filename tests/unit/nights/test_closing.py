"""Which waiting hosts a night may close for new instances, and what counts as out then."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from builders import service
from openstack_maintenance.domain.cloud import ComputeService
from openstack_maintenance.domain.host.rules import hosts_out_blocker, owner_blocker
from openstack_maintenance.domain.mark import CLOSED, FAILED_AT, Mark
from openstack_maintenance.domain.nights.closing import hosts_to_close, without
from openstack_maintenance.domain.nights.due import Candidate, judge_due
from openstack_maintenance.domain.nights.fleet import Fleet, FleetHost, FleetInstance, Size
from openstack_maintenance.domain.policy import Due, Policy

NOW = datetime(2026, 11, 22, 1, 5, tzinfo=UTC)
SERVICE = service("h1", is_enabled=False, zone="az1", updated_at=NOW)
HOST, HALF = Size(vcpus=8, ram_mib=8192, disk_gib=80), Size(vcpus=4, ram_mib=4096, disk_gib=40)
ORDER = ["h1", "h2", "h3", "h4"]
NIGHT = Mark("nightly_compute_maintenance", "night", CLOSED, kind="closed")
OWN = Mark("compute_host_maintenance", "own", "kernel")


def fleet(*loaded: str, zone: str = "az1") -> Fleet:
    hosts = tuple(FleetHost(name=name, zone=zone, capacity=HOST) for name in (*ORDER, "spare"))
    return Fleet(
        hosts, tuple(FleetInstance(id=f"on-{name}", host=name, size=HALF) for name in loaded)
    )


@pytest.mark.parametrize(
    ("loaded", "out", "reserve", "closed"),
    [
        # The spare alone is the reserve and takes nothing: nobody else needs to be open.
        ((), (), 1, {"h2", "h3", "h4"}),
        ((), (), 2, {"h3", "h4"}),
        ((), (), 9, set()),
        # Half a host's instances must go somewhere, beside the reserve.
        (("h1",), (), 1, {"h3", "h4"}),
        # What is still on a host that is out must, too.
        (("h1", "h4"), ("h4",), 1, {"h3"}),
        # A waiting host that is full has no room to offer: it can be closed all the same.
        (("h2", "h2", "h3", "h3", "h4", "h4"), (), 1, {"h2", "h3", "h4"}),
    ],
)
def test_as_many_are_closed_as_the_floor_allows_who_waits_longest_first(
    loaded: tuple[str, ...], out: tuple[str, ...], reserve: int, closed: set[str]
) -> None:
    made = fleet(*loaded)
    hosts = tuple(replace(h, is_open=h.name not in out) for h in made.hosts)

    found = hosts_to_close(replace(made, hosts=hosts), ORDER, "h1", out, reserve)

    assert found == closed


def test_the_zones_are_judged_each_by_itself() -> None:
    elsewhere = tuple(FleetHost(name=name, zone="az2", capacity=HOST) for name in ("x1", "x2"))
    both = Fleet((*fleet().hosts, *elsewhere), ())

    assert hosts_to_close(both, [*ORDER, "x1", "x2"], "h1", (), 1) == {"h2", "h3", "h4", "x2"}


def test_a_closed_host_takes_nothing_in_a_plan() -> None:
    hosts = without(fleet(), {"h2", "h3"}).hosts

    assert {each.name for each in hosts if not each.is_open} == {"h2", "h3"}


def closed(mark: Mark = NIGHT) -> ComputeService:
    return replace(SERVICE, disabled_reason=str(mark))


def test_a_closed_host_is_not_out() -> None:
    assert closed().is_closed
    assert closed().out_by is None
    assert hosts_out_blocker("h2", Policy(max_hosts_out=1), [closed()]) is None


def test_a_host_whose_run_has_failed_is_out_and_not_closed() -> None:
    failed = closed(replace(OWN, text=f"{FAILED_AT} reboot: host h1: no", kind="failed"))

    assert not failed.is_closed
    assert failed.out_by is not None
    assert failed.out_by.has_failed
    assert hosts_out_blocker("h2", Policy(max_hosts_out=1), [failed]) is not None


def test_a_closed_host_can_be_maintained_while_its_night_goes_on() -> None:
    assert owner_blocker(closed(), OWN, frozenset({"night"})) is None
    assert owner_blocker(closed(OWN), replace(OWN, run_id="x"), frozenset({"own"})) is not None


def test_a_running_maintenance_whose_reason_reads_like_a_night_is_out_and_stays_its_own() -> None:
    """A second run would take the host over, and a night would enable it."""
    running = closed(replace(OWN, text=CLOSED))

    assert running.out_by is not None
    assert owner_blocker(running, replace(OWN, run_id="x"), frozenset({"own"})) is not None
    assert hosts_out_blocker("h2", Policy(max_hosts_out=1), [running]) is not None


def test_a_closed_host_can_be_due() -> None:
    candidate = Candidate(closed(), booted=NOW.replace(year=2020))

    assert judge_due(candidate, Due(), NOW, NOW).kind == "due"
