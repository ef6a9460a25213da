"""The whole fleet, as a night reads it from Nova and Placement."""

from __future__ import annotations

from typing import Any

import pytest

from answering_cloud import (
    QUIET,
    Answer,
    AnsweringCloud,
    Clouds,
    as_numbers,
    new_nova,
)
from cloud_reads import CANDIDATE
from openstack_maintenance.domain.errors import CloudError
from openstack_maintenance.domain.nights.fleet import Size
from openstack_maintenance.domain.nights.fleet_facts import compose_fleet
from openstack_maintenance.hooks.fleet_now import read_cloud

pytestmark = QUIET


def first(cloud: AnsweringCloud, status: str) -> dict[str, Any]:
    rows = cloud.read("servers")["servers"]
    return dict(next(each for each in rows if each["status"] == status))


def test_all_hypervisors_are_read_with_the_hosts_they_belong_to(cloud: AnsweringCloud) -> None:
    found = new_nova(cloud).hypervisors()
    recorded = cloud.read("hypervisors")["hypervisors"]
    assert {each.host: each.id for each in found} == {
        row["service"]["host"]: row["id"] for row in recorded
    }
    assert sorted(each.host for each in found) == ["c01", "c02", "c03", "c04"]
    assert len(cloud.work()) == 1


def test_hypervisors_come_page_by_page_too(cloud: AnsweringCloud) -> None:
    rows = cloud.read("hypervisors")["hypervisors"]
    for at, row in enumerate(rows):
        marker = f"?marker={rows[at - 1]['id']}" if at else ""
        more = {"rel": "next", "href": f"{cloud.url}/v2.1/os-hypervisors/detail?marker={row['id']}"}
        links = [more] if at + 1 < len(rows) else []
        answer = Answer({"hypervisors": [row], "hypervisors_links": links})
        cloud.answers[f"GET /v2.1/os-hypervisors/detail{marker}"] = answer
    assert len({each.host for each in new_nova(cloud).hypervisors()}) == len(rows) == 4


def test_each_host_has_the_names_of_its_aggregates(cloud: AnsweringCloud) -> None:
    assert new_nova(cloud).aggregates() == {
        "c01": frozenset({"helper-ssd"}),
        "c02": frozenset({"helper-ssd"}),
    }


def test_each_host_has_the_metadata_of_its_aggregates_value_by_value(cloud: AnsweringCloud) -> None:
    found = frozenset({"ssd=true", "rack=r1", "rack=r2"})
    assert new_nova(cloud).properties() == {"c01": found, "c02": found}


def test_where_there_are_no_aggregates_and_no_groups_there_are_none(cloud: AnsweringCloud) -> None:
    cloud.answers["GET /v2.1/os-aggregates"] = Answer({"aggregates": []})
    cloud.answers["GET /v2.1/os-server-groups"] = Answer({"server_groups": []})
    assert new_nova(cloud).aggregates() == new_nova(cloud).properties() == {}
    assert new_nova(cloud).anti_affinity_groups() == {}


def members(cloud: AnsweringCloud, name: str) -> list[str]:
    rows = cloud.read("server_groups")["server_groups"]
    return list(next(each["members"] for each in rows if each["name"] == name))


@pytest.mark.parametrize("page", [1000, 3, 1])
def test_only_hard_anti_affinity_counts_in_either_format_and_on_every_page(
    cloud: AnsweringCloud, page: int
) -> None:
    cloud.page = page
    groups = new_nova(cloud).anti_affinity_groups()
    apart, two = members(cloud, "helper-apart"), members(cloud, "helper-two-a-host")
    assert sorted(groups) == sorted([*apart, *two])
    assert len({groups[each] for each in apart}) == len({groups[each] for each in two}) == 1
    assert groups[apart[0]] != groups[two[0]]
    assert members(cloud, "helper-rather-apart")
    assert members(cloud, "helper-together")
    wanted = "2.64" if cloud.release == "newest" else "2.60"
    assert {each.microversion for each in cloud.work()} == {wanted}


def test_more_instances_than_nova_lists_at_once_are_all_read(start: Clouds) -> None:
    """Nova answers with osapi_max_limit rows (1000 by default) and a link to the rest."""
    cloud = start("newest")
    row = first(cloud, "ACTIVE")
    many = [row | {"id": f"00000000-0000-4000-8000-{number:012}"} for number in range(2500)]
    cloud.changed["servers"] = {"servers": many}
    found = new_nova(cloud).instances()
    assert [each.id for each in found] == [each["id"] for each in many]
    assert len(cloud.work()) == 3
    assert all(each.query["all_tenants"] == ["True"] for each in cloud.work())
    # Extra specs are in the embedded flavor from 2.47 on.
    assert all(as_numbers(each.microversion) >= (2, 47) for each in cloud.work())


def test_what_the_plan_needs_of_an_instance_is_in_the_list(cloud: AnsweringCloud) -> None:
    found = {each.id: each for each in new_nova(cloud).instances()}
    for row in cloud.read("servers")["servers"]:
        each = found[row["id"]]
        flavor = row["flavor"]
        assert (each.vcpus, each.ram_mib, each.disk_gib) == (
            flavor["vcpus"],
            flavor["ram"],
            flavor["disk"],
        )
        assert each.host == row["OS-EXT-SRV-ATTR:host"]
        assert not each.is_volume_backed


def test_an_instance_is_the_same_in_the_list_and_by_itself(cloud: AnsweringCloud) -> None:
    rows = cloud.read("servers")["servers"]
    rows[0] |= {"image": "", "fault": {"code": 500, "message": "No valid host"}}
    rows[1] |= {"OS-EXT-SRV-ATTR:host": None, "OS-SRV-USG:launched_at": None}
    rows[2]["flavor"]["extra_specs"] = {"trait:CUSTOM_GPU": "required"}
    rows[2]["OS-EXT-STS:task_state"] = "migrating"
    if cloud.release == "newest":
        rows[2]["image"]["properties"] = {"hw_mem_encryption": True}
    cloud.changed["servers"] = {"servers": rows}
    nova = new_nova(cloud)
    listed = nova.instances()
    alone = [nova.get_instance(row["id"]) for row in rows]
    # The SDK's image takes the links to it for a property.
    for each in alone:
        each.image_properties.pop("links", None)  # type: ignore[attr-defined]
    assert listed == alone
    assert [each.id for each in listed] == [row["id"] for row in rows]


def test_extra_specs_are_read_from_the_flavor_in_the_list(cloud: AnsweringCloud) -> None:
    row = first(cloud, "ACTIVE")
    row["flavor"]["extra_specs"] = {"trait:CUSTOM_GPU": "required"}
    row["image"] = ""
    cloud.answers["GET /v2.1/servers/detail"] = Answer({"servers": [row]})
    (instance,) = new_nova(cloud).instances()
    assert instance.extra_specs == {"trait:CUSTOM_GPU": "required"}
    assert instance.is_volume_backed


PROVIDERS = "GET /placement/resource_providers"
CANDIDATES = "GET /placement/allocation_candidates"


def test_capacity_is_what_may_be_allocated_without_what_is_reserved(cloud: AnsweringCloud) -> None:
    nova = new_nova(cloud)
    ids = [each.id for each in nova.hypervisors()]
    # Recorded: 64 VCPU x 4.0, 65536 MB less 512 reserved, 2000 GB.
    assert nova.capacities(ids) == dict.fromkeys(ids, Size(vcpus=256, ram_mib=65024, disk_gib=2000))
    assert sum(each.path.endswith("/inventories") for each in cloud.work()) == len(ids)


def test_all_that_have_a_little_room_are_read_in_one_request(cloud: AnsweringCloud) -> None:
    nova = new_nova(cloud)
    first, *others = [each.id for each in nova.hypervisors()]
    told = {"provider_summaries": dict.fromkeys(others, CANDIDATE)}
    cloud.answers[CANDIDATES] = Answer(told)
    size = Size(vcpus=256, ram_mib=65024, disk_gib=2000)
    assert nova.capacities([first, *others]) == dict.fromkeys([first, *others], size)
    assert nova.traits(others) == dict.fromkeys(others, frozenset(CANDIDATE["traits"]))
    asked = [each for each in cloud.work() if each.path.startswith("/placement")]
    assert [each.target for each in asked] == [
        "/placement/allocation_candidates?resources=MEMORY_MB%3A1",
        f"/placement/resource_providers/{first}/inventories",
        "/placement/allocation_candidates?resources=MEMORY_MB%3A1",
    ]


def test_a_placement_that_tells_less_is_asked_for_each(cloud: AnsweringCloud) -> None:
    cloud.release = "queens"
    found = cloud.read("placement")
    found["versions"][0]["max_version"] = "1.26"
    cloud.changed["placement"] = found
    nova = new_nova(cloud)
    ids = [each.id for each in nova.hypervisors()]
    assert sorted(nova.capacities(ids)) == sorted(ids)
    assert not any("candidates" in each.path for each in cloud.work())


def test_disks_on_shared_storage_are_no_capacity_of_the_host(cloud: AnsweringCloud) -> None:
    found = cloud.read("inventories")
    del found["inventories"]["DISK_GB"]
    cloud.answers[f"{PROVIDERS}*"] = Answer(found)
    assert new_nova(cloud).capacities(["p1"]) == {"p1": Size(vcpus=256, ram_mib=65024, disk_gib=0)}


def test_a_provider_that_placement_does_not_have_is_left_out(cloud: AnsweringCloud) -> None:
    nova = new_nova(cloud)
    known = nova.hypervisors()[0].id
    gone = "5f0e9fd2-0000-4000-8000-000000000000"
    assert list(nova.capacities([gone, known])) == [known]


@pytest.mark.parametrize(
    ("status", "body"),
    [(404, b"<html>Not Found</html>"), (500, {}), (503, b""), (200, b"<html>Welcome</html>")],
)
def test_a_placement_that_gives_no_answer_is_an_error_and_no_empty_fleet(
    cloud: AnsweringCloud, status: int, body: Any
) -> None:
    cloud.answers[f"{PROVIDERS}*"] = Answer(body, status)
    with pytest.raises(CloudError):
        new_nova(cloud).capacities(["p1"])


def test_a_cloud_without_placement_says_so(cloud: AnsweringCloud) -> None:
    del cloud.catalog["placement"]
    with pytest.raises(CloudError, match="placement"):
        new_nova(cloud).capacities(["p1"])


def test_the_fleet_of_a_night_is_read_whole_and_leaves_out_unknown_capacities(
    cloud: AnsweringCloud,
) -> None:
    c04 = next(h["id"] for h in cloud.read("hypervisors")["hypervisors"] if "c04" in str(h))
    missing = {"errors": [{"status": 404, "detail": f"No resource provider with uuid {c04} found"}]}
    cloud.answers[f"{PROVIDERS}/{c04}*"] = Answer(missing, 404)
    facts = read_cloud(new_nova(cloud))
    assert sorted(each.host for each in facts.services) == ["c01", "c02", "c03", "c04"]
    assert sorted(facts.capacities) == ["c01", "c02", "c03"]
    assert len(facts.instances) == 5
    assert len(facts.groups) == 4
    assert sorted(facts.properties) == ["c01", "c02"]
    # Nobody asks for a trait, so nobody reads them.
    assert facts.traits == {}
    assert not any(each.path.endswith("/traits") for each in cloud.work())


def test_traits_are_read_once_a_host_where_an_instance_asks_for_one(cloud: AnsweringCloud) -> None:
    row = first(cloud, "ACTIVE")
    row["flavor"]["extra_specs"] = {"trait:COMPUTE_TRUSTED_CERTS": "required"}
    cloud.answers["GET /v2.1/servers/detail"] = Answer({"servers": [row]})
    facts = read_cloud(new_nova(cloud))
    asked = [each for each in cloud.work() if each.path.endswith("/traits")]
    assert len(asked) == len({each.path for each in asked}) == 4
    assert all(as_numbers(each.microversion) >= (1, 6) for each in asked)
    assert set(facts.traits) == {"c01", "c02", "c03", "c04"}
    assert facts.traits["c01"] == frozenset(cloud.read("traits")["traits"])
    fleet = compose_fleet(facts, [])
    assert fleet.instances[0].requires == {"trait:COMPUTE_TRUSTED_CERTS=required"}
    assert all(each.provides == fleet.instances[0].requires for each in fleet.hosts)


def test_the_traits_of_a_provider_that_is_gone_are_left_out(cloud: AnsweringCloud) -> None:
    assert new_nova(cloud).traits(["5f0e9fd2-0000-4000-8000-000000000000"]) == {}
