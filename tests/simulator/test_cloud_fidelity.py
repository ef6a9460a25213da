"""The simulated cloud's rows have the keys of those that were recorded from a real one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from simulated_cloud import World, new_world
from simulator.cloud.fleet import add_aggregate, add_group

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures/nova"
RELEASES = {"queens": 60, "newest": 104}
# Queens' fixtures were written by the API reference. By Nova's source an admin sees the status of a
# server's host from 2.16 on, and the host of an event from 2.62 on.
NOT_IN_QUEENS = {"host_status"}
ONLY_IN_QUEENS = {"host"}
PATHS = {
    "services": "/os-services",
    "hypervisors": "/os-hypervisors/detail",
    "servers": "/servers/detail?all_tenants=True",
    "migrations": "/os-migrations?status=completed",
    "aggregates": "/os-aggregates",
    "server_groups": "/os-server-groups?all_projects=True",
}

pytestmark = [
    # What the SDK says to its own developers.
    pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedInSDK50Warning"),
    pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedInSDK60Warning"),
]


def recorded(release: str, name: str) -> Any:
    """A recorded answer."""
    folder = FIXTURES / release if release else FIXTURES
    return json.loads((folder / f"{name}.json").read_text())


@pytest.fixture
def made(release: str) -> Iterator[World]:
    """A world of a release, in which something has happened."""
    world = new_world(newest=RELEASES[release])
    with world.transport.installed():
        add_group(world.cloud, "apart", "anti-affinity")
        add_aggregate(world.cloud, "ssd", ["c01"], {"ssd": "true"})
        world.live("vm-c01-01", "c02")
        world.live("vm-c01-02", "c01")
        world.wait(60)
        yield world


def get(made: World, path: str) -> Any:
    """A body, in the newest format."""
    version = f"2.{made.cloud.settings.newest}"
    return made.nova._compute.get(path, microversion=version).json()


def shape(value: Any) -> Any:
    """The keys of an object, and of the objects in it; of what is free, nothing."""
    if not isinstance(value, dict):
        return None
    free = {"metadata", "extra_specs", "properties", "scheduler_hints", "rules", "cpu_info"}
    return {name: None if name in free else shape(inner) for name, inner in value.items()}


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("key", PATHS)
def test_rows_have_the_keys_of_recorded_ones(made: World, release: str, key: str) -> None:
    row = get(made, PATHS[key])[key][0]
    if release == "queens":
        row = {name: value for name, value in row.items() if name not in NOT_IN_QUEENS}
    known = [shape(each) for each in recorded(release, key)[key]]
    assert shape(row) in known
    assert set(get(made, PATHS[key])) - {f"{key}_links"} == {key}


@pytest.mark.parametrize("release", RELEASES)
def test_actions_and_events_have_the_keys_of_recorded_ones(made: World, release: str) -> None:
    path = f"/servers/{made.instance('vm-c01-02').id}/os-instance-actions"
    action = get(made, path)["instanceActions"][0]
    assert set(action) == set(recorded(release, "instance_actions")["instanceActions"][0])
    one = get(made, f"{path}/{action['request_id']}")["instanceAction"]
    known = recorded(release, "instance_action")["instanceAction"]
    assert set(one) == set(known)
    odd = ONLY_IN_QUEENS if release == "queens" else set()
    assert set(one["events"][0]) == set(known["events"][0]) - odd


@pytest.mark.parametrize("release", RELEASES)
def test_version_documents_have_the_keys_of_recorded_ones(made: World, release: str) -> None:
    for name, path in (("version", "/compute/v2.1/"), ("versions", "/compute/")):
        url = f"{made.application.url}{path}"
        found = made.nova._cloud.session.get(url).json()
        known = recorded(release, name)
        assert set(found) == set(known)
        if name == "version":
            assert shape(found) == shape(known)
            assert found["version"]["version"] == known["version"]["version"]


@pytest.mark.parametrize("release", ["newest"])
def test_placement_s_answers_have_the_keys_of_recorded_ones(made: World, release: str) -> None:
    placement = made.nova._cloud.placement
    provider = made.nova.hypervisors()[0].id
    for what in ("inventories", "traits"):
        found = placement.get(f"/resource_providers/{provider}/{what}").json()
        assert shape(found) == shape(recorded("", what))
    unknown = "00000000-0000-4000-8000-000000000000"
    answer = placement.get(f"/resource_providers/{unknown}/inventories", raise_exc=False)
    found, known = answer.json()["errors"][0], recorded("", "provider_not_found")["errors"][0]
    assert answer.status_code == 404
    assert {**found, "request_id": ""} == {**known, "request_id": ""}


@pytest.mark.parametrize("release", ["newest"])
def test_refusals_are_those_that_were_recorded(made: World, release: str) -> None:
    unknown = "00000000-0000-4000-8000-000000000000"
    for name, path in (
        ("server_not_found", f"/servers/{unknown}"),
        ("hypervisors_no_match", "/os-hypervisors/detail?hypervisor_hostname_pattern=zzz"),
    ):
        answer = made.nova._compute.get(path, microversion="2.60", raise_exc=False)
        assert (answer.status_code, answer.json()) == (404, recorded(release, name))


@pytest.mark.parametrize("release", ["newest"])
def test_a_token_has_the_keys_of_the_recorded_one(made: World, release: str) -> None:
    url = f"{made.application.url}/identity/v3"
    access = made.nova._cloud.session.auth.get_access(made.nova._cloud.session)
    assert set(access._data["token"]) == set(recorded("", "token")["token"])
    found = made.nova._cloud.session.get(url).json()
    assert shape(found) == shape(recorded("", "keystone_v3"))
