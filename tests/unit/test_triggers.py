"""Triggers: what Airflow stores of them, and how they end their tasks."""

from __future__ import annotations

import asyncio
import importlib
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.triggers.base import BaseTrigger, TaskSuccessEvent, TriggerEvent

import builders
from openstack_maintenance.domain.cloud import ComputeService, Migration
from openstack_maintenance.domain.drain.move_step import Step
from openstack_maintenance.domain.drain.slots import Limits
from openstack_maintenance.domain.errors import (
    CheckFailed,
    CloudError,
    ConnectionMissing,
    HostError,
)
from openstack_maintenance.domain.host.facts import ScriptState, UnitState
from openstack_maintenance.hooks.cloud_hook import CloudHook
from openstack_maintenance.operators.base import MaintenanceOperator
from openstack_maintenance.triggers import host_wait, incoming, migrate_instance
from openstack_maintenance.triggers.controller_wait import (
    ChecksPassTrigger,
    ControllerRebootedTrigger,
    HeartbeatsTrigger,
    ServicesBackTrigger,
    ServingTrigger,
)
from openstack_maintenance.triggers.host_steps import (
    AmqpTrigger,
    NovaComputeGoneTrigger,
    NovaComputeStillTrigger,
    NovaComputeUpTrigger,
    RebootedTrigger,
    ScriptTrigger,
)
from openstack_maintenance.triggers.host_wait import HostWaitTrigger
from openstack_maintenance.triggers.incoming import IncomingTrigger
from openstack_maintenance.triggers.migrate_instance import MigrateInstanceTrigger
from openstack_maintenance.triggers.waiting import Waiting

GOLDEN = sorted((Path(__file__).resolve().parents[1] / "fixtures/triggers").glob("*.json"))
NOW = datetime(2026, 3, 10, 1, 0, tzinfo=UTC)
LATER = "2099-01-01T00:00:00+00:00"
PAST = "2020-01-01T00:00:00+00:00"
CLASSES = [
    IncomingTrigger,
    MigrateInstanceTrigger,
    NovaComputeGoneTrigger,
    NovaComputeStillTrigger,
    ScriptTrigger,
    RebootedTrigger,
    NovaComputeUpTrigger,
    AmqpTrigger,
    ControllerRebootedTrigger,
    ServicesBackTrigger,
    ChecksPassTrigger,
    ServingTrigger,
    HeartbeatsTrigger,
]
HOST_ARGS: dict[str, Any] = {
    "host": "c01",
    "address": "10.0.0.21",
    "nova_compute": {"unit": "nova-compute", "log_paths": ["/var/log/nova/nova-compute.log"]},
    "deadline": LATER,
}


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in [
        (host_wait, "_SHORTEST_SECONDS"),
        (migrate_instance, "_SHORTEST_SECONDS"),
        (incoming, "_EVERY_SECONDS"),
    ]:
        monkeypatch.setattr(module, name, 0.0)
    for trigger in (HostWaitTrigger, RebootedTrigger, NovaComputeUpTrigger):
        monkeypatch.setattr(trigger, "every_seconds", 0.0)


def load(file: Path) -> BaseTrigger:
    """Make the trigger as the triggerer does: from the class's path and the stored arguments."""
    stored = json.loads(file.read_text())
    module, _, name = stored["classpath"].rpartition(".")
    trigger = getattr(importlib.import_module(module), name)(**stored["kwargs"])
    assert isinstance(trigger, BaseTrigger)
    return trigger


# The wire format. A golden file is what a release stored: never change one, add another.


def test_every_trigger_has_a_golden_file() -> None:
    stored = {json.loads(file.read_text())["classpath"].rpartition(".")[2] for file in GOLDEN}
    assert stored == {each.__name__ for each in CLASSES}


@pytest.mark.parametrize("file", GOLDEN, ids=lambda file: file.stem)
def test_what_was_stored_once_is_still_understood(file: Path) -> None:
    trigger = load(file)
    classpath, kwargs = trigger.serialize()
    stored = json.loads(file.read_text())
    assert classpath == stored["classpath"]
    # More may be added, with defaults; what was said must still be there.
    assert {key: kwargs[key] for key in stored["kwargs"]} == stored["kwargs"]


@pytest.mark.parametrize("file", GOLDEN, ids=lambda file: file.stem)
def test_a_trigger_survives_airflows_own_encoding(file: Path) -> None:
    from airflow.models.trigger import Trigger
    from airflow.serialization.decoders import smart_decode_trigger_kwargs
    from airflow.serialization.encoders import encode_trigger

    classpath, kwargs = load(file).serialize()
    encoded = encode_trigger({"classpath": classpath, "kwargs": kwargs})
    stored = json.loads(json.dumps(encoded))
    assert stored["classpath"] == classpath
    assert smart_decode_trigger_kwargs(stored["kwargs"]) == kwargs
    row = Trigger(classpath=classpath, kwargs=kwargs)
    assert row.classpath == classpath


@pytest.mark.parametrize("file", GOLDEN, ids=lambda file: file.stem)
def test_the_arguments_are_plain_json(file: Path) -> None:
    _, kwargs = load(file).serialize()
    assert json.loads(json.dumps(kwargs)) == kwargs


# Moving one instance.


def migrate(**given: Any) -> MigrateInstanceTrigger:
    (file,) = [each for each in GOLDEN if each.stem == "migrate_instance"]
    return MigrateInstanceTrigger(**{**json.loads(file.read_text())["kwargs"], **given})


class FakeWatch:
    """Ends every move as it is told."""

    def __init__(self, ending: Any) -> None:
        self.ending = ending
        self.left: list[Any] = []
        self.request: Any = None

    def enter(self, request: Any) -> Any:
        from openstack_maintenance.triggers.drain.move import Move

        self.request = request
        move = Move(request, asyncio.get_running_loop().create_future())
        move.say("asks Nova for a live migration")
        if isinstance(self.ending, Exception):
            move.fail(self.ending)
        elif self.ending is not None:
            move.done.set_result(self.ending)
            move._lines.put_nowait(None)
        return move

    def leave(self, move: Any) -> None:
        self.left.append(move)


async def event_of(trigger: BaseTrigger) -> TriggerEvent:
    events = [event async for event in trigger.run()]
    assert len(events) == 1
    return events[0]


def watched(monkeypatch: pytest.MonkeyPatch, ending: Any) -> FakeWatch:
    watch = FakeWatch(ending)
    monkeypatch.setattr(migrate_instance, "watch_of", lambda conn_id: watch)
    return watch


async def test_a_move_that_ends_well_ends_its_task_in_the_triggerer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watch = watched(monkeypatch, {"outcome": "moved to c02", "host": "c02"})
    event = await event_of(migrate())
    assert isinstance(event, TaskSuccessEvent)
    assert event.xcoms == {"return_value": {"outcome": "moved to c02", "host": "c02"}}
    assert len(watch.left) == 1


async def test_a_move_that_fails_resumes_its_task_with_the_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    error = CloudError("instance web-1", "was refused", "Fix it.")
    watch = watched(monkeypatch, error)
    event = await event_of(migrate())
    assert not isinstance(event, TaskSuccessEvent)
    said = {"subject": "instance web-1", "found": "was refused", "remedy": "Fix it."}
    assert event.payload == {"error": said}
    assert len(watch.left) == 1


async def test_a_trigger_that_is_cancelled_leaves_the_watch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watch = watched(monkeypatch, None)
    waiting = asyncio.create_task(event_of(migrate()))
    await asyncio.sleep(0.01)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert len(watch.left) == 1


async def test_the_stored_order_is_carried_out_as_it_was_stored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watch = watched(monkeypatch, {"outcome": "x"})
    trigger = migrate(destination="c02", block_migration="false")
    await event_of(trigger)
    request, order = watch.request, watch.request.order
    assert (order.source, order.method, order.was_running) == ("c01", "live", True)
    assert (order.retries, order.on_stuck, order.may_stop) == (1, Step.ABORT, False)
    assert order.timeout_per_gib == timedelta(seconds=800)
    assert order.since == datetime(2026, 3, 10, 1, 2, 3, tzinfo=UTC)
    assert (request.destination, request.block_migration) == ("c02", "false")
    assert request.limits == Limits(1, 4, None)
    assert request.api_patience == timedelta(minutes=10)


@pytest.mark.parametrize(
    ("window", "now", "held"),
    [
        ({"start": "01:00", "end": "02:00", "timezone": "UTC", "exclude": []}, NOW, False),
        (
            {"start": "01:00", "end": "02:00", "timezone": "UTC", "exclude": ["2026-03-10"]},
            NOW,
            True,
        ),
        ({"start": "01:00", "end": "02:00"}, NOW + timedelta(hours=1), True),
        (None, NOW + timedelta(hours=5), False),
    ],
)
def test_nothing_starts_once_the_window_is_closed(
    window: dict[str, Any] | None, now: datetime, held: bool
) -> None:
    reason = migrate(window=window)._request().may_start(now)
    assert (reason is not None) is held
    assert not held or "01:00-02:00 UTC closed" in str(reason)


def migration(number: int, instance: str, status: str, kind: str = "live-migration") -> Migration:
    return builders.migration(number, status, instance_id=instance, kind=kind)


async def test_a_killed_task_aborts_its_own_running_migration_and_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = migrate().order["instance_id"]
    rows = [
        migration(1, own, "completed"),
        migration(2, "another", "running"),
        migration(3, own, "running"),
        migration(4, own, "migrating", kind="migration"),
    ]
    aborted: list[int] = []
    nova = SimpleNamespace(
        migrations=lambda since: rows, abort=lambda each: aborted.append(each.id)
    )

    async def opened(self: CloudHook) -> Any:
        return nova

    monkeypatch.setattr(CloudHook, "aget_conn", opened)
    await migrate().on_kill()
    assert aborted == [3]


# Waiting for what comes in.


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """What each look at Nova's migrations gives: rows, or an error; the last one for ever."""
    looks: list[Any] = []

    def migrations(since: datetime) -> list[Migration]:
        found = looks.pop(0) if len(looks) > 1 else looks[0]
        if isinstance(found, Exception):
            raise found
        return list(found)

    async def opened(self: CloudHook) -> Any:
        return SimpleNamespace(migrations=migrations)

    monkeypatch.setattr(CloudHook, "aget_conn", opened)
    yield looks


ARRIVING = replace(migration(1, "i9", "running"), source="c02", destination="c01")
SILENCE = CloudError("compute API", "answered 503", "Wait.")


@pytest.mark.parametrize(
    "looks",
    [
        pytest.param([[]], id="nothing comes"),
        pytest.param([[ARRIVING], []], id="it arrives"),
        pytest.param([SILENCE, [ARRIVING], SILENCE, []], id="Nova is silent now and then"),
        pytest.param([[migration(1, "i1", "running")]], id="what leaves is not waited for"),
        pytest.param([[replace(ARRIVING, status="completed")]], id="what has arrived neither"),
    ],
)
async def test_the_list_goes_on_once_nothing_is_on_its_way_in(
    listed: list[Any], looks: list[Any]
) -> None:
    listed.extend(looks)
    event = await event_of(IncomingTrigger("c01", LATER))
    assert "error" not in event.payload


@pytest.mark.parametrize("look", [[ARRIVING], SILENCE], ids=["it never arrives", "Nova is silent"])
async def test_what_never_arrives_is_named(listed: list[Any], look: Any) -> None:
    listed.append(look)
    event = await event_of(IncomingTrigger("c01", PAST))
    error = event.payload["error"]
    assert error["subject"] == "host c01"
    assert ("i9 from c02" if look is not SILENCE else "answered 503") in error["found"]
    assert "openstack server migration list" in error["remedy"]


async def test_a_connection_that_is_gone_is_told_like_any_other_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def undefined(self: CloudHook) -> Any:
        raise ConnectionMissing("Airflow connection x", "it is not defined", "Add it.")

    monkeypatch.setattr(CloudHook, "aget_conn", undefined)
    event = await event_of(IncomingTrigger("c01", PAST))
    assert event.payload["error"]["found"] == "it is not defined"


# Waiting for something on the host.


class Host:
    """Answers each look in turn; the last answer for ever. An error is raised.

    The facts that follow a quick question about a part of them are those of the same look.
    """

    def __init__(self, *looks: Any) -> None:
        self.looks = list(looks)
        self.started = 0
        self.seen: Any = None

    def _next(self) -> Any:
        found = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        if isinstance(found, Exception):
            raise found
        return found

    async def read_facts(self) -> Any:
        return self.seen

    async def boot_id(self) -> str:
        self.seen = self._next()
        return str(self.seen.boot_id)

    async def script_state(self, unit: str) -> Any:
        return self._next()

    async def nova_compute_state(self) -> Any:
        self.seen = self._next()
        return getattr(self.seen, "nova_compute", self.seen)

    async def start_nova_compute(self) -> Any:
        self.started += 1
        return self._next()

    async def journal_tail(self) -> list[str]:
        return ["nova-compute: cannot reach libvirt"]


UP = UnitState("nova-compute", "systemd", "active", "running", 812, (812,))
GONE = UnitState("nova-compute", "systemd", "inactive", "dead")
FAILED = UnitState("nova-compute", "systemd", "failed", "failed")
STOPPING = UnitState("nova-compute", "systemd", "deactivating", "stop-sigterm", 812, (812,))
UNREACHABLE = HostError("host c01", "does not answer", "Look at it.")
SCRIPT = ScriptState("openstack-maintenance-1", "running", output=("trimming",))


def facts(unit: UnitState = UP, boot_id: str = "b1") -> Any:
    return SimpleNamespace(nova_compute=unit, boot_id=boot_id, clock=NOW)


def on(
    host: Host, trigger: type[HostWaitTrigger], deadline: str = LATER, **known: Any
) -> HostWaitTrigger:
    made = trigger(**{**HOST_ARGS, "deadline": deadline}, known=known)

    @asynccontextmanager
    async def on_host() -> AsyncIterator[Any]:
        yield host

    made.on_host = on_host  # type: ignore[method-assign]
    return made


async def result_of(trigger: HostWaitTrigger) -> dict[str, Any]:
    """What resumes the task; the host's state may move on, so the task itself ends the step."""
    event = await event_of(trigger)
    assert set(event.payload) == {"result"}, event.payload
    return dict(event.payload["result"])


async def error_of(trigger: HostWaitTrigger) -> dict[str, str]:
    event = await event_of(trigger)
    assert set(event.payload) == {"error"}, event.payload
    return dict(event.payload["error"])


@pytest.mark.parametrize("last", [GONE, FAILED], ids=["inactive", "failed"])
async def test_nova_compute_is_gone_when_no_process_is_left(last: UnitState) -> None:
    host = Host(facts(UP), facts(STOPPING), UNREACHABLE, facts(last))
    found = await result_of(on(host, NovaComputeGoneTrigger))
    assert found["boot_id"] == "b1"
    assert "no process" in found["state"]


async def test_a_nova_compute_that_does_not_stop_is_named() -> None:
    error = await error_of(on(Host(facts(STOPPING)), NovaComputeGoneTrigger, PAST))
    assert "does not stop" in error["found"]
    assert "812" in error["found"]
    assert "clear stop_nova_compute" in error["remedy"]


async def test_a_script_that_ends_well_gives_its_output() -> None:
    done = replace(SCRIPT, status="succeeded", exit_code=0, output=("ok",))
    known = {"unit": SCRIPT.unit, "script": "fstrim.sh"}
    found = await result_of(on(Host(SCRIPT, UNREACHABLE, done), ScriptTrigger, **known))
    assert (found["exit_code"], found["output"]) == (0, ["ok"])


@pytest.mark.parametrize("status", ["failed", "absent"])
async def test_a_script_that_fails_or_vanished_ends_the_run(status: Any) -> None:
    bad = replace(SCRIPT, status=status, exit_code=3, result="exit-code", output=("no space",))
    known = {"unit": SCRIPT.unit, "script": "fstrim.sh"}
    error = await error_of(on(Host(SCRIPT, bad), ScriptTrigger, **known))
    assert error["found"].startswith(f"{status}, exit code 3")
    assert "no space" in error["found"]


async def test_only_another_boot_id_proves_a_reboot() -> None:
    host = Host(facts(), UNREACHABLE, facts(), facts(boot_id="b2"))
    known = {"boot_id_before": "b1", "ordered_at": NOW.isoformat()}
    found = await result_of(on(host, RebootedTrigger, **known))
    assert (found["boot_id_before"], found["boot_id_after"]) == ("b1", "b2")


@pytest.mark.parametrize(
    ("look", "said"),
    [(facts(), "still in the boot from before"), (UNREACHABLE, "does not answer")],
    ids=["it never went down", "it never came back"],
)
async def test_a_host_that_does_not_reboot_is_named(look: Any, said: str) -> None:
    known = {"boot_id_before": "b1", "ordered_at": NOW.isoformat()}
    error = await error_of(on(Host(look), RebootedTrigger, PAST, **known))
    assert "did not come back" in error["found"]
    assert said in error["found"]


def service(beat: int, **given: Any) -> ComputeService:
    facts = {"is_enabled": False, "updated_at": NOW + timedelta(seconds=beat), **given}
    return builders.service(**facts)


def with_services(trigger: HostWaitTrigger, *services: Any) -> HostWaitTrigger:
    looks = list(services)

    async def read() -> ComputeService:
        found = looks.pop(0) if len(looks) > 1 else looks[0]
        if isinstance(found, Exception):
            raise found
        return found  # type: ignore[no-any-return]  # what a test put there

    trigger.service = read  # type: ignore[method-assign]
    return trigger


async def test_nova_compute_is_up_when_its_heartbeat_advanced_twice() -> None:
    down = service(0, is_up=False)
    beats = (down, service(0), service(0), SILENCE, service(10), service(20))
    trigger = with_services(on(Host(UP), NovaComputeUpTrigger), *beats)
    found = await result_of(trigger)
    assert len(found["heartbeats"]) == len(set(found["heartbeats"])) == 3
    assert found["started_by_run"] is False


async def test_heartbeats_from_before_a_restart_do_not_count() -> None:
    host = Host(UP, UP, GONE, UP, UP, UP)
    beats = (service(0), service(10), service(20), service(30), service(40))
    found = await result_of(with_services(on(host, NovaComputeUpTrigger), *beats))
    assert found["heartbeats"][0] == (NOW + timedelta(seconds=20)).isoformat()


@pytest.mark.parametrize(
    "one",
    [
        pytest.param(service(0), id="its heartbeat stands still"),
        pytest.param(service(0, is_up=False), id="Nova calls it down"),
        pytest.param(service(0, updated_at=None), id="it never beat"),
    ],
)
async def test_a_nova_compute_that_is_not_healthy_is_named_with_its_journal(one: Any) -> None:
    error = await error_of(with_services(on(Host(UP), NovaComputeUpTrigger, PAST), one))
    assert "is not healthy (" in error["found"]
    assert "cannot reach libvirt" in error["found"]


async def test_a_unit_that_does_not_start_by_itself_is_started_once() -> None:
    host = Host(GONE, GONE, GONE, UP)
    beats = (service(0), service(10), service(20))
    trigger = with_services(on(host, NovaComputeUpTrigger, start_after_seconds=0), *beats)
    found = await result_of(trigger)
    assert found["started_by_run"] is True
    assert host.started == 1


async def test_a_unit_gets_the_time_to_start_by_itself() -> None:
    host = Host(GONE, GONE, UP)
    beats = (service(0), service(10), service(20))
    trigger = with_services(on(host, NovaComputeUpTrigger, start_after_seconds=60), *beats)
    assert (await result_of(trigger))["started_by_run"] is False
    assert host.started == 0


async def test_what_can_never_come_true_ends_at_once() -> None:
    pointless = CheckFailed("host c01", "is another host", "Fix the address.")
    error = await error_of(on(Host(pointless), RebootedTrigger, boot_id_before="b1"))
    assert error["found"] == "is another host"


# What another release stored, and what nobody foresaw.

OURS = [file for file in GOLDEN if file.stem != "migrate_instance"]


def from_golden(file: Path, **given: Any) -> BaseTrigger:
    stored = json.loads(file.read_text())
    module, _, name = stored["classpath"].rpartition(".")
    trigger = getattr(importlib.import_module(module), name)
    return trigger(**{**stored["kwargs"], **given})  # type: ignore[no-any-return]


@pytest.mark.parametrize("file", OURS, ids=lambda file: file.stem)
def test_what_only_a_newer_release_stores_is_left_alone(file: Path) -> None:
    trigger = from_golden(file, colour="blue", later={"a": 1}, deadline=PAST)
    assert "colour" not in trigger.serialize()[1]


MALFORMED: list[tuple[dict[str, Any], str]] = [
    *(
        ({"deadline": each}, "deadline is")
        for each in (None, "", "soon", 5, [], "2026-03-10T01:00:00", "9999-12-31T23:59:59+00:00")
    ),
    ({"host": 5}, "host is a int"),
    ({"host": None}, "host is missing"),
    ({"host": "c01\0"}, "host is 'c01"),
]
HOST_MALFORMED: list[tuple[dict[str, Any], str]] = [
    *MALFORMED,
    ({"address": {}}, "address is a dict"),
    ({"ssh_conn_id": None}, "ssh_conn_id is missing"),
    ({"cloud_conn_id": 5}, "cloud_conn_id is a int"),
    ({"nova_compute": None}, "nova_compute is missing"),
    ({"nova_compute": []}, "nova_compute is a list"),
    ({"nova_compute": {"unit": "a"}}, "log_paths"),
    ({"nova_compute": {"unit": "a", "log_paths": []}}, "log_paths"),
    ({"nova_compute": {"unit": 5, "log_paths": ["/l"]}}, "unit is a int"),
    ({"nova_compute": {"unit": "a", "log_paths": [5]}}, "one of log_paths is a int"),
    ({"nova_compute": {"unit": "a", "log_paths": "/l"}}, "log_paths is '/l', not a list"),
    ({"nova_compute": {"unit": "a", "log_paths": ["/l"], "colour": "blue"}}, "colour"),
    ({"known": [1]}, "known is a list"),
    ({"known": "x"}, "known is 'x'"),
]


async def refused(trigger: BaseTrigger, found: str) -> None:
    event = await event_of(trigger)
    error = event.payload["error"]
    assert error["found"].startswith("the stored arguments of its wait cannot be read: ")
    assert found in error["found"]
    assert "Clear this task with Downstream" in error["remedy"]


@pytest.mark.parametrize(("given", "found"), HOST_MALFORMED)
async def test_a_wait_whose_stored_arguments_cannot_be_read_ends_with_a_sentence(
    given: dict[str, Any], found: str
) -> None:
    (file,) = [each for each in GOLDEN if each.stem == "nova_compute_gone"]
    await refused(from_golden(file, **given), found)


@pytest.mark.parametrize(("given", "found"), [*MALFORMED, ({"conn_id": 5}, "conn_id is a int")])
async def test_so_does_a_wait_for_what_comes_in(given: dict[str, Any], found: str) -> None:
    (file,) = [each for each in GOLDEN if each.stem == "incoming"]
    await refused(from_golden(file, **given), found)


@pytest.mark.parametrize("file", OURS, ids=lambda file: file.stem)
async def test_a_trigger_without_any_argument_ends_with_a_sentence(file: Path) -> None:
    trigger = type(from_golden(file))()  # type: ignore[call-arg]  # they are all missing
    await refused(trigger, "host is '', not a string")


@pytest.mark.parametrize(
    ("stem", "key", "value"),
    [
        *(
            (stem, key, None)
            for stem, key in [
                ("script", "unit"),
                ("script", "script"),
                ("rebooted", "boot_id_before"),
                ("controller_rebooted", "boot_id_before"),
                ("amqp", "since"),
                ("amqp", "evidence"),
                ("amqp", "heartbeats"),
                ("services_back", "services"),
                ("services_back", "since"),
                ("checks_pass", "controllers"),
                ("serving", "probe"),
                ("heartbeats", "services"),
            ]
        ),
        ("amqp", "evidence", "rumour"),
        ("amqp", "since", "2026-03-10T01:00:00"),
        ("amqp", "heartbeats", ["x"]),
        ("nova_compute_up", "start_after_seconds", "soon"),
        ("nova_compute_up", "start_after_seconds", float("nan")),
        ("nova_compute_up", "start_after_seconds", 1e300),
        ("nova_compute_up", "start_after_seconds", True),
        ("rebooted", "boot_id_before", 5),
        ("checks_pass", "controllers", [{"host": "ctl01"}]),
        ("checks_pass", "controllers", ["ctl01"]),
        ("heartbeats", "services", [["nova-compute"]]),
        ("heartbeats", "services", {"nova-compute": "c01"}),
    ],
)
async def test_what_a_step_must_know_already_is_asked_for_before_anything_is_looked_at(
    stem: str, key: str, value: Any
) -> None:
    (file,) = [each for each in GOLDEN if each.stem == stem]
    known = {**json.loads(file.read_text())["kwargs"]["known"], key: value}
    if value is None:
        del known[key]
    await refused(from_golden(file, known=known), key)


DEFECT = ZeroDivisionError("division by zero")


async def test_an_error_that_nobody_foresaw_is_waited_for_like_a_silence() -> None:
    host = Host(DEFECT, DEFECT, facts(), DEFECT, facts(boot_id="b2"))
    found = await result_of(on(host, RebootedTrigger, boot_id_before="b1"))
    assert found["boot_id_after"] == "b2"


async def test_an_error_that_nobody_foresaw_is_told_at_the_deadline() -> None:
    error = await error_of(on(Host(DEFECT), RebootedTrigger, PAST, boot_id_before="b1"))
    assert "did not come back" in error["found"]
    assert "still waiting, last error: ZeroDivisionError: division by zero" in error["found"]


async def test_what_comes_in_is_waited_for_through_an_error_that_nobody_foresaw(
    listed: list[Any],
) -> None:
    listed.extend([DEFECT, KeyError("migrations"), []])
    event = await event_of(IncomingTrigger("c01", LATER))
    assert event.payload == {"result": "nothing is on its way in"}
    listed[:] = [DEFECT]
    event = await event_of(IncomingTrigger("c01", PAST))
    assert "ZeroDivisionError" in event.payload["error"]["found"]


async def test_the_traceback_of_a_surprise_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    log = SimpleNamespace(info=lambda text, *args: lines.append(text % args))
    looks: list[Any] = [DEFECT, DEFECT, DEFECT, {"done": True}]

    async def look() -> Any:
        found = looks.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    async def too_late(found: str) -> CheckFailed:
        return CheckFailed("a", found, "c")

    waiting = Waiting("host c01", look, too_late, log)
    assert await waiting.until(datetime.fromisoformat(LATER), 0) == {"done": True}
    assert sum("Traceback" in line for line in lines) == 1
    assert sum("last error: ZeroDivisionError" in line for line in lines) == 1


async def test_the_last_words_come_even_where_the_journal_cannot_be_read() -> None:
    class Mute(Host):
        async def journal_tail(self) -> list[str]:
            raise DEFECT

    trigger = with_services(on(Mute(UP), NovaComputeUpTrigger, PAST), service(0))
    error = await error_of(trigger)
    assert error["subject"] == "host c01"
    assert "the deadline has passed" in error["found"]
    assert "Clear this task" in error["remedy"] or "clear this task" in error["remedy"]


async def test_a_host_that_says_one_boot_id_and_then_the_old_one_is_asked_again() -> None:
    class Torn(Host):
        async def read_facts(self) -> Any:
            return facts(boot_id="b1") if len(self.looks) > 1 else self.seen

    host = Torn(facts(boot_id="b2"), facts(boot_id="b3"), facts(boot_id="b4"))
    found = await result_of(on(host, RebootedTrigger, boot_id_before="b1"))
    assert found["boot_id_after"] == "b3"


def test_a_task_that_an_older_release_has_deferred_finds_the_method_that_it_goes_on_with() -> None:
    """Stored with the task, as a5f8ea6 did: a run that is under way outlives an upgrade."""
    for method in ("execute_complete", "execute_in_window", "look_again"):
        assert callable(getattr(MaintenanceOperator, method)), method
