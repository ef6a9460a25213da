"""What a maintenance does to a controller, and what forbids it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import builders
from openstack_maintenance.adapters.deployment_files import load_deployment
from openstack_maintenance.domain.checks.checked import Checked
from openstack_maintenance.domain.checks.controller_facts import (
    Broker,
    Database,
    SeenController,
    SeenService,
)
from openstack_maintenance.domain.checks.finding import Finding
from openstack_maintenance.domain.controllers.plan import (
    is_called,
    stages,
    still_to_restart,
    used_services,
)
from openstack_maintenance.domain.controllers.rules import (
    health_blockers,
    masked_blockers,
    one_machine_blockers,
    redundancy_blocker,
)
from openstack_maintenance.domain.deployment import Service
from openstack_maintenance.domain.host.facts import UnitState

FOLDER = Path(__file__).parents[3] / "include/deployments"
LAB = load_deployment("lab", FOLDER)
NOW = datetime(2026, 3, 10, 1, 0, tzinfo=UTC)


def unit(
    name: str,
    active: str = "active",
    at_boot: str = "enabled",
    entered: datetime | None = None,
    kind: str = "systemd",
) -> SeenService:
    state = UnitState(
        name=f"{name}.service",
        kind=kind,  # type: ignore[arg-type]  # the tables give any text
        active_state=active,
        active_enter=entered,
        starts_at_boot=at_boot,
    )
    return SeenService(name, state)


def controller(
    *down: str, members: int = 3, galera: int | None = 3, boot_id: str = "b1"
) -> SeenController:
    names = tuple(f"rabbit@ctl0{number}" for number in range(1, members + 1))
    status = {"wsrep_cluster_size": str(galera), "wsrep_cluster_state_uuid": "u"} if galera else {}
    return builders.controller(
        boot_id=boot_id,
        services=tuple(
            unit(each.name, "inactive" if each.name in down else "active") for each in LAB
        ),
        broker=Broker(members=names, running=names),
        database=Database(answers=True, galera=status),
    )


def service(name: str) -> Service:
    found = LAB.find_service(name)
    assert found is not None
    return found


def test_infrastructure_comes_before_identity_and_nova_api_last() -> None:
    assert [[each.name for each in stage] for stage in stages(LAB)] == [
        ["mariadb"],
        ["rabbitmq-server"],
        ["memcached"],
        ["keystone"],
        ["placement-api", "glance-api", "neutron-server"],
        ["nova-conductor"],
        ["nova-scheduler"],
        ["nova-api"],
    ]


@pytest.mark.parametrize("flavour", ["debian", "kolla", "lab", "rdo", "rdo-liberty"])
def test_every_catalog_has_an_order_and_its_apis(flavour: str) -> None:
    catalog = load_deployment(flavour, FOLDER)
    by_name = {each.name.removeprefix("openstack-"): each for each in catalog}
    assert by_name["keystone"].stage == "identity"
    assert by_name["nova-conductor"].stage == "conductor"
    assert by_name["nova-scheduler"].stage == "scheduler"
    assert (by_name["nova-api"].stage, by_name["nova-api"].role) == ("api", "api")
    assert by_name["glance-api"].role == by_name["neutron-server"].role == "api"
    for name in ("messagebus", "openvswitch", "openvswitch-switch"):
        assert name not in by_name or by_name[name].stage == "never"


@pytest.mark.parametrize(
    ("seen", "required", "by_default", "when_named"),
    [
        (unit("x"), True, True, True),
        (unit("x", "failed"), True, True, True),
        (unit("x", "inactive", "enabled"), False, True, True),
        (unit("x", "inactive", "disabled"), True, False, True),
        (unit("x", "inactive", "disabled"), False, False, False),
        (unit("x", "inactive", "masked"), True, False, False),
        (unit("x", "active", "masked"), True, False, False),
        (unit("x", "", "", kind="absent"), True, False, False),
    ],
)
def test_what_is_in_use_is_restarted(
    seen: SeenService, required: bool, by_default: bool, when_named: bool
) -> None:
    wanted = Service("x", required=required)
    catalog = replace(LAB, groups=(replace(LAB.groups[0], services=(wanted,)),))
    there = replace(controller(), services=(seen,))
    assert bool(used_services([], catalog, there)) is by_default
    assert bool(used_services([wanted], catalog, there)) is when_named


def test_what_is_masked_is_a_blocker_when_it_is_named() -> None:
    there = replace(controller(), services=(unit("nova-api", at_boot="masked-runtime"),))
    (found,) = masked_blockers("ctl01", [service("nova-api")], there)
    assert "service nova-api on ctl01: is masked" in str(found)


@pytest.mark.parametrize(
    ("active", "entered", "is_left"),
    [
        ("active", NOW + timedelta(seconds=1), False),
        ("active", NOW, True),
        ("active", NOW - timedelta(hours=1), True),
        ("active", None, True),
        ("activating", NOW + timedelta(seconds=1), True),
        ("failed", NOW + timedelta(seconds=1), True),
        ("inactive", None, True),
    ],
)
def test_only_what_became_active_after_the_note_was_restarted(
    active: str, entered: datetime | None, is_left: bool
) -> None:
    there = replace(controller(), services=(unit("nova-api", active, entered=entered),))
    left = still_to_restart([service("nova-api")], there, NOW)
    assert bool(left) is is_left


THREE = {"ctl01": controller(), "ctl02": controller(), "ctl03": controller()}


@pytest.mark.parametrize(
    ("touched", "seen", "lost"),
    [
        ("nova-api", THREE, None),
        ("rabbitmq-server", THREE, None),
        ("mariadb", THREE, None),
        ("nova-scheduler", {"ctl01": controller()}, None),
        ("memcached", {"ctl01": controller()}, None),
        ("nova-api", {"ctl01": controller()}, "nova-api (the last API of its kind)"),
        ("mariadb", {"ctl01": controller()}, "mariadb (the last database)"),
        ("rabbitmq-server", {"ctl01": controller()}, "rabbitmq-server (the last broker)"),
        # The other one is there, but does not run.
        (
            "nova-api",
            {"ctl01": controller(), "ctl02": controller("nova-api")},
            "nova-api (the last API of its kind)",
        ),
        # It is down there already: nothing more is lost.
        ("nova-api", {"ctl01": controller("nova-api")}, None),
        (
            "rabbitmq-server",
            {"ctl01": controller(members=2), "ctl02": controller(members=2)},
            "rabbitmq-server (only 1 of 2 cluster members would be left)",
        ),
        # Each for itself: the other one does.
        (
            "rabbitmq-server",
            {"ctl01": controller(members=1), "ctl02": controller(members=1)},
            None,
        ),
        (
            "mariadb",
            {"ctl01": controller(galera=2), "ctl02": controller(galera=2)},
            "mariadb (no majority of its 2 cluster nodes would be left)",
        ),
        (
            "mariadb",
            {"ctl01": controller(galera=None), "ctl02": controller(galera=None)},
            "mariadb (not a cluster: the others do not have its data)",
        ),
    ],
)
def test_what_the_cloud_would_lose_is_named(
    touched: str, seen: dict[str, SeenController], lost: str | None
) -> None:
    found = redundancy_blocker("ctl01", [service(touched)], seen, is_reboot=False)
    assert (found is None) is (lost is None)
    if found is not None:
        assert str(found).startswith(
            f"controller ctl01: maintaining it would leave the cloud without: {lost}. "
        )
        assert "allow_outage=true" in found.remedy


@pytest.mark.parametrize("part", ["broker", "database"])
def test_a_cluster_that_cannot_be_asked_is_no_redundancy(part: str) -> None:
    dumb = {"broker": Broker(error="no answer"), "database": Database(error="no answer")}[part]
    touched = service({"broker": "rabbitmq-server", "database": "mariadb"}[part])
    seen = {**THREE, "ctl01": replace(controller(), **{part: dumb})}
    assert redundancy_blocker("ctl01", [touched], seen, is_reboot=False) is not None


@pytest.mark.parametrize(
    ("seen", "is_reboot", "lost"),
    [
        ({"ctl01": controller()}, True, "the database on it (the last database)"),
        ({"ctl01": controller()}, False, None),
        (THREE, True, None),
        (
            {"ctl01": controller(galera=2), "ctl02": controller(galera=2)},
            True,
            "the database on it (no majority of its 2 cluster nodes would be left)",
        ),
    ],
)
def test_a_reboot_takes_a_database_down_that_the_catalog_does_not_list(
    seen: dict[str, SeenController], is_reboot: bool, lost: str | None
) -> None:
    found = redundancy_blocker("ctl01", [service("nova-scheduler")], seen, is_reboot)
    assert (found is None) is (lost is None)
    assert found is None or f": {lost}. " in str(found)


OK = Finding("nova-api", "ok", "active")
BAD = Finding("nova-scheduler", "bad", "inactive")
CLOUD_BAD = Finding("nova-scheduler", "bad", "down on ctl01")


@pytest.mark.parametrize(
    ("own", "other", "cloud", "asked", "said"),
    [
        (OK, OK, OK, [], []),
        (BAD, OK, OK, ["nova-scheduler"], []),
        (BAD, OK, CLOUD_BAD, ["nova-scheduler"], []),
        (OK, OK, CLOUD_BAD, ["nova-scheduler"], ["the cloud: is not healthy before"]),
        (
            BAD,
            OK,
            OK,
            [],
            ["controller ctl01: is not healthy before its maintenance: nova-scheduler"],
        ),
        (BAD, OK, OK, ["nova-api"], ["controller ctl01: is not healthy before its maintenance"]),
        (
            OK,
            BAD,
            OK,
            ["nova-scheduler"],
            ["controller ctl02: is not healthy, so ctl01 must stay in service"],
        ),
        (OK, BAD, CLOUD_BAD, [], ["controller ctl02: is not healthy", "the cloud: is not healthy"]),
    ],
)
def test_only_what_is_asked_for_may_be_down_there(
    own: Finding, other: Finding, cloud: Finding, asked: list[str], said: list[str]
) -> None:
    checked = Checked(
        seen={}, services={"ctl01": [own], "ctl02": [other]}, cloud={"check_nova_services": [cloud]}
    )
    found = [str(each) for each in health_blockers("ctl01", asked, checked)]
    assert len(found) == len(said)
    assert all(text.startswith(start) for text, start in zip(found, said, strict=True))


def test_two_names_of_one_machine_are_no_redundancy() -> None:
    seen = {"a": controller(), "b": controller(), "c": controller(boot_id="b2")}
    (found,) = one_machine_blockers(seen)
    assert str(found).startswith("controllers a, b: are the same machine")
    assert one_machine_blockers({"a": controller(), "c": controller(boot_id="b2")}) == []


@pytest.mark.parametrize(
    ("nova", "names", "is_same"),
    [
        ("ctl01", ("ctl01", "x"), True),
        ("ctl01.example.com", ("ctl01",), True),
        ("ctl01", ("ctl01.example.com",), True),
        ("ctl01.east", ("ctl01.west",), False),
        ("c01", ("ctl01",), False),
    ],
)
def test_a_controller_is_known_by_its_names(
    nova: str, names: tuple[str, ...], is_same: bool
) -> None:
    assert is_called(nova, names) is is_same
