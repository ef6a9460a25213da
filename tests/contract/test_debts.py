"""What is owed to guests that a drain has shut down: kept beside the records, listed, and paid."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from airflow.sdk.exceptions import AirflowException, TaskDeferred

from drain_nova import DESTINATION, OWNER, SILENCE, SOURCE, debt, drain_nova
from openstack_maintenance.adapters.policy_file import read_policy
from openstack_maintenance.domain.cloud import Migration
from openstack_maintenance.domain.errors import RecordUnreadable
from openstack_maintenance.hooks.cloud_hook import CloudHook
from openstack_maintenance.operators.host import debts as host_debts
from openstack_maintenance.operators.host import drain
from openstack_maintenance.operators.host.report import ReportOperator
from openstack_maintenance.records.debts import Debts
from openstack_maintenance.records.store import find_record
from openstack_maintenance.triggers import migrate_instance
from openstack_maintenance.triggers.drain import settlement
from openstack_maintenance.triggers.drain import watch as drain_watch
from openstack_maintenance.triggers.migrate_instance import MigrateInstanceTrigger

GOLDEN = Path(__file__).resolve().parents[1] / "fixtures/triggers/migrate_instance_with_debts.json"
NOW = datetime(2026, 3, 10, 1, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "policy.yaml"
    file.write_text(f"deployment: lab\nrecords: file://{tmp_path}/records\non_blocked: stop\n")
    monkeypatch.setenv("OPENSTACK_MAINTENANCE_POLICY", str(file))
    monkeypatch.setattr(host_debts, "_EVERY_SECONDS", 0.0)
    monkeypatch.setattr(host_debts, "_BETWEEN_STARTS", timedelta(0))
    return tmp_path / "records"


@pytest.fixture
def debts() -> Debts:
    return Debts(read_policy())


# The storage.


def test_a_debt_is_kept_until_it_is_struck_out(debts: Debts) -> None:
    owed = replace(debt("i1"), since=NOW, starts=False)
    assert (debts.find("i1"), debts.all()) == (None, [])
    debts.write(owed)
    debts.write(replace(debt("i2"), since=NOW))
    assert Debts(read_policy()).find("i1") == owed
    assert [each.instance_id for each in debts.all()] == ["i1", "i2"]
    for _ in range(2):
        debts.strike("i1")
    assert [each.instance_id for each in debts.all()] == ["i2"]


@pytest.mark.parametrize("content", ["", '{"instance_id": "i1', "[]", "{}", '{"instance_id": 7}'])
def test_a_debt_that_cannot_be_read_is_not_forgotten(
    debts: Debts, policy: Path, content: str
) -> None:
    debts.write(debt("i1"))
    (file,) = (policy / "debts").iterdir()
    file.write_text(content)
    for read in (debts.all, lambda: debts.find("i1")):
        with pytest.raises(RecordUnreadable, match="a guest was shut down for its move") as raised:
            read()
        assert "openstack server start ID" in raised.value.remedy


# Who lists anew.


class TaskInstance:
    dag_id = OWNER.dag_id

    def __init__(self, states: dict[str, str]) -> None:
        self.states = states
        self.xcoms: dict[str, Any] = {}

    def get_task_breadcrumbs(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        return [{"task_id": name, "state": state} for name, state in self.states.items()]

    def get_task_states(self, **asked: Any) -> dict[str, Any]:
        return {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms[key] = json.loads(json.dumps(value))

    def xcom_pull(self, task_ids: str, key: str = "return_value", **asked: Any) -> Any:
        return None


def context(states: dict[str, str] | None = None, **params: Any) -> Any:
    return {
        "ti": TaskInstance(states or {}),
        "params": {"host": SOURCE, "reason": "kernel", "ignore_window": True, **params},
        "run_id": OWNER.run_id,
        "dag_run": SimpleNamespace(run_after=NOW, triggering_user_name="anna"),
        "task_state_store": {},
    }


def made(step: type[Any], nova: Any, **given: Any) -> Any:
    operator = step(task_id="step", **given)
    operator.__dict__["nova"] = nova
    return operator


def test_a_guest_that_is_off_and_owed_is_listed_as_one_that_ran(debts: Debts) -> None:
    nova = drain_nova()
    nova.cloud.add("owed", status="SHUTOFF")
    nova.cloud.add("off", status="SHUTOFF")
    debts.write(debt("owed"))
    found = made(drain.ListInstancesOperator, nova).execute(context())
    told = {each["id"]: (each["method"], each["was_running"]) for each in found}
    assert told == {"owed": ("cold", True), "off": ("cold", False)}


def test_a_guest_that_left_the_host_but_does_not_run_yet_is_listed_once_more(debts: Debts) -> None:
    nova = drain_nova()
    nova.cloud.add("arrived", status="VERIFY_RESIZE", host=DESTINATION, vm_state="resized")
    nova.cloud.add("runs", host=DESTINATION)
    for name in ("arrived", "runs", "deleted"):
        debts.write(debt(name))
    debts.write(debt("others", host="c09"))
    found = made(drain.ListInstancesOperator, nova).execute(context())
    assert [(each["id"], each["was_running"]) for each in found] == [("arrived", True)]
    assert {each.instance_id for each in debts.all()} == {"arrived", "others"}


def test_a_move_is_stored_with_what_its_debt_needs() -> None:
    step = made(drain.MigrateInstanceOperator, drain_nova(), instance={})
    step.instance = {
        "id": "i1",
        "name": "i1",
        "method": "stop",
        "was_running": True,
        "ram_mib": 512,
        "local_gib": 20,
    }
    with pytest.raises(TaskDeferred) as raised:
        step.execute(context())
    _, stored = raised.value.trigger.serialize()
    assert stored["keeps_debts"] is True
    assert stored["order"]["copied_gib"] == 20


# The report of every end.


def report(nova: Any, **params: Any) -> list[str]:
    with pytest.raises(AirflowException):
        made(ReportOperator, nova).execute(
            context({"disable_service": "success", "migrate_instance": "failed"}, **params)
        )
    record = find_record(read_policy(), OWNER.dag_id, OWNER.run_id)
    assert record is not None
    return [each for each in record["notes"] if each.startswith("instance")]


def test_a_run_that_ends_badly_starts_what_it_has_shut_down(debts: Debts) -> None:
    nova = drain_nova()
    nova.cloud.add("i1", status="SHUTOFF")
    debts.write(debt(run_id=OWNER.run_id))
    assert report(nova) == [
        "instance i1 (i1): its guest was shut down on c01 for its move; "
        "it was started again, its guest runs on c01"
    ]
    assert nova.cloud.instances["i1"].status == "ACTIVE"
    assert debts.all() == []


def test_it_confirms_what_was_off_before_and_does_not_start_it(debts: Debts) -> None:
    nova = drain_nova()
    nova.cloud.add("i1", status="SHUTOFF")
    nova.cloud.migrate("i1", "migration")
    debts.write(debt(run_id=OWNER.run_id, starts=False))
    assert report(nova) == [
        "instance i1 (i1): it was on its cold move off c01 when the move's task was ended; "
        "it is SHUTOFF on c02, as it was before"
    ]
    assert nova.calls["start_guest"] == 0


def test_it_confirms_a_cold_arrival_first(debts: Debts) -> None:
    nova = drain_nova()
    nova.cloud.add("i1", status="SHUTOFF")
    nova.cloud.migrate("i1", "migration")
    debts.write(debt(run_id=OWNER.run_id))
    report(nova)
    there = nova.cloud.instances["i1"]
    assert (there.host, there.status) == (DESTINATION, "ACTIVE")
    assert nova.calls["confirm"] == 1


def test_it_pays_what_earlier_runs_owe_on_its_host_and_nobody_elses(debts: Debts) -> None:
    nova = drain_nova()
    nova.cloud.add("earlier", status="SHUTOFF")
    nova.cloud.add("others", status="SHUTOFF", host="c09")
    debts.write(debt("earlier"))
    debts.write(debt("others", host="c09"))
    assert len(report(nova)) == 1
    assert [each.instance_id for each in debts.all()] == ["others"]
    assert nova.calls["start_guest"] == 1


def test_a_guest_whose_owner_has_acted_since_is_left_as_it_is(debts: Debts) -> None:
    nova = drain_nova()
    nova.cloud.add("i1", status="SHUTOFF")
    nova.acted = "user ana asked for stop at 2026-03-10 01:00:00 UTC"
    debts.write(debt(run_id=OWNER.run_id))
    (told,) = report(nova)
    assert told.endswith("it stays as it is: user ana asked for stop at 2026-03-10 01:00:00 UTC")
    assert nova.calls["start_guest"] == 0
    assert debts.all() == []


def test_a_guest_that_does_not_start_is_named_with_the_command(debts: Debts) -> None:
    nova = drain_nova()
    nova.cloud.add("i1", status="SHUTOFF")
    nova.cloud.starts = [False] * 99
    debts.write(debt(run_id=OWNER.run_id))
    (told,) = report(nova)
    assert "in vain: libvirt: no such disk" in told
    assert told.endswith("Run `openstack server start i1`")
    assert nova.calls["start_guest"] == 3
    assert len(debts.all()) == 1


def test_a_cloud_that_does_not_answer_costs_no_record(
    debts: Debts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_debts, "_PAYS_WITHIN", timedelta(seconds=0.05))
    nova = drain_nova()
    nova.cloud.add("i1", status="SHUTOFF")
    nova.errors = {"find_instance": [SILENCE] * 99_999}
    debts.write(debt(run_id=OWNER.run_id))
    (told,) = report(nova)
    assert "answered 503" in told
    assert told.endswith("Run `openstack server start i1`")


def test_a_dry_run_starts_nothing(debts: Debts) -> None:
    nova = drain_nova()
    nova.cloud.add("i1", status="SHUTOFF")
    debts.write(debt(run_id=OWNER.run_id))
    report(nova, dry_run=True)
    assert nova.calls["start_guest"] == 0


# A person ends the task.


async def test_killing_a_task_starts_its_guest(
    debts: Debts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drain_watch, "next_beat", lambda *_: 0.002)
    monkeypatch.setattr(settlement, "_STOP_MAY_COME", timedelta(0))
    stored = json.loads(GOLDEN.read_text())["kwargs"]
    nova, name = drain_nova(), stored["order"]["instance_id"]
    nova.cloud.add(name, status="SHUTOFF")
    debts.write(debt(name))

    async def opened(self: CloudHook) -> Any:
        return nova

    monkeypatch.setattr(CloudHook, "aget_conn", opened)
    monkeypatch.setattr(migrate_instance, "_watches", {})
    await MigrateInstanceTrigger(**stored).on_kill()
    assert nova.cloud.instances[name].status == "ACTIVE"
    assert debts.all() == []


async def test_killing_a_cold_move_of_a_guest_that_was_off_confirms_it_where_it_arrives(
    debts: Debts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drain_watch, "next_beat", lambda *_: 0.002)
    stored = json.loads(GOLDEN.read_text())["kwargs"]
    nova, name = drain_nova(), stored["order"]["instance_id"]
    nova.cloud.add(name, status="SHUTOFF")
    nova.cloud.migrate(name, "migration")

    async def opened(self: CloudHook) -> Any:
        return nova

    monkeypatch.setattr(CloudHook, "aget_conn", opened)
    monkeypatch.setattr(migrate_instance, "_watches", {})
    await MigrateInstanceTrigger(**stored).on_kill()
    there = nova.cloud.instances[name]
    assert (there.host, there.status) == (DESTINATION, "SHUTOFF")
    assert debts.all() == []


async def test_a_debt_that_cannot_be_read_does_not_keep_a_migration_from_being_aborted(
    debts: Debts, policy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = json.loads(GOLDEN.read_text())["kwargs"]
    nova, name = drain_nova(takes=10**6), stored["order"]["instance_id"]
    nova.cloud.add(name)
    nova.cloud.migrate(name, "live-migration")
    nova.migrations(nova.cloud.began)
    debts.write(debt(name))
    (file,) = (policy / "debts").iterdir()
    file.write_text("{")

    async def opened(self: CloudHook) -> Any:
        return nova

    monkeypatch.setattr(CloudHook, "aget_conn", opened)
    log = Mock()
    monkeypatch.setattr(MigrateInstanceTrigger, "log", log)
    await MigrateInstanceTrigger(**stored).on_kill()
    assert nova.calls["abort"] == 1
    text, *parts = log.error.call_args.args
    told = text % tuple(parts)
    assert "whether its guest was shut down for its move cannot be known" in told
    assert f"`openstack server show {name}`" in told


# A kill in the moment in which Nova is asked.


@pytest.mark.parametrize("seconds", [0.0, 0.2])
async def test_a_request_that_is_on_its_way_at_the_kill_is_aborted_once_it_shows(
    debts: Debts, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    monkeypatch.setattr(drain_watch, "next_beat", lambda *_: 0.002)
    monkeypatch.setattr(migrate_instance, "_LOOKS_EVERY_SECONDS", 0.01)
    stored = json.loads(GOLDEN.read_text())["kwargs"] | {"window": None}
    stored["order"]["since"] = datetime.now(UTC).isoformat()
    nova, name = drain_nova(takes=10**6), stored["order"]["instance_id"]
    nova.cloud.add(name)
    begun = threading.Event()

    def slowly(call: str, *_: Any) -> None:
        if call == "live_migrate":
            begun.set()
            time.sleep(seconds)

    def shows_late(rows: list[Migration], since: datetime) -> list[Migration]:
        late = timedelta(seconds=5)
        return [row for row in rows if nova.now() - row.created_at > late]

    nova.before, nova.shown = slowly, shows_late

    async def opened(self: CloudHook) -> Any:
        return nova

    monkeypatch.setattr(CloudHook, "aget_conn", opened)
    monkeypatch.setattr(migrate_instance, "_watches", {})
    trigger = MigrateInstanceTrigger(**stored)

    async def run() -> None:
        async for _ in trigger.run():
            """It never ends by itself."""

    task = asyncio.create_task(run())
    await asyncio.to_thread(begun.wait, 10)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await asyncio.wait_for(trigger.on_kill(), 10)
    assert nova.calls["abort"] == 1
    assert [each.status for each in nova.cloud.migrations.values()] == ["cancelled"]
