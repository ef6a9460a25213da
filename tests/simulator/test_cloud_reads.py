"""The plugin's adapters read the simulated cloud as they read a real one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta

import pytest

from openstack_maintenance.adapters.cloud_errors import NotThere, Refused
from openstack_maintenance.adapters.cloud_health import CloudHealth
from openstack_maintenance.domain.drain.capacity import Need
from openstack_maintenance.domain.errors import CloudError
from openstack_maintenance.domain.host import rights
from openstack_maintenance.domain.host.rights import Needed
from openstack_maintenance.operators.silence import gives_no_answer
from simulated_cloud import World, new_world
from simulator.cloud.fleet import add_aggregate, add_group, add_host, add_instance

Worlds = Callable[..., World]
OLD, XENA, NEWEST = 60, 90, 104

pytestmark = [
    # What the SDK says to its own developers.
    pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedInSDK50Warning"),
    pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedInSDK60Warning"),
    pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedFieldWarning"),
]


@pytest.fixture
def world() -> Iterator[Worlds]:
    """Makes a world whose transport is installed until the test ends."""
    with ExitStack() as stack:

        def make(**given: object) -> World:
            made = new_world(**given)  # type: ignore[arg-type]
            stack.enter_context(made.transport.installed())
            return made

        yield make


@pytest.mark.parametrize("newest", [OLD, XENA, NEWEST])
def test_every_profile_is_read_by_the_plugin(world: Worlds, newest: int) -> None:
    made = world(newest=newest)
    nova = made.nova
    assert nova.check_version() == f"2.{newest}"
    assert {each.host for each in nova.services("nova-compute")} == {"c01", "c02", "c03", "c04"}
    assert all(each.is_up and each.is_enabled for each in nova.services())
    assert {each.host for each in nova.hypervisors()} == {"c01", "c02", "c03", "c04"}
    found = nova.instances_on("c01")
    assert sorted(each.name for each in found) == ["vm-c01-01", "vm-c01-02", "vm-c01-03"]
    assert found[0].ram_mib == 512 and found[0].is_launched and found[0].may_be_running
    assert not found[0].is_volume_backed
    assert nova.get_instance(found[0].id).host == "c01"
    assert len(nova.instances()) == 12


@pytest.mark.parametrize("newest", [OLD, NEWEST])
def test_old_profiles_have_old_shapes(world: Worlds, newest: int) -> None:
    made = world(newest=newest)
    group = add_group(made.cloud, "apart", "anti-affinity")
    member = add_instance(made.cloud, "member", "c01", group=group)
    assert made.nova.anti_affinity_groups() == {member.id: group.id}
    compute = made.nova._compute
    row = compute.get("/os-hypervisors/detail", microversion=f"2.{newest}").json()
    assert ("memory_mb" in row["hypervisors"][0]) == (newest == OLD)
    row = compute.get("/servers/detail?all_tenants=True", microversion=f"2.{newest}").json()
    assert ("properties" in row["servers"][0]["image"]) == (newest == NEWEST)


def test_a_microversion_that_is_too_new_is_refused(world: Worlds) -> None:
    made = world(newest=OLD)
    made.nova.services()
    answer = made.nova._compute.get(
        "/os-services", headers={"OpenStack-API-Version": "compute 2.69"}, raise_exc=False
    )
    assert answer.status_code == 406
    assert answer.json()["computeFault"]["message"] == (
        "Version 2.69 is not supported by the API. Minimum is 2.1 and maximum is 2.60."
    )


def test_lists_come_in_pages(world: Worlds) -> None:
    made = world(hosts=25, per_host=100)
    before = made.transport.count
    found = made.nova.instances()
    assert len({each.id for each in found}) == 2500
    assert made.transport.count - before <= 3 + 4  # and the discovery
    made.cloud.settings.page_limit = 7
    assert len(made.nova.hypervisors()) == 25
    assert len(made.nova.instances_on("c01")) == 100


def test_server_groups_come_in_pages_without_links(world: Worlds) -> None:
    made = world(page_limit=10)
    groups = [add_group(made.cloud, f"g{number}", "anti-affinity") for number in range(25)]
    for group in groups:
        add_instance(made.cloud, f"member of {group.name}", "c02", group=group)
    assert set(made.nova.anti_affinity_groups().values()) == {each.id for each in groups}


def test_migrations_come_in_pages(world: Worlds) -> None:
    made = world(page_limit=2)
    for name in ("vm-c01-01", "vm-c01-02", "vm-c02-01", "vm-c03-01", "vm-c03-02"):
        made.live(name)
    made.wait(60)
    assert len(made.nova.migrations(made.clock.now() - timedelta(hours=1))) == 5
    assert made.nova.migrations(made.clock.now() + timedelta(hours=1)) == []


def test_a_silent_cell_is_left_out_of_lists_and_unknown_by_itself(world: Worlds) -> None:
    made = world(cells=2)
    lost = made.instance("vm-c02-01")
    assert made.nova.get_instance(lost.id).host == "c02"
    made.cloud.control.lose_cell(made.cloud.state.cells["cell2"])
    assert made.nova.instances_on("c02") == []  # with 200
    assert {each.host for each in made.nova.hypervisors()} == {"c01", "c03"}
    services = {each.host: each for each in made.nova.services("nova-compute")}
    assert not services["c02"].is_up and not services["c02"].is_enabled
    assert services["c01"].is_up
    with pytest.raises(CloudError, match="its cell does not answer"):
        made.nova.get_instance(lost.id)
    with pytest.raises(CloudError, match="its cell does not answer"):
        made.nova.instances()
    with pytest.raises(CloudError, match="500"):
        made.nova.stop_guest(lost.id)
    made.cloud.control.cell_returns(made.cloud.state.cells["cell2"])
    assert made.nova.get_instance(lost.id).host == "c02"


def test_before_2_69_a_silent_cell_s_services_are_left_out(world: Worlds) -> None:
    made = world(cells=2, newest=OLD)
    made.cloud.control.lose_cell(made.cloud.state.cells["cell2"])
    assert {each.host for each in made.nova.services("nova-compute")} == {"c01", "c03"}
    with pytest.raises(CloudError, match="500"):
        made.nova.get_instance(made.instance("vm-c02-01").id)
    for ask in (made.nova.find_service, made.nova.get_service):
        with pytest.raises(CloudError, match="or its cell does not answer") as silence:
            ask("c02")
        assert gives_no_answer(silence.value)
    assert not made.nova.shows_silent_cells


def test_from_2_69_on_a_host_that_is_not_listed_is_not_there(world: Worlds) -> None:
    made = world(cells=2)
    assert made.nova.shows_silent_cells
    assert made.nova.find_service("c09") is None
    with pytest.raises(NotThere):
        made.nova.get_service("c09")


def test_migration_ids_collide_between_cells_and_uuids_do_not(world: Worlds) -> None:
    made = world(cells=2)
    one, other = made.live("vm-c01-01"), made.live("vm-c02-01")
    made.wait(60)
    first, second = made.migration(one), made.migration(other)
    assert (first.id, second.id) == (1, 1)
    assert first.uuid != second.uuid
    assert made.nova.get_instance(one.id).host == "c03"  # never across cells


def test_hypervisors_are_found_by_a_part_of_their_names(world: Worlds) -> None:
    made = world(is_empty=True)
    add_host(made.cloud, "c1", domain=".example.com")
    add_host(made.cloud, "c10", domain=".example.com")
    found = made.nova.find_hypervisor("c1")
    assert found is not None and found.hostname == "c1.example.com"
    assert made.nova.find_hypervisor("zzz") is None
    answer = made.nova._compute.get(
        "/os-hypervisors/detail?hypervisor_hostname_pattern=zzz", microversion="2.53"
    )
    assert answer.status_code == 404
    assert answer.json()["itemNotFound"]["message"] == (
        "No hypervisor matching 'zzz' could be found."
    )


def test_aggregates_and_zones_are_read(world: Worlds) -> None:
    made = world()
    add_aggregate(made.cloud, "ssd", ["c01", "c02"], {"rack": "r1,r2"})
    add_aggregate(made.cloud, "az", ["c03"], zone="az2")
    assert made.nova.aggregates()["c01"] == {"ssd"}
    assert made.nova.properties()["c02"] == {"rack=r1", "rack=r2"}
    service = made.nova.get_service("c03")
    assert service.zone == "az2"


def test_placement_tells_room_capacity_and_traits(world: Worlds) -> None:
    made = world()
    ids = {each.host: each.id for each in made.nova.hypervisors()}
    sizes = made.nova.capacities([ids["c01"], "00000000-0000-4000-8000-000000000000"])
    assert list(sizes) == [ids["c01"]]
    assert sizes[ids["c01"]].vcpus == 256
    assert made.nova.hosts_with_room(Need(1, 512, 1)) == frozenset(ids.values())
    assert made.nova.hosts_with_room(Need(1, 10**9, 1)) == frozenset()
    made.nova.disable(made.nova.get_service("c01"), "maintenance")
    assert made.nova.hosts_with_room(Need(1, 512, 1)) == frozenset(ids.values()) - {ids["c01"]}
    assert "COMPUTE_STATUS_DISABLED" in made.nova.traits([ids["c01"]])[ids["c01"]]


def test_placement_shows_both_halves_of_a_move(world: Worlds) -> None:
    made = world(live_least=30.0)
    ids = {each.host: each.id for each in made.nova.hypervisors()}
    instance = made.live("vm-c01-01", "c02")
    made.wait(10)
    migration = made.migration(instance)

    def consumers(host: str) -> set[str]:
        path = f"/resource_providers/{ids[host]}/allocations"
        return set(made.nova._cloud.placement.get(path).json()["allocations"])

    assert migration.uuid in consumers("c01") and instance.id not in consumers("c01")
    assert instance.id in consumers("c02")
    made.wait(60)
    assert migration.uuid not in consumers("c01")


def test_a_service_is_disabled_with_a_reason_and_its_time_moves(world: Worlds) -> None:
    made = world()
    made.wait(15)
    before = made.nova.get_service("c01")
    made.wait(2)
    made.nova.disable(before, "x" * 300)
    after = made.nova.get_service("c01")
    assert not after.is_enabled and after.disabled_reason == "x" * 255
    assert before.updated_at is not None and after.updated_at is not None
    assert after.updated_at > before.updated_at
    made.nova.enable(after)
    assert made.nova.get_service("c01").is_enabled


def test_heartbeats_advance_and_end_with_nova_compute(world: Worlds) -> None:
    made = world()
    first = made.nova.get_service("c01").updated_at
    made.wait(30)
    second = made.nova.get_service("c01").updated_at
    assert first is not None and second is not None
    assert timedelta(seconds=20) <= second - first <= timedelta(seconds=40)
    made.cloud.host_stops_nova_compute("c01")
    made.wait(40)
    assert made.nova.get_service("c01").is_up  # not yet known
    made.wait(40)
    assert not made.nova.get_service("c01").is_up
    made.cloud.host_starts_nova_compute("c01")
    assert made.nova.get_service("c01").is_up


def test_disabling_a_host_that_does_not_answer_takes_nova_a_minute(world: Worlds) -> None:
    made = world()
    service = made.nova.get_service("c01")
    made.cloud.host_stops_nova_compute("c01")
    before = made.clock.now()
    made.nova.disable(service, "maintenance")
    assert made.clock.now() - before > timedelta(seconds=60)


def test_nova_s_clock_is_read_from_its_answers(world: Worlds) -> None:
    made = world(clock_ahead=120.0)
    made.nova.read_clock()
    assert 110 < made.nova.clock_offset_seconds < 130


def test_wrong_passwords_and_revoked_tokens(world: Worlds) -> None:
    made = world()
    made.nova.services()
    made.application.keystone.revoke_all()
    assert made.nova.services()  # it logs in again
    made.cloud.settings.password = "another"
    made.application.keystone.revoke_all()
    with pytest.raises(Refused, match="Keystone rejected the credentials"):
        made.nova.services()


ALL_RIGHTS = [
    rights.UPDATE_SERVICE,
    rights.LIST_MIGRATIONS,
    rights.SHOW,
    rights.LIST_GROUPS,
    rights.LIVE,
    rights.LIVE_TO_HOST,
    rights.COLD_TO_HOST,
    rights.START,
    rights.CONFIRM,
    rights.ABORT,
    rights.FORCE_COMPLETE,
    rights.DELETE_FLAVOR,
    rights.CREATE_INSTANCE,
]


def test_rights_are_probed_without_a_trace(world: Worlds) -> None:
    made = world()
    instance = made.instance("vm-c01-01")
    revision = instance.revision
    assert made.nova.missing_rights([Needed(each, instance.id) for each in ALL_RIGHTS]) == []
    assert instance.revision == revision and instance.actions == []


@pytest.mark.parametrize("right", ALL_RIGHTS, ids=lambda each: each.rule)
def test_each_right_that_is_denied_is_found(world: Worlds, right: rights.Right) -> None:
    made = world(denied={right.rule})
    found = made.nova.missing_rights([Needed(right, made.instance("vm-c01-01").id)])
    assert len(found) == 1 and right.rule in found[0].reason + found[0].remedy


@pytest.mark.parametrize(
    ("denied", "asked"),
    [
        (rights.SEE_HOST, rights.SHOW),
        (rights.SEE_EXTRA_SPECS, rights.SHOW),
        (rights.SEE_ALL, rights.SHOW),
        (rights.MIGRATION_HOSTS, rights.LIST_MIGRATIONS),
    ],
    ids=lambda each: each.rule,
)
def test_what_nova_leaves_out_is_found(
    world: Worlds, denied: rights.Right, asked: rights.Right
) -> None:
    made = world()
    made.live("vm-c02-01")
    made.wait(2)
    made.cloud.settings.denied = {denied.rule}
    found = made.nova.missing_rights([Needed(asked, made.instance("vm-c01-01").id)])
    assert len(found) == 1 and denied.what in found[0].reason


def test_a_host_filter_that_is_not_allowed_is_ignored(world: Worlds) -> None:
    made = world(denied={rights.ALL_FILTERS.rule})
    with pytest.raises(Refused, match="it lists others"):
        made.nova.instances_on("c01")


def test_a_deleted_instance_is_not_found(world: Worlds) -> None:
    made = world()
    gone = made.instance("vm-c01-01")
    assert made.cloud.owners.deletes(gone.id)
    assert made.nova.get_instance(gone.id).task_state == "deleting"
    made.wait(5)
    assert made.nova.find_instance(gone.id) is None
    with pytest.raises(NotThere, match=f"Instance {gone.id} could not be found"):
        made.nova.get_instance(gone.id)


def test_the_scheduler_s_round_trip_leaves_nothing(
    world: Worlds, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = world()
    monkeypatch.setattr("time.sleep", made.clock.pause)
    found = made.nova.ask_scheduler("probe")
    assert found["asked"] and found["answer"].startswith("No valid host was found")
    made.wait(5)
    assert all(each.name != "probe" for each in made.cloud.state.instances.values())
    assert all(each.name != "probe" for each in made.cloud.state.flavors.values())


def test_the_checks_see_a_healthy_cloud(world: Worlds) -> None:
    health: CloudHealth = world().health
    assert health.new_token().user == "admin"
    answered = health.try_endpoints(health.endpoints())
    assert {each.endpoint.service_type for each in answered} >= {"compute", "network", "placement"}
    assert all(each.status == 200 for each in answered), answered
    services = health.compute_services()
    assert services is not None and len(services) == 6
    agents = health.network_agents()
    assert agents is not None and len(agents) == 4 and all(each.is_up for each in agents)
    assert health.count_images() == 1
    assert health.volume_services()


def test_two_clouds_of_one_seed_are_the_same() -> None:
    one, other = new_world(seed=7), new_world(seed=7)
    assert list(one.cloud.state.instances) == list(other.cloud.state.instances)


LIVE = {"os-migrateLive": {"host": "c02", "block_migration": "auto"}}
NOWHERE = {"os-migrateLive": {"host": "c99", "block_migration": "auto"}}
DENIED = "Policy doesn't allow os_compute_api:os-migrate-server:migrate_live:host to be performed."


@pytest.mark.parametrize(
    ("name", "body", "status", "fault", "said"),
    [
        ("no-such-instance", LIVE, 404, "itemNotFound", "could not be found."),
        ("vm-c01-01", LIVE, 409, "conflictingRequest", "while it is in vm_state stopped"),
        ("vm-c03-01", NOWHERE, 400, "badRequest", "Compute host c99 could not be found."),
        ("vm-c03-02", LIVE, 403, "forbidden", DENIED),
        ("vm-c02-01", LIVE, 500, "computeFault", "Unexpected API Error."),
        ("vm-c03-01", {"createBackup": {}}, 400, "badRequest", "There is no such action"),
    ],
)
def test_each_refusal_has_the_body_of_nova_s(
    world: Worlds, name: str, body: object, status: int, fault: str, said: str
) -> None:
    made = world(cells=2)
    made.nova.stop_guest(made.instance("vm-c01-01").id)
    made.wait(10)
    made.cloud.control.lose_cell(made.cloud.state.cells["cell2"])
    if status == 403:
        made.cloud.settings.denied = {rights.LIVE_TO_HOST.rule}
    found = [each.id for each in made.cloud.state.instances.values() if each.name == name]
    path = f"/servers/{found[0] if found else name}/action"
    answer = made.nova._compute.post(path, json=body, microversion="2.34", raise_exc=False)
    assert answer.status_code == status
    assert answer.headers["OpenStack-API-Version"] == "compute 2.34"
    assert answer.json()[fault]["code"] == status
    assert said in answer.json()[fault]["message"]


def test_a_token_that_is_none_is_401(world: Worlds) -> None:
    made = world()
    session = made.nova._cloud.session
    url = f"{made.application.url}/compute/v2.1/servers"
    headers = {"X-Auth-Token": "none"}
    answer = session.get(url, raise_exc=False, authenticated=False, headers=headers)
    assert answer.status_code == 401
    assert answer.json()["error"]["title"] == "Unauthorized"
    assert answer.headers["WWW-Authenticate"].startswith("Keystone uri=")
