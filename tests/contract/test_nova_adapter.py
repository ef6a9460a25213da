"""The Nova adapter against recorded answers, served over HTTP: the SDK negotiates for real."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from answering_cloud import (
    NO_MICROVERSION,
    QUIET,
    Answer,
    AnsweringCloud,
    Clouds,
    new_nova,
)
from builders import migration
from openstack_maintenance.adapters.cloud_errors import NotThere
from openstack_maintenance.domain.cloud import PAUSED, RUNNING, SHUTDOWN
from openstack_maintenance.domain.errors import CloudError

pytestmark = QUIET

SINCE = datetime(2026, 11, 22, 1, 2, 3, tzinfo=UTC)


def first(cloud: AnsweringCloud, status: str) -> dict[str, Any]:
    rows = cloud.read("servers")["servers"]
    return dict(next(each for each in rows if each["status"] == status))


def test_the_newest_common_microversion_is_known(start: Clouds) -> None:
    assert new_nova(start("newest")).check_version() == "2.104"
    assert new_nova(start("queens")).check_version() == "2.60"


@pytest.mark.parametrize("newest", ["2.59", "2.12"])
def test_a_cloud_older_than_queens_is_refused_in_a_sentence(start: Clouds, newest: str) -> None:
    with pytest.raises(CloudError) as raised:
        new_nova(start("queens", newest=newest)).check_version()
    assert str(raised.value) == (
        f"cloud openstack_default: its Nova offers {newest}, older than 2.60 (Queens). "
        "Maintain it by hand, or upgrade it first."
    )


def test_a_cloud_without_microversions_is_refused_too(start: Clouds) -> None:
    with pytest.raises(CloudError, match="offers no microversions, older than"):
        new_nova(start("queens", newest=NO_MICROVERSION)).check_version()


def test_services_are_read_with_their_heartbeats(cloud: AnsweringCloud) -> None:
    services = new_nova(cloud).services()
    assert {each.binary for each in services} == {
        "nova-compute",
        "nova-conductor",
        "nova-scheduler",
    }
    c01 = next(each for each in services if each.host == "c01")
    assert (c01.is_enabled, c01.is_up, c01.is_forced_down) == (True, True, False)
    assert (c01.zone, c01.disabled_reason, c01.mark) == ("nova", None, None)
    assert c01.updated_at is not None
    assert c01.updated_at.utcoffset() == timedelta(0)
    assert len(c01.id) == 36


def test_a_disabled_service_says_why_and_a_silent_one_has_no_heartbeat(
    cloud: AnsweringCloud,
) -> None:
    rows = cloud.read("services")
    for row in rows["services"]:
        row |= {"status": "disabled", "state": "down", "forced_down": True, "updated_at": None}
        row["disabled_reason"] = "[airflow compute_host_maintenance r1] kernel"
    cloud.answers["GET /v2.1/os-services"] = Answer(rows)
    service = new_nova(cloud).get_service("c01")
    assert (service.is_enabled, service.is_up, service.is_forced_down) == (False, False, True)
    assert service.updated_at is None
    assert service.mark is not None
    assert service.mark.run_id == "r1"


def test_the_services_of_one_host_are_one_request(cloud: AnsweringCloud) -> None:
    nova = new_nova(cloud)
    assert nova.find_service("c01") is not None
    if nova.shows_silent_cells:
        assert nova.find_service("c09") is None
        with pytest.raises(NotThere, match="Nova lists no nova-compute service on it"):
            nova.get_service("c09")
    else:
        for ask in (nova.find_service, nova.get_service):
            with pytest.raises(CloudError, match="it was deleted, or its cell does not answer"):
                ask("c09")
    assert [str(each) for each in cloud.work()] == ["GET /v2.1/os-services"] * 3
    assert cloud.work()[0].query == {"binary": ["nova-compute"], "host": ["c01"]}


def test_the_hypervisor_of_a_host_is_found_by_its_name(cloud: AnsweringCloud) -> None:
    hypervisor = new_nova(cloud).find_hypervisor("c01")
    assert hypervisor is not None
    assert (hypervisor.host, hypervisor.host_ip) == ("c01", "172.31.240.11")
    assert hypervisor.hostname == ("c01" if cloud.release == "newest" else "c01.example.com")
    assert hypervisor.hypervisor_type in {"fake", "QEMU"}
    assert len(cloud.work()) == 1
    assert cloud.work()[0].query["hypervisor_hostname_pattern"] == ["c01"]


def test_a_hypervisor_whose_name_has_nothing_of_the_hosts_is_found_all_the_same(
    cloud: AnsweringCloud,
) -> None:
    rows = cloud.read("hypervisors")
    for row in rows["hypervisors"]:
        if row["service"]["host"] == "c01":
            row["hypervisor_hostname"] = "node-77.example.com"
    cloud.changed["hypervisors"] = rows
    hypervisor = new_nova(cloud).find_hypervisor("c01")
    assert hypervisor is not None
    assert hypervisor.hostname == "node-77.example.com"
    assert len(cloud.work()) == 2


def test_a_host_without_a_hypervisor_has_none(cloud: AnsweringCloud) -> None:
    assert new_nova(cloud).find_hypervisor("c09") is None


@pytest.mark.parametrize(
    ("status", "vm_state", "power_state", "runs"),
    [
        ("ACTIVE", "active", RUNNING, True),
        ("PAUSED", "paused", PAUSED, True),
        ("SHUTOFF", "stopped", SHUTDOWN, False),
    ],
)
def test_an_instance_is_read_as_it_is(
    cloud: AnsweringCloud, status: str, vm_state: str, power_state: int, runs: bool
) -> None:
    row = first(cloud, status)
    instance = new_nova(cloud).get_instance(row["id"])
    assert (instance.status, instance.vm_state) == (status, vm_state)
    assert (instance.power_state, instance.may_be_running) == (power_state, runs)
    assert (instance.name, instance.host) == (row["name"], row["OS-EXT-SRV-ATTR:host"])
    assert (instance.ram_mib, instance.disk_gib) == (row["flavor"]["ram"], row["flavor"]["disk"])
    assert (instance.task_state, instance.is_launched, instance.fault) == (None, True, None)
    assert [str(each) for each in cloud.work()] == [f"GET /v2.1/servers/{row['id']}"]


def test_what_forbids_a_move_is_read_where_nova_shows_it(start: Clouds) -> None:
    cloud = start("newest")
    row = first(cloud, "ACTIVE")
    row["flavor"]["extra_specs"] = {"hw:mem_encryption": "true"}
    row["image"]["properties"] = {"hw_mem_encryption": True}
    row["fault"] = {"code": 500, "message": "No valid host", "created": "2026-01-01T00:00:00Z"}
    row["OS-EXT-STS:task_state"] = "migrating"
    cloud.answers[f"GET /v2.1/servers/{row['id']}"] = Answer({"server": row})
    instance = new_nova(cloud).get_instance(row["id"])
    assert instance.extra_specs == {"hw:mem_encryption": "true"}
    assert instance.image_properties["hw_mem_encryption"] == "True"
    assert (instance.fault, instance.task_state) == ("No valid host", "migrating")


def test_an_instance_booted_from_volume_that_never_ran_is_read_too(cloud: AnsweringCloud) -> None:
    row = first(cloud, "ACTIVE")
    row |= {"image": "", "status": "ERROR", "OS-EXT-STS:vm_state": "error"}
    row |= {"OS-SRV-USG:launched_at": None, "OS-EXT-STS:power_state": 0}
    row |= {"OS-EXT-SRV-ATTR:host": None}
    cloud.answers[f"GET /v2.1/servers/{row['id']}"] = Answer({"server": row})
    instance = new_nova(cloud).get_instance(row["id"])
    assert (instance.host, instance.is_launched, instance.may_be_running) == (None, False, False)
    assert instance.image_properties == {}


def test_an_instance_that_is_gone_is_none_or_said_to_be_gone(cloud: AnsweringCloud) -> None:
    nova = new_nova(cloud)
    gone = "00000000-0000-4000-8000-000000000000"
    assert nova.find_instance(gone) is None
    with pytest.raises(NotThere, match="could not be found"):
        nova.get_instance(gone)


@pytest.mark.parametrize(("page", "requests"), [(1000, 1), (2, 3), (1, 5)])
def test_every_page_of_the_instances_is_read(
    cloud: AnsweringCloud, page: int, requests: int
) -> None:
    cloud.page = page
    rows = cloud.read("servers")["servers"]
    on_c01 = [row | {"OS-EXT-SRV-ATTR:host": "c01"} for row in rows]
    cloud.changed["servers"] = {"servers": on_c01}
    instances = new_nova(cloud).instances_on("c01")
    assert len(instances) == len({each.id for each in instances})
    assert len(instances) == len(rows) == 5
    assert len(cloud.work()) == requests
    for asked in cloud.work():
        assert asked.query["all_tenants"] == ["True"]
        assert "c01" in asked.query.get("host", asked.query.get("compute_host", []))


def test_the_instances_of_an_empty_host_are_none(cloud: AnsweringCloud) -> None:
    assert new_nova(cloud).instances_on("c09") == []


@pytest.mark.parametrize("page", [1000, 2])
def test_migrations_are_read_with_one_request_a_page_oldest_first(
    cloud: AnsweringCloud, page: int
) -> None:
    cloud.page = page
    rows = new_nova(cloud).migrations(SINCE.astimezone())
    recorded = cloud.read("migrations")["migrations"]
    assert [each.id for each in rows] == sorted(each["id"] for each in recorded)
    assert len(cloud.work()) == -(-len(recorded) // page)
    assert all(each.query["changes-since"] == ["2026-11-22T01:02:03Z"] for each in cloud.work())
    assert all(each.path == "/v2.1/os-migrations" for each in cloud.work())
    kinds = {(each.kind, each.status, each.is_moving, each.is_live) for each in rows}
    assert kinds == {
        ("live-migration", "completed", False, True),
        ("live-migration", "error", False, True),
        ("migration", "confirmed", False, False),
    }
    assert all(each.created_at.utcoffset() == timedelta(0) for each in rows)
    assert all(each.updated_at >= each.created_at and each.uuid for each in rows)


def test_a_migration_that_has_no_destination_and_was_never_updated_is_read(
    cloud: AnsweringCloud,
) -> None:
    row = cloud.read("migrations")["migrations"][0]
    row |= {"dest_compute": None, "updated_at": None, "status": "accepted"}
    cloud.answers["GET /v2.1/os-migrations"] = Answer({"migrations": [row]})
    (found,) = new_nova(cloud).migrations(SINCE)
    assert found.destination is None
    assert found.updated_at == found.created_at
    assert found.is_moving


def test_why_a_move_failed_is_told_in_novas_words(cloud: AnsweringCloud) -> None:
    instance = cloud.read("instance_action")["instanceAction"]["instance_uuid"]
    said = new_nova(cloud).why_it_failed(instance)
    assert said is not None
    assert said.endswith("No valid host was found. There are not enough hosts available.")
    assert len(cloud.work()) == 2


def test_the_reason_of_the_compute_stands_before_that_of_the_conductor(
    cloud: AnsweringCloud,
) -> None:
    action = cloud.read("instance_action")["instanceAction"]
    code = "  File manager.py\n    raise exception.MigrationPreCheckError("
    deepest = {"event": "compute_check_can_live_migrate_source", "traceback": code}
    action["events"].insert(0, deepest | {"details": "Migration pre-check error: no shared disk"})
    action["events"].insert(1, deepest | {"details": None})
    path = f"/v2.1/servers/{action['instance_uuid']}/os-instance-actions/{action['request_id']}"
    cloud.answers[f"GET {path}"] = Answer({"instanceAction": action})
    said = new_nova(cloud).why_it_failed(action["instance_uuid"])
    assert said is not None
    assert said.startswith("Migration pre-check error: no shared disk; ")
    assert said.endswith("No valid host was found. There are not enough hosts available.")


def test_where_nothing_failed_there_is_no_reason(cloud: AnsweringCloud) -> None:
    cloud.answers["GET /v2.1/servers/i1/os-instance-actions"] = Answer({"instanceActions": []})
    assert new_nova(cloud).why_it_failed("i1") is None
    assert len(cloud.work()) == 1


@pytest.mark.parametrize(
    ("row", "left"),
    [
        ({"memory_total_bytes": 9, "memory_remaining_bytes": 5, "disk_remaining_bytes": 2}, 7),
        ({"memory_total_bytes": 9, "memory_remaining_bytes": 0, "disk_remaining_bytes": None}, 0),
        ({"memory_total_bytes": 0, "memory_remaining_bytes": 0, "disk_remaining_bytes": 0}, None),
        ({"memory_total_bytes": None, "memory_remaining_bytes": None}, None),
        ({}, None),
    ],
)
def test_what_a_migration_has_left_is_known_only_where_nova_says_it(
    cloud: AnsweringCloud, row: dict[str, Any], left: int | None
) -> None:
    rows = [{"id": 3, "memory_total_bytes": 9, "memory_remaining_bytes": 8}, {"id": 4, **row}]
    cloud.answers["GET /v2.1/servers/i1/migrations"] = Answer({"migrations": rows})
    nova = new_nova(cloud)
    assert nova.left_to_copy(migration(id=4, instance_id="i1")) == left
    assert nova.left_to_copy(migration(id=5, instance_id="i1")) is None
