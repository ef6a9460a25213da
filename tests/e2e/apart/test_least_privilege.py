"""A user with the role openstack_maintenance and nothing else maintains hosts, and may no more.

Each right that is missing is named before anything changes.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness import Stage
from harness.maintainer import SERVICES, Maintainer, rules_of, text_of
from openstack_maintenance.adapters.cloud_errors import Refused
from openstack_maintenance.adapters.cloud_health import CloudHealth
from openstack_maintenance.adapters.nova import Nova
from openstack_maintenance.domain.drain.capacity import need_of
from openstack_maintenance.domain.drain.movability import plan_drain
from openstack_maintenance.domain.host.rights import CONTROLLER_RIGHTS, rights_needed

NOVA = "os_compute_api:"
# Not asked for beforehand: without a host Nova takes each question for an order ...
NO_QUESTION = {
    f"{NOVA}os-migrate-server:migrate",
    f"{NOVA}servers:stop",
    # This one is asked about an instance that there is not; Nova 34 looks for that first.
    f"{NOVA}os-admin-actions:reset_state",
}
# ... a run does without these: why a migration failed is not known then, and a stuck one is noticed
# by its time alone ...
NOT_VITAL = {
    f"{NOVA}servers:migrations:index",
    f"{NOVA}servers:migrations:index:host",
    f"{NOVA}os-instance-actions:list",
    f"{NOVA}os-instance-actions:show",
    f"{NOVA}os-instance-actions:events",
    f"{NOVA}os-instance-actions:events:details",
}
# ... and these are read before anything else by the DAGs that need them.
OF_OTHER_DAGS = {
    f"{NOVA}os-aggregates:index",
    f"{NOVA}servers:index",
    "placement:resource_providers:list",
    "placement:resource_providers:inventories:list",
    "placement:resource_providers:traits:list",
}
OF_CONTROLLERS = {
    f"{NOVA}servers:create",
    f"{NOVA}servers:delete",
    f"{NOVA}os-flavor-manage:create",
    f"{NOVA}os-flavor-manage:delete",
}
OLD_NAMES = {"admin_api", "admin_or_owner"}  # no rule of Nova 34 names them
RULES = set(rules_of("nova")) | set(rules_of("placement"))
NAMED = sorted(RULES - NO_QUESTION - NOT_VITAL - OF_OTHER_DAGS - OF_CONTROLLERS - OLD_NAMES)


@pytest.fixture(autouse=True)
def nothing_stays_taken(user: Maintainer) -> Iterator[None]:
    """A test that fails leaves no right missing for the next one."""
    yield
    user.give_back()


def opened(user: Maintainer) -> Nova:
    """The cloud, by a session of its own: while a policy is written, its API ends what is idle."""
    return Nova("openstack_default", user.options)


def pre_check(user: Maintainer, host: str) -> list[str]:
    """What check_host finds missing, for a plan that needs everything."""
    nova = opened(user)
    try:
        nova.services()
        hypervisor = nova.find_hypervisor(host)
        assert hypervisor is not None
        nova.consumers(hypervisor.id)
        instances = nova.instances_on(host)
        needed = rights_needed(
            plan_drain(instances, "stop"),
            to_named_host=True,
            to_any_host=True,
            may_force=True,
            may_stop=True,
        )
        missing = [str(each) for each in nova.missing_rights(needed)]
        need = need_of(instances[0])
        assert need is not None
        nova.hosts_with_room(need)
    except Refused as error:
        return [str(error)]
    return missing


def test_a_run_with_one_right_less_changes_nothing(stage: Stage, user: Maintainer) -> None:
    """With all of them a host is maintained: test_host_rights.py."""
    stage.place("c02", "ACTIVE", "SHUTOFF")
    then = stage.picture()
    user.take(f"{NOVA}os-services:update")
    problem = stage.fail(stage.airflow.maintain("c02"), "check_host")

    assert problem == (
        "cloud openstack_default: its user may not disable and enable a compute service: Policy "
        "doesn't allow os_compute_api:os-services:update to be performed. Allow "
        "os_compute_api:os-services:update to the user of connection openstack_default: see "
        "include/rights/openstack-policies. Nothing was changed."
    )
    assert stage.picture() == then


def test_each_right_that_a_host_needs_is_named_when_it_is_missing(
    stage: Stage, user: Maintainer
) -> None:
    stage.place("c01", "ACTIVE", "PAUSED", "SHUTOFF")
    stage.place("c02", "ACTIVE", prefix="other-")
    stage.migrate("other-active-01", "c03")  # a migration to be listed
    stage.wait_for_migration("other-active-01", "completed")
    before = stage.picture()
    assert pre_check(user, "c01") == []

    for rule in NAMED:
        user.take(rule)
        missing = pre_check(user, "c01")
        assert len(missing) == 1, f"{rule}: {missing}"
        assert f"Allow {rule} " in missing[0] or f"and {rule} " in missing[0], missing
        assert "\n" not in missing[0]

    user.give_back()
    assert pre_check(user, "c01") == []
    after = stage.picture()
    assert after == before
    tasks = {each.name: each.task_state for each in stage.cloud.instances()}
    assert set(tasks.values()) == {None}


def test_the_role_may_nothing_else_and_checks_controllers(stage: Stage, user: Maintainer) -> None:
    # Every rule of each service, by its own code, with the file and without it.
    for service in SERVICES:
        assert user.prove(service).endswith("and nothing else."), service
        assert user.make(service) == text_of(service)

    # What only Nova itself shows: another project's instance.
    stage.place("c01", "ACTIVE")
    instance = stage.instance("active-01")
    nova = opened(user)
    compute = nova._compute
    on = f"/servers/{instance.id}"
    for method, path, body in (
        ("DELETE", on, None),
        ("PUT", on, {"server": {"name": "mine"}}),
        ("POST", f"{on}/action", {"reboot": {"type": "HARD"}}),
        ("POST", f"{on}/action", {"evacuate": {"host": "c02"}}),
        ("POST", f"{on}/action", {"lock": None}),
        ("POST", f"{on}/action", {"createImage": {"name": "copy"}}),
        ("POST", "/os-aggregates", {"aggregate": {"name": "mine"}}),
        ("DELETE", f"/os-services/{nova.get_service('c04').id}", None),
    ):
        answer = compute.request(path, method, json=body, microversion="2.60", raise_exc=False)
        assert answer.status_code == 403, f"{method} {path} {body}: {answer.text}"
        assert "Policy doesn't allow" in answer.text

    # Controllers: every API serves, and a scheduler answers.
    health = CloudHealth("openstack_default", user.options)
    answers = health.try_endpoints(health.endpoints())
    assert {each.endpoint.service_type: each.status for each in answers} == {
        service: 200 for service in ("compute", "identity", "image", "network", "placement")
    }
    assert health.compute_services()
    assert health.network_agents() == []  # the lab runs none
    assert health.count_images() == 1
    assert nova.missing_rights(CONTROLLER_RIGHTS) == []
    assert nova.ask_scheduler("least-privilege")["asked"]
    for each in CONTROLLER_RIGHTS:
        user.take(each.right.rule)
        (missing,) = opened(user).missing_rights(CONTROLLER_RIGHTS)
        assert each.right.rule in missing.remedy
    # What is not asked for is tried, before a controller is touched.
    for rule in sorted(OF_CONTROLLERS | {f"{NOVA}servers:index"}):
        user.take(rule)
        with pytest.raises(Refused, match=f"Allow {rule} to the user"):
            opened(user).ask_scheduler("least-privilege")
    user.give_back()
    nova = opened(user)
    assert nova.ask_scheduler("least-privilege")["asked"]
    assert [each.name for each in stage.cloud.instances()] == ["active-01"]

    # Nova asks Neutron for the ports of an instance in the caller's name.
    network = stage.cloud.connection.network
    net = network.create_network(name="of-another-project")
    try:
        network.create_port(network_id=net.id, device_id=instance.id, name="of-another-project")
        found = nova._cloud.network.get("/ports", params={"device_id": instance.id}).json()
        assert [each["name"] for each in found["ports"]] == ["of-another-project"]
        assert nova._cloud.network.get("/networks").json()["networks"] == []
    finally:
        for port in network.ports(network_id=net.id):
            network.delete_port(port)
        network.delete_network(net)
