"""The controller's scripts as a real shell runs them, with stand-ins for what they ask.

Over SSH they run in the end-to-end tests; here /bin/sh runs them with
tests/fixtures/controller/bin in front of the PATH.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from openstack_maintenance.adapters.controller import (
    missing_rights,
    read_controller,
    read_history,
    restart_service,
)
from openstack_maintenance.adapters.deployment_files import load_deployment
from openstack_maintenance.adapters.shell import Answer, HostUnreachable, Shell
from openstack_maintenance.domain.checks.controller_facts import Broker, SeenController, SeenService
from openstack_maintenance.domain.checks.past_night import judge_night
from openstack_maintenance.domain.deployment import Deployment, NovaCompute, Service, ServiceGroup
from openstack_maintenance.domain.errors import HostError

FIXTURES = Path(__file__).parents[1] / "fixtures/controller"
DEPLOYMENTS = Path(__file__).parents[2] / "include/deployments"
LAB = load_deployment("lab", DEPLOYMENTS)
KOLLA = load_deployment("kolla", DEPLOYMENTS)
BROKER = '{"disk_nodes":["rabbit@a"],"running_nodes":["rabbit@a"],"partitions":{},"alarms":[]}\n'
LISTENING = "LISTEN 0 1024 10.0.0.8:11211 0.0.0.0:*\nLISTEN 0 128 0.0.0.0:22 0.0.0.0:*\n"
NIGHT = (datetime(2026, 11, 20, 1, tzinfo=UTC), datetime(2026, 11, 20, 2, tzinfo=UTC))


def unit(name: str, active: str = "active", sub: str = "running", **more: str) -> str:
    values = {
        "MainPID": "7",
        "NRestarts": "0",
        "Id": f"{name}.service",
        "LoadState": "loaded",
        "ActiveState": active,
        "SubState": sub,
        "UnitFileState": "enabled",
        "ActiveEnterTimestamp": "Sun 2026-11-01 12:51:00 UTC",
        "InactiveEnterTimestamp": "",
        **more,
    }
    return "".join(f"{key}={value}\n" for key, value in values.items())


class FakeController(Shell):
    """A shell that runs command lines here, in a folder that the stand-ins read."""

    def __init__(self, folder: Path) -> None:
        self.name = "ctl01"
        self.folder = folder
        for name, text in {
            "groups": "maintenance adm\n",
            "rabbitmq": BROKER,
            "database": "1\nwsrep_cluster_size\t3\n",
            "memcached": "VERSION 1.6.18\r\n",
            "listening": LISTENING,
            "containers": "",
            "boots": f"0 {'b' * 32} Sun 2026-11-01 12:50:16 UTC Sun 2026-11-22 13:00:00 UTC\n",
            "events": "",
            "calls": "",
        }.items():
            self.write(name, text)
        for service in LAB:
            self.write(f"unit.{service.name}.service", unit(service.name))

    def write(self, name: str, text: str = "") -> None:
        (self.folder / name).write_text(text)

    def calls(self) -> list[str]:
        return (self.folder / "calls").read_text().splitlines()

    async def run(self, command: str, *, wait: timedelta, stdin: bytes = b"") -> Answer:
        child = await asyncio.create_subprocess_exec(
            "/bin/sh",
            "-c",
            command,
            env={"PATH": f"{FIXTURES / 'bin'}:/usr/bin:/bin", "FAKE": str(self.folder)},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await asyncio.wait_for(child.communicate(), wait.total_seconds())
        return Answer(child.returncode, out.decode(), err.decode())


@pytest.fixture
def fake(tmp_path: Path) -> FakeController:
    return FakeController(tmp_path)


def of(seen: SeenController, name: str) -> SeenService:
    return next(each for each in seen.services if each.name == name)


async def test_one_look_tells_everything_about_a_healthy_controller(fake: FakeController) -> None:
    seen = await read_controller(fake, LAB)
    assert {each.name: each.state.active_state for each in seen.services} == {
        service.name: "active" for service in LAB
    }
    assert all(each.journal == () for each in seen.services)
    assert seen.broker == Broker(("rabbit@a",), ("rabbit@a",))
    assert seen.database is not None
    assert (seen.database.answers, seen.database.galera) == (True, {"wsrep_cluster_size": "3"})
    assert seen.cache is not None
    assert seen.cache.version == "1.6.18"
    assert "memcached 10.0.0.8" in fake.calls()
    assert seen.booted == datetime(2026, 11, 1, 12, 50, 16, tzinfo=UTC)
    assert seen.clock.service == ""
    assert seen.clock.ahead_at_least <= 0.5
    assert seen.clock.ahead_at_most >= -0.5


async def test_what_is_bad_brings_its_journal_in_the_same_round_trip(fake: FakeController) -> None:
    fake.write("unit.nova-api.service", unit("nova-api", "failed", "failed"))
    fake.write("unit.keystone.service", unit("keystone", NRestarts="3"))
    fake.write(
        "unit.glance-api.service", unit("glance-api", "inactive", "dead", LoadState="masked")
    )
    seen = await read_controller(fake, LAB)
    assert of(seen, "nova-api").journal == ("a line of nova-api.service",)
    assert of(seen, "keystone").journal == ("a line of keystone.service",)
    assert of(seen, "glance-api").journal == ("a line of glance-api.service",)
    assert of(seen, "nova-scheduler").journal == ()


async def test_only_what_runs_is_asked_more(fake: FakeController) -> None:
    """A question to a stopped database can start it by its socket."""
    fake.write("unit.mariadb.service", unit("mariadb", "inactive", "dead"))
    fake.write("unit.rabbitmq-server.service", unit("rabbitmq-server", "failed", "failed"))
    seen = await read_controller(fake, LAB)
    assert seen.database is not None
    assert seen.database.error == "mariadb.service is inactive"
    assert seen.broker == Broker(error="rabbitmq-server.service is failed")
    assert fake.calls() == ["memcached 10.0.0.8"]


async def test_a_refused_sudo_hides_nothing_else(fake: FakeController) -> None:
    fake.write("sudo_is_refused")
    fake.write("unit.nova-api.service", unit("nova-api", "failed", "failed"))
    seen = await read_controller(fake, LAB)
    assert of(seen, "nova-api").journal == ("a line of nova-api.service",)
    assert seen.broker is not None
    assert seen.broker.error == "it cannot be asked: sudo: a password is required"
    assert seen.database is not None
    assert "sudo" in seen.database.error
    assert seen.cache is not None
    assert seen.cache.version


async def test_a_broker_from_before_json_is_asked_in_its_way(fake: FakeController) -> None:
    fake.write("rabbitmq_is_old")
    fake.write("rabbitmq", (FIXTURES / "rabbitmq-3.6.txt").read_text())
    seen = await read_controller(fake, LAB)
    assert seen.broker is not None
    assert seen.broker.alarms == ("rabbit@ctl02 memory",)


async def test_a_list_without_a_database_still_finds_one(fake: FakeController) -> None:
    liberty = load_deployment("rdo-liberty", DEPLOYMENTS)
    fake.write("unit.mariadb.service", "")
    (fake.folder / "unit.mariadb.service").unlink()
    assert (await read_controller(fake, liberty)).database is None
    fake.write("unit.mysqld.service", unit("mysqld"))
    seen = await read_controller(fake, liberty)
    assert seen.database is not None
    assert seen.database.answers
    assert len(seen.services) == 26


@pytest.mark.parametrize(("old", "synchronised"), [(False, True), (True, False)])
async def test_the_time_service_is_found(
    fake: FakeController, old: bool, synchronised: bool
) -> None:
    fake.write("unit.chronyd.service", unit("chronyd"))
    if old:
        fake.write("systemd_is_old")
    clock = (await read_controller(fake, LAB)).clock
    assert (clock.service, clock.service_state) == ("chronyd.service", "active")
    assert clock.synchronised is synchronised


def container(name: str, status: str = "running") -> str:
    return f"id-of-{name}|/{name}|{status}|7|0|unless-stopped|2026-11-01T12:51:00.123Z\n"


async def test_kolla_is_asked_in_its_containers(fake: FakeController) -> None:
    fake.write(
        "containers",
        "".join(map(container, ["nova_api", "rabbitmq", "mariadb", "memcached"]))
        + container("keystone", "exited"),
    )
    seen = await read_controller(fake, KOLLA)
    assert of(seen, "nova-api").state.kind == "docker"
    assert of(seen, "nova-api").state.active_state == "active"
    assert of(seen, "keystone").state.active_state == "inactive"
    assert of(seen, "keystone").journal == ("a line of keystone",)
    assert of(seen, "glance-api").state.kind == "absent"
    assert seen.broker == Broker(("rabbit@a",), ("rabbit@a",))
    assert seen.database is not None
    assert seen.database.answers
    assert {"docker exec rabbitmq", "docker exec mariadb"} <= set(fake.calls())


async def test_kollas_units_are_preferred_and_still_asked_in_their_containers(
    fake: FakeController,
) -> None:
    fake.write("unit.kolla-rabbitmq-container.service", unit("kolla-rabbitmq-container"))
    fake.write("containers", container("rabbitmq"))
    seen = await read_controller(fake, KOLLA)
    assert of(seen, "rabbitmq-server").state.kind == "systemd"
    assert seen.broker is not None
    assert "docker exec rabbitmq" in fake.calls()


async def test_what_sudo_says_on_the_side_is_no_part_of_any_answer(fake: FakeController) -> None:
    fake.write("sudo_says_aside")
    names = ["nova_api", "rabbitmq", "mariadb", "memcached"]
    fake.write("containers", "".join(map(container, names)))
    seen = await read_controller(fake, KOLLA)
    assert seen.container_error == ""
    assert of(seen, "nova-api").state.active_state == "active"
    assert seen.broker == Broker(("rabbit@a",), ("rabbit@a",))
    assert seen.database is not None
    assert (seen.database.answers, seen.database.error) == (True, "")


async def test_an_engine_that_does_not_answer_is_said(fake: FakeController) -> None:
    fake.write("docker_is_broken")
    seen = await read_controller(fake, KOLLA)
    assert seen.container_error == "docker: Cannot connect to the Docker daemon."


async def test_a_silent_systemd_is_no_answer(fake: FakeController) -> None:
    fake.write("systemd_is_silent")
    with pytest.raises(HostUnreachable, match="systemd does not answer"):
        await read_controller(fake, LAB)
    with pytest.raises(HostUnreachable, match="systemd does not answer"):
        await read_history(fake, LAB, NIGHT)


async def test_many_services_stay_in_order(fake: FakeController) -> None:
    services = tuple(Service(f"svc-{number:03}") for number in range(120))
    for number, service in enumerate(services):
        state = ("failed", "failed") if number % 7 == 0 else ("active", "running")
        fake.write(f"unit.{service.name}.service", unit(service.name, *state))
    many = Deployment("many", (ServiceGroup("all", services),), NovaCompute("c", ("/l",)))
    seen = await read_controller(fake, many)
    assert [each.name for each in seen.services if each.state.active_state == "failed"] == [
        f"svc-{number:03}" for number in range(0, 120, 7)
    ]
    assert of(seen, "svc-119").state.name == "svc-119.service"
    assert of(seen, "svc-007").journal == ("a line of svc-007.service",)


async def test_a_past_night_is_read_from_units_boots_and_events(fake: FakeController) -> None:
    fake.write(
        "unit.nova-api.service",
        unit("nova-api", ActiveEnterTimestamp="Sun 2026-11-22 12:51:00 UTC"),
    )
    at = int(datetime(2026, 11, 19, tzinfo=UTC).timestamp()) * 1_000_000
    fake.write(
        "events",
        f'{{"__REALTIME_TIMESTAMP":"{at}","UNIT":"nova-api.service","JOB_RESULT":"done",'
        '"MESSAGE_ID":"39f53479d3a045ac8e11786248231fbf"}\n',
    )
    history = await read_history(fake, LAB, NIGHT)
    judged = {
        each.name: each.text
        for group in judge_night(LAB, history, NIGHT).values()
        for each in group
    }
    assert judged["nova-api"] == "active then (started 2026-11-19 00:00:00)"
    assert judged["keystone"] == "active then (since 2026-11-01 12:51:00)"


async def test_a_journal_that_may_not_be_read_is_said(fake: FakeController) -> None:
    fake.write("sudo_is_refused")
    fake.write("groups", "maintenance\n")
    fake.write(
        "unit.nova-api.service",
        unit("nova-api", ActiveEnterTimestamp="Sun 2026-11-22 12:51:00 UTC"),
    )
    history = await read_history(fake, LAB, NIGHT)
    judged = {
        each.name: each for group in judge_night(LAB, history, NIGHT).values() for each in group
    }
    assert judged["nova-api"].verdict == "unknown"
    assert "the journal cannot be read: the login may not read it" in judged["nova-api"].text


async def test_containers_have_their_times_and_no_history(fake: FakeController) -> None:
    fake.write("containers", container("nova_api"))
    history = await read_history(fake, KOLLA, NIGHT)
    judged = {
        each.name: each for group in judge_night(KOLLA, history, NIGHT).values() for each in group
    }
    assert judged["nova-api"].text == "active then (since 2026-11-01 12:51:00)"


def service(deployment: Deployment, name: str) -> Service:
    found = deployment.find_service(name)
    assert found is not None
    return found


async def test_a_restart_is_ordered_and_not_waited_for(fake: FakeController) -> None:
    await restart_service(fake, LAB, service(LAB, "nova-api"))
    assert fake.calls() == ["systemctl restart --no-block -- nova-api.service"]


async def test_a_service_that_hit_its_start_limit_is_restarted_all_the_same(
    fake: FakeController,
) -> None:
    fake.write("unit.nova-api.service", unit("nova-api", "failed", "failed"))
    await restart_service(fake, LAB, service(LAB, "nova-api"))
    assert fake.calls() == [
        "systemctl reset-failed -- nova-api.service",
        "systemctl restart --no-block -- nova-api.service",
    ]


async def test_a_container_is_restarted_by_its_engine(fake: FakeController) -> None:
    fake.write("containers", container("nova_api"))
    await restart_service(fake, KOLLA, service(KOLLA, "nova-api"))
    assert fake.calls() == ["docker restart --time 60 -- nova_api"]


async def test_a_restart_that_is_refused_is_said(fake: FakeController) -> None:
    fake.write("restart_is_refused")
    with pytest.raises(HostError, match="nova-api on ctl01: its restart was refused: Job for"):
        await restart_service(fake, LAB, service(LAB, "nova-api"))


async def test_a_service_that_is_not_there_cannot_be_restarted(fake: FakeController) -> None:
    with pytest.raises(HostError, match="nova-api on ctl01: there is no such unit or container"):
        await restart_service(fake, KOLLA, service(KOLLA, "nova-api"))
    assert fake.calls() == []


async def test_what_sudo_refuses_is_named_and_nothing_is_run(fake: FakeController) -> None:
    fake.write("containers", container("nova_api"))
    asked = [service(LAB, "nova-api"), service(LAB, "keystone")]
    assert await missing_rights(fake, LAB, "restart", asked) == ()
    fake.write(
        "denied",
        "systemctl restart --no-block -- keystone.service\nsystemctl reboot\n"
        "docker restart --time 60 -- nova_api\n",
    )
    keystone = "systemctl restart --no-block -- keystone.service"
    assert await missing_rights(fake, LAB, "restart", asked) == (keystone,)
    assert await missing_rights(fake, LAB, "reboot", []) == ("systemctl reboot",)
    fake.write("denied", "systemctl reset-failed -- keystone.service\n")
    rights = await missing_rights(fake, LAB, "restart", asked)
    assert rights == ("systemctl reset-failed -- keystone.service",)
    fake.write("denied", "docker restart --time 60 -- nova_api\n")
    nova_api = [service(KOLLA, "nova-api")]
    rights = await missing_rights(fake, KOLLA, "restart", nova_api)
    assert rights == ("docker restart --time 60 -- nova_api",)
    assert fake.calls() == []
