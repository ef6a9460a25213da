"""A move as the database holds it: whatever is stored there, its task gets a sentence."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from airflow.triggers.base import TaskSuccessEvent, TriggerEvent

from in_memory_nova import InMemoryNova
from openstack_maintenance.domain.errors import ConnectionMissing, MigrationFailed, error_payload
from openstack_maintenance.hooks.cloud_hook import CloudHook
from openstack_maintenance.triggers import migrate_instance
from openstack_maintenance.triggers.drain.move import Move
from openstack_maintenance.triggers.drain.stored_move import read_request
from openstack_maintenance.triggers.migrate_instance import MigrateInstanceTrigger

FIXTURE = Path(__file__).resolve().parents[2] / "fixtures/triggers/migrate_instance.json"
MISSING = "<missing>"


def stored() -> dict[str, Any]:
    return dict(json.loads(FIXTURE.read_text())["kwargs"])


def changed(path: str, value: Any) -> dict[str, Any]:
    """What is stored, but for one value. ``path``: keys, with points between."""
    found = stored()
    *parts, last = path.split(".")
    inner = found
    for part in parts:
        inner = inner[part]
    if value is MISSING:
        inner.pop(last, None)
    else:
        inner[last] = value
    return found


async def event_of(trigger: MigrateInstanceTrigger) -> TriggerEvent:
    (event,) = [event async for event in trigger.run()]
    return event


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrate_instance, "_SHORTEST_SECONDS", 0.0)

    async def missing(self: CloudHook) -> Any:
        raise ConnectionMissing("Airflow connection x", "it is not defined", "Add it.")

    monkeypatch.setattr(CloudHook, "aget_conn", missing)


ODD = [
    *((path, MISSING) for path in ("order", "limits", "patience")),
    *((path, None) for path in ("order", "limits", "patience")),
    *((path, [1]) for path in ("order", "limits", "patience", "window", "owner", "destination")),
    *(
        (f"order.{key}", value)
        for key in ("instance_id", "name", "source", "method", "was_running", "ram_mib", "since")
        for value in (MISSING, None, [], {}, 1.5)
    ),
    ("order.instance_id", "../os-services"),
    ("order.instance_id", "i1?x"),
    ("order.source", ""),
    ("order.source", "c01\nc02"),
    ("order.source", "x" * 256),
    ("order.method", "teleport"),
    ("order.was_running", 1),
    ("order.ram_mib", -1),
    ("order.ram_mib", 10**30),
    ("order.ram_mib", "²"),
    ("order.since", "yesterday"),
    ("order.since", "2026-03-10T01:02:03"),
    ("order.since", "0001-01-01T00:00:00+14:00"),
    ("order.since", "9999-12-31T23:59:59-14:00"),
    ("order.since", "1" * 5000),
    ("order.may_stop", "false"),
    ("limits.per_host", 0),
    ("limits.per_host", "1"),
    ("limits.per_host", True),
    ("limits.total", MISSING),
    ("limits.nova_limit", 0),
    ("limits.per_rack", 1),
    ("patience.retries", -1),
    ("patience.retries", 10**10),
    ("patience.turn_seconds", float("inf")),
    ("patience.turn_seconds", float("nan")),
    ("patience.api_seconds", 1e300),
    ("patience.timeout_per_gib_seconds", "800"),
    ("patience.on_stuck", "done"),
    ("patience.on_stuck", "explode"),
    ("patience.on_stuck", ["abort"]),
    ("destination", "c02\0"),
    ("block_migration", "maybe"),
    ("block_migration", None),
    ("window", {"start": "25:00"}),
    ("window", {"start": None}),
    ("window", {"starts": "01:00"}),
    ("window", {"timezone": "Mars/Olympus"}),
    ("window", {"exclude": ["2026-13-01"]}),
    ("window", {"exclude": 7}),
    ("owner", ["dag"]),
    ("owner", ["dag", 7]),
    ("owner", "dag"),
    ("is_suggestion", "yes"),
]


@pytest.mark.parametrize(
    ("path", "value"), ODD, ids=lambda each: "missing" if each is MISSING else repr(each)[:40]
)
async def test_a_stored_move_that_cannot_be_read_ends_its_task_with_a_sentence(
    path: str, value: Any
) -> None:
    event = await event_of(MigrateInstanceTrigger(**changed(path, value)))
    assert not isinstance(event, TaskSuccessEvent)
    error = event.payload["error"]
    assert error["found"].startswith("the stored arguments of its move cannot be read: ")
    assert path.rpartition(".")[2] in error["found"] or "limits" in error["found"]
    assert error["remedy"] == "Clear this task: it then stores them again."
    assert len(error["found"]) < 300
    assert json.loads(json.dumps(error)) == error


async def test_what_a_newer_release_stores_besides_is_ignored() -> None:
    trigger = MigrateInstanceTrigger(**stored(), speed="fast", colour={"a": 1})
    assert read_request(trigger.serialize()[1]).order.name == "web-1"
    assert "speed" not in trigger.serialize()[1]


async def test_a_trigger_with_nothing_stored_says_so() -> None:
    event = await event_of(MigrateInstanceTrigger())
    assert event.payload["error"]["subject"] == "an instance"


def test_a_name_of_any_length_stays_out_of_messages() -> None:
    with pytest.raises(MigrationFailed) as raised:
        read_request(changed("order.name", "x" * 5000) | {"limits": None})
    assert len(str(raised.value)) < 300


def test_what_no_database_takes_is_not_sent_to_one() -> None:
    payload = error_payload(MigrationFailed("a\0", "b\ud800", "c"))
    assert payload == {"subject": "a\ufffd", "found": "b\ufffd", "remedy": "c"}


@pytest.mark.parametrize("where", ["enter", "lines", "leave"])
async def test_an_error_that_nobody_thought_of_ends_the_task_with_a_sentence_too(
    monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    class BrokenWatch:
        def enter(self, request: Any) -> Any:
            if where == "enter":
                raise KeyError("a defect")
            move = Move(request, asyncio.get_running_loop().create_future())
            if where == "lines":
                move.done.set_exception(ZeroDivisionError("a defect"))
            else:
                move.done.set_result({"outcome": "moved"})
            move._lines.put_nowait(None)
            return move

        def leave(self, move: Any) -> None:
            if where == "leave":
                raise TypeError("a defect")

    monkeypatch.setattr(migrate_instance, "watch_of", lambda conn_id: BrokenWatch())
    event = await event_of(MigrateInstanceTrigger(**stored()))
    assert "something unexpected happened" in event.payload["error"]["found"]
    assert "a defect" in event.payload["error"]["found"]


@pytest.mark.parametrize("given", [{}, {"order": None}, {"order": {}}, {"order": [1]}])
async def test_killing_a_task_whose_move_cannot_be_read_raises_nothing(
    given: dict[str, Any],
) -> None:
    await MigrateInstanceTrigger(**(stored() | given)).on_kill()


async def test_killing_a_task_while_the_cloud_answers_nonsense_raises_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    nonsense: Any = [None]

    async def opened(self: CloudHook) -> Any:
        return InMemoryNova(shown=lambda *_: nonsense)

    monkeypatch.setattr(CloudHook, "aget_conn", opened)
    log = Mock()
    monkeypatch.setattr(MigrateInstanceTrigger, "log", log)
    await MigrateInstanceTrigger(**stored()).on_kill()
    text, *parts = log.exception.call_args.args
    told = text % tuple(parts)
    assert f"({stored()['order']['instance_id']}): its migration could not be aborted" in told
    assert "openstack server migration abort" in told
