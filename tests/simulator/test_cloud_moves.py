"""The lives of migrations and instances in the simulated cloud, as the plugin sees them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from openstack_maintenance.adapters.cloud_errors import Conflict, NotThere, Refused
from openstack_maintenance.domain.cloud import PAUSED, RUNNING, SHUTDOWN
from simulated_cloud import World, new_world
from simulator.cloud import ColdEnd, LiveEnd
from simulator.cloud.fleet import HostSize, add_flavor, add_group, add_host, add_image, add_instance
from simulator.cloud.model import Instance

Worlds = Callable[..., World]

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


def statuses(made: World, instance: Instance) -> list[str]:
    """What a migration's status has been, one after the other."""
    words = [each.what.split() for each in made.cloud.journal.about(instance.id)]
    return [each[-1] for each in words if each[0] == "migration"]


def where(made: World, instance: Instance) -> list[str]:
    """The hosts on which a guest process of an instance runs."""
    return [each for each in made.cloud.state.hosts if instance.id in made.cloud.guests_on(each)]


# -- live migrations


def test_a_live_migration_lives_as_nova_s_do(world: Worlds) -> None:
    made = world()
    instance = made.live("vm-c01-01", "c02")
    assert made.nova.get_instance(instance.id).task_state == "migrating"
    assert made.nova.get_instance(instance.id).status == "MIGRATING"
    made.wait(2)
    assert where(made, instance) == ["c01", "c02"]  # the destination's process waits for it
    made.wait(30)
    assert statuses(made, instance) == [
        "accepted",
        "queued",
        "preparing",
        "running",
        "completed",
    ]
    found = made.nova.get_instance(instance.id)
    assert (found.host, found.status, found.task_state) == ("c02", "ACTIVE", None)
    migration = made.migration(instance)
    assert (migration.source, migration.destination) == ("c01", "c02")
    assert where(made, instance) == ["c02"]
    assert made.cloud.state.starts[instance.id] == 1  # the guest was never interrupted
    assert made.nova.why_it_failed(instance.id) is None


def test_a_paused_guest_stays_paused(world: Worlds) -> None:
    made = world()
    instance = made.instance("vm-c01-01")
    made.cloud.owners.perform(instance.id, "pause")
    made.wait(10)
    made.live("vm-c01-01")
    made.wait(30)
    found = made.nova.get_instance(instance.id)
    assert (found.status, found.power_state) == ("PAUSED", PAUSED) and found.host != "c01"


def test_one_live_migration_runs_at_a_time_and_the_others_are_queued(world: Worlds) -> None:
    made = world(live_least=20.0)
    moved = [made.live(f"vm-c01-0{number}") for number in (1, 2, 3)]
    made.wait(10)
    found = sorted(made.migration(each).status for each in moved)
    assert found == ["queued", "queued", "running"]
    made.wait(120)
    assert {made.migration(each).status for each in moved} == {"completed"}


def test_instance_and_status_may_change_in_either_order(world: Worlds) -> None:
    made = world(is_status_first=True, write_gap=5.0)
    instance = made.live("vm-c01-01", "c02")
    made.wait(7.5)
    assert made.migration(instance).status == "completed"
    assert made.nova.get_instance(instance.id).host == "c01"
    assert made.nova.get_instance(instance.id).task_state == "migrating"
    made.wait(6)
    assert made.nova.get_instance(instance.id).host == "c02"


def test_lists_may_lag_behind(world: Worlds) -> None:
    made = world(list_lag=20.0)
    instance = made.live("vm-c01-01", "c02")
    made.wait(8)
    assert made.nova.get_instance(instance.id).host == "c02"
    assert instance.id in {each.id for each in made.nova.instances_on("c01")}
    assert instance.id not in {each.id for each in made.nova.instances_on("c02")}
    made.wait(25)
    assert instance.id in {each.id for each in made.nova.instances_on("c02")}
    assert made.migration(instance).status == "completed"


@pytest.mark.parametrize("is_same_host", [True, False])
def test_no_valid_host_is_202_and_then_an_error(world: Worlds, is_same_host: bool) -> None:
    made = world()
    if not is_same_host:
        for host in ("c02", "c03", "c04"):
            made.nova.disable(made.nova.get_service(host), "full")
    instance = made.live("vm-c01-01", "c01" if is_same_host else None)
    made.wait(10)
    assert made.migration(instance).status == "error"
    found = made.nova.get_instance(instance.id)
    assert (found.status, found.host, found.task_state) == ("ACTIVE", "c01", None)
    assert found.fault is None  # shown only in ERROR
    said = made.nova.why_it_failed(instance.id)
    assert said == "No valid host was found. There are not enough hosts available."


def test_before_2_84_the_reason_is_the_end_of_a_traceback(world: Worlds) -> None:
    made = world(newest=60)
    instance = made.live("vm-c01-01", "c01")
    made.wait(10)
    said = made.nova.why_it_failed(instance.id)
    assert said is not None and said.endswith("There are not enough hosts available.")


def test_the_task_is_cleared_before_the_failure_is_written(world: Worlds) -> None:
    made = world(live_end=lambda *_: LiveEnd.FAILS, write_gap=5.0)
    instance = made.live("vm-c01-01", "c02")
    made.wait(8)
    assert made.nova.get_instance(instance.id).task_state is None
    assert made.migration(instance).status == "running"
    made.wait(5)
    assert made.migration(instance).status == "failed"
    assert where(made, instance) == ["c01"]


def test_wrong_states_answer_409_and_unknown_hosts_400(world: Worlds) -> None:
    made = world()
    instance = made.instance("vm-c01-01")
    with pytest.raises(Refused, match="Compute host c99 could not be found"):
        made.live("vm-c01-01", "c99")
    made.nova.stop_guest(instance.id)
    with pytest.raises(Conflict, match="while it is in task_state powering-off"):
        made.live("vm-c01-01")
    made.wait(10)
    said = f"Cannot 'os-migrateLive' instance {instance.id} while it is in vm_state stopped"
    with pytest.raises(Conflict, match=said):
        made.live("vm-c01-01")


@pytest.mark.parametrize(("newest", "error"), [(60, Conflict), (104, Refused)])
def test_what_cannot_move_is_refused_at_once(
    world: Worlds, newest: int, error: type[Exception]
) -> None:
    made = world(newest=newest)
    flavor = add_flavor(made.cloud, "sev", 1, 512, 1, {"hw:mem_encryption": "true"})
    add_instance(made.cloud, "sealed", "c01", flavor)
    with pytest.raises(error, match="not supported for SEV-enabled instance"):
        made.live("sealed")


@pytest.mark.parametrize(
    ("is_shared", "flag", "why"),
    [(True, "true", "Block migration can not be used"), (False, "false", "boot-from-volume")],
)
def test_a_wrong_block_flag_finds_no_host(
    world: Worlds, is_shared: bool, flag: str, why: str
) -> None:
    made = world(is_storage_shared=is_shared)
    instance = made.instance("vm-c01-01")
    made.nova.live_migrate(instance.id, "c02", flag)
    made.wait(10)
    assert made.migration(instance).status == "error"
    said = made.nova.why_it_failed(instance.id)
    assert said is not None and why in said and said.endswith("not enough hosts available.")


def test_a_host_that_refuses_is_passed_over(world: Worlds) -> None:
    made = world()
    for host in ("c02", "c03"):
        made.cloud.state.hosts[host].refuses_incoming = "CPU doesn't have compatibility."
    instance = made.live("vm-c01-01")
    made.wait(30)
    assert made.nova.get_instance(instance.id).host == "c04"


def test_a_running_one_is_aborted(world: Worlds) -> None:
    made = world(live_end=lambda *_: LiveEnd.STICKS)
    instance = made.live("vm-c01-01", "c02")
    made.wait(10)
    made.nova.abort(made.migration(instance))
    made.wait(3)
    assert made.migration(instance).status == "cancelled"
    assert made.nova.get_instance(instance.id).task_state is None
    with pytest.raises(Conflict, match="in an invalid state for 'abort live migration'"):
        made.nova.abort(made.migration(instance))


def test_a_queued_one_is_aborted_from_2_65_on(world: Worlds) -> None:
    for newest in (60, 104):
        made = world(newest=newest, live_least=60.0)
        made.live("vm-c01-01", "c02")
        made.wait(3)
        waiting = made.live("vm-c01-02", "c02")
        made.wait(3)
        migration = made.migration(waiting)
        assert migration.status == "queued"
        if newest < 65:
            with pytest.raises(Refused, match=r"is queued\. Cannot abort live migration"):
                made.nova.abort(migration)
            continue
        made.nova.abort(migration)
        made.wait(3)
        assert made.migration(waiting).status == "cancelled"
        made.wait(120)
        assert made.nova.get_instance(waiting.id).host == "c01"


def test_only_a_running_one_is_forced_to_complete(world: Worlds) -> None:
    made = world(live_end=lambda *_: LiveEnd.STICKS)
    instance = made.live("vm-c01-01", "c02")
    made.wait(1.5)
    with pytest.raises(Refused, match="Cannot force complete while"):
        made.nova.force_complete(made.migration(instance))
    made.wait(10)
    made.nova.force_complete(made.migration(instance))
    made.wait(10)
    assert made.migration(instance).status == "completed"
    assert made.nova.get_instance(instance.id).host == "c02"


def test_nova_s_own_limit_counts_ram_and_copied_disks(world: Worlds) -> None:
    made = world(live_end=lambda *_: LiveEnd.STICKS, is_storage_shared=True)
    instance = made.live("vm-c01-01", "c02")
    made.wait(1590)
    assert made.migration(instance).status == "running"
    made.wait(30)  # 800 s for each of at least 2 GiB
    assert made.migration(instance).status == "cancelled"


@pytest.mark.parametrize(
    ("end", "host"), [(LiveEnd.ERRORS_ON_SOURCE, "c01"), (LiveEnd.ERRORS_ON_DESTINATION, "c02")]
)
def test_an_instance_in_error_has_a_guest_that_runs(world: Worlds, end: LiveEnd, host: str) -> None:
    made = world(live_end=lambda *_: end)
    instance = made.live("vm-c01-01", "c02")
    made.wait(30)
    found = made.nova.get_instance(instance.id)
    assert (found.status, found.host) == ("ERROR", host)
    assert (found.fault is not None) == (host == "c02")
    assert where(made, instance) == [host]
    made.nova._compute.reset_server_state(instance.id, "active")
    assert made.nova.get_instance(instance.id).status == "ACTIVE"


def test_completed_may_mean_that_nothing_moved(world: Worlds) -> None:
    made = world(live_end=lambda *_: LiveEnd.COMPLETED_IN_PLACE)
    instance = made.live("vm-c01-01", "c02")
    made.wait(30)
    assert made.migration(instance).status == "completed"
    assert made.nova.get_instance(instance.id).host == "c01"


def test_a_conductor_that_dies_leaves_a_migration_accepted_for_ever(world: Worlds) -> None:
    made = world()
    instance = made.live("vm-c01-01", "c02")
    made.wait(0.5)
    made.cloud.control.lose_conductor()
    made.wait(20)
    made.cloud.control.conductor_returns()
    made.wait(3600)
    found = made.migration(instance)
    assert (found.status, found.destination) == ("accepted", None)
    assert made.nova.get_instance(instance.id).task_state == "migrating"
    assert where(made, instance) == ["c01"]


def test_orders_wait_for_a_conductor_that_is_away(world: Worlds) -> None:
    made = world()
    made.cloud.control.lose_conductor()
    instance = made.live("vm-c01-01", "c02")
    made.wait(30)
    assert statuses(made, instance) == []
    made.cloud.control.conductor_returns()
    made.wait(30)
    assert made.migration(instance).status == "completed"


def test_a_call_that_a_dying_conductor_held_ends_in_error(world: Worlds) -> None:
    made = world(live_least=30.0)
    instance = made.live("vm-c01-01", "c02")
    made.wait(10)
    made.cloud.control.lose_conductor(chance_in_hand=1.0)
    made.wait(10)
    made.cloud.control.conductor_returns()
    made.wait(60)
    assert made.nova.get_instance(instance.id).status == "ERROR"
    assert where(made, instance) == ["c01"]


def test_without_a_broker_no_heartbeat_arrives(world: Worlds) -> None:
    made = world()
    made.wait(35)
    made.cloud.control.lose_broker()
    before = made.nova.get_service("c01").updated_at
    made.wait(90)
    assert made.nova.get_service("c01").updated_at == before
    assert not made.nova.get_service("c01").is_up
    made.cloud.control.broker_returns()
    made.wait(11)
    assert made.nova.get_service("c01").is_up


# -- hosts


def test_the_end_of_nova_compute_cancels_what_is_queued(world: Worlds) -> None:
    made = world(live_least=60.0)
    running, queued = made.live("vm-c01-01", "c02"), made.live("vm-c01-02", "c02")
    made.wait(10)
    made.cloud.host_stops_nova_compute("c01")
    assert made.migration(queued).status == "cancelled"
    made.wait(100)
    assert made.migration(running).status == "running"  # nobody follows it
    made.cloud.host_starts_nova_compute("c01")
    assert made.migration(running).status == "error"
    for instance in (running, queued):
        found = made.nova.get_instance(instance.id)
        assert (found.status, found.task_state, found.host) == ("ACTIVE", None, "c01")
        assert where(made, instance) == ["c01"]


def test_a_reboot_ends_guests_and_nothing_resumes_them(world: Worlds) -> None:
    made = world()
    instance = made.instance("vm-c01-01")
    made.cloud.host_reboots("c01")
    assert made.cloud.guests_on("c01") == []
    assert made.nova.get_instance(instance.id).status == "ACTIVE"  # Nova does not know yet
    made.wait(20)
    made.cloud.host_starts_nova_compute("c01")
    made.wait(60)
    found = made.nova.get_instance(instance.id)
    assert (found.status, found.power_state) == ("SHUTOFF", SHUTDOWN)
    made.nova.start_guest(instance.id)
    made.wait(10)
    assert made.nova.get_instance(instance.id).power_state == RUNNING
    assert made.cloud.state.starts[instance.id] == 2


def test_a_destination_that_reboots_fails_what_is_on_its_way(world: Worlds) -> None:
    made = world(live_least=30.0)
    instance = made.live("vm-c01-01", "c02")
    made.wait(10)
    made.cloud.host_reboots("c02")
    made.wait(5)
    assert statuses(made, instance)[-2:] == ["failed", "error"]
    assert made.nova.get_instance(instance.id).status == "ERROR"
    assert where(made, instance) == ["c01"]


def test_orders_to_a_stopped_nova_compute_wait_for_it(world: Worlds) -> None:
    made = world()
    instance = made.instance("vm-c01-01")
    made.cloud.host_stops_nova_compute("c01")
    made.nova.stop_guest(instance.id)
    made.wait(30)
    assert made.nova.get_instance(instance.id).task_state == "powering-off"
    made.cloud.host_starts_nova_compute("c01")
    made.wait(1)
    assert made.nova.get_instance(instance.id).status == "SHUTOFF"


def test_a_host_without_its_broker_is_not_heard_and_writes_nothing(world: Worlds) -> None:
    made = world(live_least=30.0)
    instance = made.live("vm-c01-01", "c02")
    made.wait(20)
    made.cloud.host_loses_broker("c01")
    made.wait(50)
    assert where(made, instance) == ["c01", "c02"]
    assert made.migration(instance).status == "running"
    made.wait(50)
    assert not made.nova.get_service("c01").is_up
    assert [each.is_up for each in made.health.network_agents() or []].count(False) == 1
    made.cloud.host_reaches_broker("c01")
    assert made.nova.get_service("c01").is_up
    assert made.nova.get_instance(instance.id).status == "ERROR"  # its call had timed out


# -- cold migrations and resizes


def test_a_cold_migration_waits_to_be_confirmed_once(world: Worlds) -> None:
    made = world()
    instance = made.instance("vm-c01-01")
    made.nova.stop_guest(instance.id)
    made.wait(10)
    made.nova.cold_migrate(instance.id, "c02")
    made.wait(30)
    found = made.nova.get_instance(instance.id)
    assert (found.status, found.host, found.power_state) == ("VERIFY_RESIZE", "c02", SHUTDOWN)
    assert made.migration(instance).status == "finished"
    made.nova.confirm(instance.id)
    with pytest.raises(Refused, match="Instance has not been resized"):
        made.nova.confirm(instance.id)
    made.wait(10)
    assert made.migration(instance).status == "confirmed"
    assert made.nova.get_instance(instance.id).status == "SHUTOFF"
    assert where(made, instance) == []


def test_a_cold_migration_of_a_running_guest_restarts_it(world: Worlds) -> None:
    made = world()
    instance = made.instance("vm-c01-01")
    made.nova.cold_migrate(instance.id, None)
    made.wait(30)
    assert where(made, instance) != ["c01"] and made.cloud.state.starts[instance.id] == 2
    made.nova.confirm(instance.id)
    made.wait(10)
    assert made.nova.get_instance(instance.id).status == "ACTIVE"


@pytest.mark.parametrize(("end", "status"), [(ColdEnd.FAILS, "ACTIVE"), (ColdEnd.ERRORS, "ERROR")])
def test_a_cold_migration_that_fails_stays_at_its_source(
    world: Worlds, end: ColdEnd, status: str
) -> None:
    made = world(cold_end=lambda *_: end)
    instance = made.instance("vm-c01-01")
    made.nova.cold_migrate(instance.id, "c02")
    made.wait(30)
    found = made.nova.get_instance(instance.id)
    assert (found.status, found.host, found.task_state) == (status, "c01", None)
    assert made.migration(instance).status == "error"
    assert where(made, instance) == (["c01"] if status == "ACTIVE" else [])


def test_a_cold_migration_is_refused_for_its_own_host_and_from_a_host_that_is_down(
    world: Worlds,
) -> None:
    made = world()
    instance = made.instance("vm-c01-01")
    with pytest.raises(Refused, match="Cannot migrate to the host where the server exists"):
        made.nova.cold_migrate(instance.id, "c01")
    made.cloud.host_fails("c01")
    made.wait(120)
    with pytest.raises(Conflict, match="Service is unavailable at this time"):
        made.nova.cold_migrate(instance.id, "c02")


def test_an_owner_s_resize_waits_and_can_be_reverted(world: Worlds) -> None:
    made = world()
    flavor = add_flavor(made.cloud, "large", 4, 2048, 10)
    instance = made.instance("vm-c01-01")
    assert made.cloud.owners.resizes(instance.id, flavor.id)
    made.wait(60)
    found = made.nova.get_instance(instance.id)
    assert (found.status, found.ram_mib) == ("VERIFY_RESIZE", 2048)
    assert made.cloud.owners.reverts(instance.id)
    made.wait(30)
    found = made.nova.get_instance(instance.id)
    assert (found.status, found.host, found.ram_mib) == ("ACTIVE", "c01", 512)


# -- what else owners do


def test_a_start_may_fail_after_202(world: Worlds) -> None:
    made = world(power_succeeds=lambda _, action: action != "start")
    instance = made.instance("vm-c01-01")
    made.nova.stop_guest(instance.id)
    made.wait(10)
    made.nova.start_guest(instance.id)
    assert made.nova.get_instance(instance.id).task_state == "powering-on"
    made.wait(10)
    found = made.nova.get_instance(instance.id)
    assert (found.status, found.task_state) == ("SHUTOFF", None)
    assert made.nova.why_it_failed(instance.id) == "Failed to start the instance"


@pytest.mark.parametrize(
    ("name", "status", "runs"),
    [
        ("pause", "PAUSED", True),
        ("suspend", "SUSPENDED", False),
        ("rescue", "RESCUE", True),
        ("rebuild", "ACTIVE", True),
        ("reboot", "ACTIVE", True),
        ("shelve", "SHELVED_OFFLOADED", False),
    ],
)
def test_owners_use_their_instances(world: Worlds, name: str, status: str, runs: bool) -> None:
    made = world()
    instance = made.instance("vm-c01-01")
    assert made.cloud.owners.perform(instance.id, name)
    assert not made.cloud.owners.perform(instance.id, name)  # Nova is busy with it
    made.wait(30)
    found = made.nova.get_instance(instance.id)
    assert found.status == status
    assert (found.host is None) == (name == "shelve")
    assert bool(where(made, instance)) == runs


def test_a_deleted_instance_may_be_kept_for_a_while(world: Worlds) -> None:
    made = world(reclaim_instance_interval=600.0)
    instance = made.instance("vm-c01-01")
    made.cloud.owners.deletes(instance.id)
    made.wait(10)
    assert made.nova.get_instance(instance.id).status == "SOFT_DELETED"
    assert instance.id not in {each.id for each in made.nova.instances_on("c01")}
    made.wait(700)
    assert made.nova.find_instance(instance.id) is None


def test_an_instance_that_is_deleted_in_the_middle_of_its_move_is_gone(world: Worlds) -> None:
    made = world(live_least=30.0)
    instance = made.live("vm-c01-01", "c02")
    made.wait(10)
    made.cloud.owners.deletes(instance.id)
    made.wait(60)
    assert made.nova.find_instance(instance.id) is None
    assert where(made, instance) == []
    assert made.cloud.state.hosts["c02"].incoming == {}
    assert all(each.used["VCPU"] == len(each.instances) for each in made.cloud.state.hosts.values())


def test_a_guest_that_is_shut_down_from_within_becomes_shutoff(world: Worlds) -> None:
    made = world()
    instance = made.instance("vm-c01-01")
    made.cloud.owners.shuts_down_inside(instance.id)
    assert made.nova.get_instance(instance.id).status == "ACTIVE"
    made.wait(20)
    assert made.nova.get_instance(instance.id).status == "SHUTOFF"


def test_new_instances_are_built_where_there_is_room(world: Worlds) -> None:
    made = world()
    flavor = next(iter(made.cloud.state.flavors))
    made.nova.disable(made.nova.get_service("c01"), "maintenance")
    new_id = made.cloud.owners.creates("new", flavor, "admin")
    made.wait(20)
    found = made.nova.get_instance(new_id)
    assert found.status == "ACTIVE" and found.host not in (None, "c01") and found.is_launched
    huge = add_flavor(made.cloud, "huge", 1, 10**7, 1)
    lost_id = made.cloud.owners.creates("lost", huge.id)
    made.wait(20)
    found = made.nova.get_instance(lost_id)
    assert (found.status, found.host) == ("ERROR", None)
    assert found.fault is not None and found.fault.startswith("No valid host was found.")


def test_groups_bind_the_scheduler(world: Worlds) -> None:
    made = world(hosts=3, per_host=0)
    apart = add_group(made.cloud, "apart", "anti-affinity")
    one = add_instance(made.cloud, "one", "c01", group=apart)
    add_instance(made.cloud, "two", "c02", group=apart)
    made.live("one")
    made.wait(30)
    assert made.nova.get_instance(one.id).host == "c03"
    together = add_group(made.cloud, "together", "affinity")
    three = add_instance(made.cloud, "three", "c01", group=together)
    made.nova.disable(made.nova.get_service("c01"), "maintenance")
    made.live("three", "c02")
    made.wait(30)
    assert made.nova.get_instance(three.id).host == "c01"
    assert made.migration(three).status == "error"


def test_a_full_host_takes_nothing(world: Worlds) -> None:
    made = world(is_empty=True)
    add_image(made.cloud, "cirros")
    flavor = add_flavor(made.cloud, "half", 1, 4096, 1)
    for name in ("c01", "c02"):
        add_host(made.cloud, name, size=HostSize(ram_mib=8704))
    for name, host in (("a", "c01"), ("b", "c02"), ("c", "c02")):
        add_instance(made.cloud, name, host, flavor)
    instance = made.live("a")
    made.wait(30)
    assert made.migration(instance).status == "error"
    assert made.nova.why_it_failed(instance.id) is not None


def test_a_volume_backed_instance_has_no_image(world: Worlds) -> None:
    made = world()
    instance = add_instance(made.cloud, "volume", "c01", has_volume=True)
    assert made.nova.get_instance(instance.id).is_volume_backed
    assert "DISK_GB" not in made.cloud.state.allocations[instance.id]["c01"]


def test_a_migration_that_is_not_there(world: Worlds) -> None:
    made = world(live_least=30.0)
    instance = made.live("vm-c01-01", "c02")
    made.wait(10)
    answer = made.nova._compute.delete(
        f"/servers/{instance.id}/migrations/999", microversion="2.65", raise_exc=False
    )
    assert answer.status_code == 404
    assert answer.json()["itemNotFound"]["message"] == (
        f"Migration 999 not found for instance {instance.id}"
    )
    with pytest.raises(NotThere):
        made.nova.get_instance("00000000-0000-4000-8000-000000000000")
