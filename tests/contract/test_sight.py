"""How a move's trigger looks at hosts, what it is stored with, and what the record keeps of it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowException, TaskDeferred

from airflow_run import context_of, write_policy
from builders import hypervisor
from drain_nova import OWNER, drain_nova
from in_memory_nova import InMemoryNova
from openstack_maintenance.adapters.policy_file import read_policy
from openstack_maintenance.domain.deployment import NovaCompute
from openstack_maintenance.domain.drain.sighting import Look
from openstack_maintenance.domain.errors import (
    HostError,
    MigrationFailed,
    RecordUnreadable,
    error_payload,
)
from openstack_maintenance.domain.host.facts import GuestProcess
from openstack_maintenance.operators.facts_of_run import errors_of
from openstack_maintenance.operators.host.drain import MigrateInstanceOperator
from openstack_maintenance.records.repairs import Repairs
from openstack_maintenance.records.store import note_path
from openstack_maintenance.triggers.drain import sight
from openstack_maintenance.triggers.drain.sight import HostSight
from openstack_maintenance.triggers.drain.stored_move import read_request
from openstack_maintenance.triggers.migrate_instance import MigrateInstanceTrigger

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures/triggers"
GUEST = "instance-0000002a"
OURS = GuestProcess(2211, "qemu-system-x86", GUEST)
OTHERS = GuestProcess(2290, "qemu-system-x86", "instance-0000002b")
NAMELESS = GuestProcess(0, "kvm")
COMPUTE = NovaCompute("nova-compute", ("/var/log/nova/nova-compute.log",))
STEPS = [{"at": "2026-03-10T01:02:03+00:00", "step": "abort", "why": "is running for too long"}]


@pytest.fixture(autouse=True)
def policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_policy(tmp_path, monkeypatch, "addresses: {c03: 10.9.9.3}\n")


def golden(name: str) -> dict[str, Any]:
    return dict(json.loads((FIXTURES / f"{name}.json").read_text())["kwargs"])


# The look.


class Reached:
    """Hosts over SSH. ``guests``: what runs there, or what opening raises. ``at``: addresses."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, guests: Any) -> None:
        self.guests = guests
        self.at: list[str] = []
        monkeypatch.setattr(sight, "open_host", self.open)

    @asynccontextmanager
    async def open(
        self, conn_id: str, host: str, address: str, compute: NovaCompute
    ) -> AsyncIterator[Any]:
        assert (conn_id, compute) == ("ssh", COMPUTE)
        self.at.append(address)
        if isinstance(self.guests, Exception):
            raise self.guests
        yield self

    async def read_guests(self) -> tuple[GuestProcess, ...]:
        return tuple(self.guests)


def eyes() -> HostSight:
    return HostSight("ssh", COMPUTE, "c01", "10.0.0.21")


@pytest.mark.parametrize(
    ("guests", "runs", "why"),
    [
        ([OURS], True, ""),
        ([OTHERS, OURS], True, ""),
        ([OTHERS], False, ""),
        ([], False, ""),
        ([OTHERS, NAMELESS], None, "a guest runs there whose name cannot be read"),
        ([OURS, NAMELESS], True, ""),
        (HostError("host c01", "it does not answer", "Look."), None, "it does not answer"),
        (ZeroDivisionError("a defect"), None, "ZeroDivisionError: a defect"),
    ],
)
async def test_a_guest_is_known_by_its_name_and_what_cannot_be_seen_is_said(
    monkeypatch: pytest.MonkeyPatch, guests: Any, runs: bool | None, why: str
) -> None:
    Reached(monkeypatch, guests)
    assert await eyes().look(drain_nova(), "c01", GUEST) == Look("c01", runs, why)


async def test_a_guest_without_a_name_is_looked_for_nowhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reached = Reached(monkeypatch, [OTHERS])
    assert (await eyes().look(drain_nova(), "c01", "")).runs is None
    assert reached.at == []


async def test_each_host_is_reached_where_the_rest_of_the_project_reaches_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The source where check_host did; another by the policy, else by Nova's host_ip."""
    reached = Reached(monkeypatch, [])
    nova = drain_nova()
    nova.cloud.hypervisors["c02"] = hypervisor("c02", host_ip="10.0.0.1")
    for host in ("c01", "c02", "c03"):
        await eyes().look(nova, host, GUEST)
    assert reached.at == ["10.0.0.21", "10.0.0.1", "10.9.9.3"]


async def test_a_host_without_an_address_cannot_be_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Reached(monkeypatch, [])
    found = await eyes().look(InMemoryNova(), "c02", GUEST)
    assert found == Look("c02", None, "Nova does not show its address")


async def test_a_host_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    reached = Reached(monkeypatch, [])
    monkeypatch.setattr(sight, "_LONGEST_SECONDS", 0.01)

    async def hang() -> tuple[GuestProcess, ...]:
        await sight.asyncio.sleep(60)
        return ()

    monkeypatch.setattr(reached, "read_guests", hang)
    found = await eyes().look(drain_nova(), "c01", GUEST)
    assert (found.runs, found.why) == (None, "it did not answer within 0 s")


# What is stored.


def test_a_stored_move_knows_how_hosts_are_reached() -> None:
    stored = golden("migrate_instance_with_sight")
    trigger = MigrateInstanceTrigger(**stored)
    assert trigger.serialize()[1] == stored
    request = trigger._request()
    assert isinstance(request.sight, HostSight)
    assert (request.sight.source, request.sight.address) == ("c01", "10.0.0.21")
    assert request.sight.nova_compute.guest_processes == ("qemu-system*", "qemu-kvm", "kvm")
    assert isinstance(request.repairs, Repairs)


@pytest.mark.parametrize("name", ["migrate_instance", "migrate_instance_with_debts"])
def test_a_move_of_an_older_release_looks_nowhere_and_sets_nothing_right(name: str) -> None:
    request = MigrateInstanceTrigger(**golden(name))._request()
    assert (request.sight, request.repairs) == (None, None)


@pytest.mark.parametrize("said", [False, None, "true", 1, "false"])
def test_only_a_true_allows_to_set_a_state_right(said: Any) -> None:
    stored = golden("migrate_instance_with_sight") | {"repairs_state": said}
    assert MigrateInstanceTrigger(**stored)._request().repairs is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("address", None),
        ("address", "a\nb"),
        ("ssh_conn_id", 7),
        ("nova_compute", None),
        ("nova_compute", {"unit": "x", "colour": "y"}),
        ("nova_compute", {"unit": 7}),
    ],
)
def test_what_cannot_be_read_of_it_ends_in_a_sentence(key: str, value: Any) -> None:
    stored = golden("migrate_instance_with_sight")
    stored["guests"] = {**stored["guests"], key: value}
    with pytest.raises(MigrationFailed, match="the stored arguments of its move cannot be read"):
        read_request(stored)
    with pytest.raises(MigrationFailed, match="guests is not an object"):
        read_request({**stored, "guests": [1]})


def migrating(results: dict[str, Any], **task_instance: Any) -> tuple[Any, Any]:
    step: Any = MigrateInstanceOperator(task_id="migrate_instance", instance={})
    step.instance = {
        **{"id": "i1", "name": "i1", "method": "live", "was_running": True},
        **{"ram_mib": 512, "local_gib": 0},
    }
    params = {"host": "c01", "ignore_window": True}
    return step, context_of(OWNER.dag_id, params=params, results=results, **task_instance)


@pytest.mark.parametrize("policy_says", [True, False])
def test_a_move_is_stored_with_what_a_look_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, policy_says: bool
) -> None:
    write_policy(tmp_path, monkeypatch, f"repair_error_state: {str(policy_says).lower()}\n")
    step, context = migrating({"check_host": {"address": "10.0.0.21"}})
    with pytest.raises(TaskDeferred) as raised:
        step.execute(context)
    _, stored = raised.value.trigger.serialize()
    assert stored["repairs_state"] is policy_says
    assert (stored["guests"]["address"], stored["guests"]["ssh_conn_id"]) == (
        "10.0.0.21",
        "openstack_ssh",
    )
    found = read_request(json.loads(json.dumps(stored))).sight
    assert isinstance(found, HostSight)


def test_a_run_whose_check_host_an_older_release_did_looks_nowhere() -> None:
    step, context = migrating({})
    with pytest.raises(TaskDeferred) as raised:
        step.execute(context)
    assert raised.value.trigger.serialize()[1]["guests"] is None


# The record.


def test_what_a_failed_move_did_is_handed_on() -> None:
    step, context = migrating({})
    error = error_payload(MigrationFailed("instance i1", "did not move", "Look."))
    with pytest.raises(AirflowException, match="did not move"):
        step.execute_complete(context, {"error": error, "steps": STEPS})
    assert context["ti"].xcoms["steps"] == STEPS


def test_the_record_of_a_failed_move_has_its_steps() -> None:
    said = error_payload(MigrationFailed("instance i1", "did not move", "Look."))
    told = {"migrate_instance.error": said, "migrate_instance.steps": STEPS, "other.error": said}
    context = context_of(OWNER.dag_id, results=told)
    tasks = [
        {"task_id": "migrate_instance", "map_index": 0, "state": "failed"},
        {"task_id": "other", "map_index": -1, "state": "failed"},
    ]
    moved, other = errors_of(context, tasks)
    assert moved["steps"] == STEPS
    assert "steps" not in other


def test_a_repair_is_noted_for_its_run_alone() -> None:
    now = datetime(2026, 3, 10, 1, 20, tzinfo=UTC)
    repairs = Repairs(read_policy(), OWNER)
    assert not repairs.is_noted("i1")
    repairs.note("i1", now)
    assert Repairs(read_policy(), OWNER).is_noted("i1")
    assert not repairs.is_noted("i2")
    assert not Repairs(read_policy(), replace(OWNER, run_id="r2")).is_noted("i1")


def test_a_repair_whose_note_cannot_be_read_is_not_done_again() -> None:
    repairs = Repairs(read_policy(), OWNER)
    repairs.note("i1", datetime.now(UTC))
    path = note_path(read_policy(), OWNER.dag_id, OWNER.run_id, "state_of_i1")
    path.write_text("{")
    with pytest.raises(RecordUnreadable, match="openstack server event list i1"):
        repairs.is_noted("i1")
