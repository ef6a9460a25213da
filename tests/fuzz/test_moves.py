"""Moves as they were stored, and the watch over them: one hostile instance beside a good one."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.triggers.base import TriggerEvent
from hypothesis import given
from hypothesis import strategies as st

import builders
from in_memory_nova import CloudState, HostileNova
from judged import judged
from odd_json import ODD_TEXTS, changed, odd_values
from openstack_maintenance.adapters.cloud_errors import Conflict, NotThere, Refused
from openstack_maintenance.domain.cloud import Instance
from openstack_maintenance.domain.drain.move_step import Memory, next_step
from openstack_maintenance.domain.errors import CloudError, MaintenanceError
from openstack_maintenance.hooks.cloud_hook import CloudHook
from openstack_maintenance.triggers import migrate_instance
from openstack_maintenance.triggers.drain import readings
from openstack_maintenance.triggers.drain import watch as drain_watch
from openstack_maintenance.triggers.drain.stored_move import read_request
from openstack_maintenance.triggers.drain.watch import DrainWatch
from openstack_maintenance.triggers.migrate_instance import MigrateInstanceTrigger

STORED = json.loads(
    (Path(__file__).resolve().parents[1] / "fixtures/triggers/migrate_instance.json").read_text()
)["kwargs"]
DESTINATION = "c02"
NOW = datetime(2026, 3, 10, 1, 30, tzinfo=UTC)


@pytest.fixture(autouse=True, scope="module")
def hurry() -> Iterator[None]:
    """Beats without a wait; what is logged on the way is not what is tested."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migrate_instance, "_SHORTEST_SECONDS", 0.0)
        patch.setattr(drain_watch, "next_beat", lambda *_: 0.0001)
        patch.setattr(drain_watch, "_ARRIVAL_SECONDS", 0.0)
        patch.setattr(readings, "_BUSY", timedelta(0))
        logging.disable(logging.CRITICAL)
        yield
        logging.disable(logging.NOTSET)


# Stored moves.


@given(stored=changed(STORED))
def test_stored_moves(stored: Any) -> None:
    if not isinstance(stored, dict):
        stored = {}
    request = judged(read_request, MigrateInstanceTrigger(**_named(stored)).serialize()[1])
    if request is None:
        return
    assert len(judged(request.may_start, NOW) or "") < 500
    instance = builders.instance(id=request.order.instance_id, host=request.order.source)
    for memory in (Memory(), Memory(posted_at=NOW, running_since=NOW)):
        judged(next_step, request.order, instance, [], memory, NOW)
        flying = builders.migration(
            instance_id=request.order.instance_id, source=request.order.source
        )
        judged(next_step, request.order, instance, [flying], memory, NOW)


def _named(stored: dict[Any, Any]) -> dict[str, Any]:
    return {str(key): value for key, value in stored.items() if str(key) != "self"}


@given(stored=changed(STORED))
def test_triggers(stored: Any) -> None:
    """The whole trigger, on a cloud that is not defined: an event that a database takes."""

    async def events() -> list[TriggerEvent]:
        trigger = MigrateInstanceTrigger(**_named(stored if isinstance(stored, dict) else {}))
        trigger.conn_id = "fuzz"
        await trigger.on_kill()
        migrate_instance._watches.clear()
        return [event async for event in trigger.run()]

    async def missing(self: CloudHook) -> Any:
        raise CloudError("cloud fuzz", "is not there", "Add it.")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CloudHook, "aget_conn", missing)
        (event,) = asyncio.run(events())
    error = event.payload["error"]
    text = json.dumps(error, ensure_ascii=False)
    assert text.encode()
    assert "\\u0000" not in text
    assert len(text) < 2000


# The watch.


ERRORS: list[Exception] = [
    TypeError("x"),
    KeyError("x"),
    AttributeError("x"),
    ValueError("\ud800\0"),
    OverflowError("x"),
    RecursionError("x"),
    ZeroDivisionError("x"),
    CloudError("compute API", "no usable answer: servers: status is null", "Check it."),
    NotThere("instance hostile", "it is gone", "Check the id."),
    Conflict("instance hostile", "it changed", "Look."),
    Refused("instance hostile", "no", "Remove the reason."),
]
# Nova answers a conflict to an action, never to a read.
hostile_instances = st.one_of(
    st.sampled_from([each for each in ERRORS if not isinstance(each, Conflict)]),
    odd_values,
    st.builds(
        lambda changes: replace(builders.instance("hostile"), **changes),
        st.dictionaries(
            st.sampled_from([each.name for each in fields(Instance) if each.name != "id"]),
            odd_values | st.sampled_from(ODD_TEXTS),
            max_size=3,
        ),
    ),
)
actions = st.sampled_from([None, *ERRORS])
# What may fail besides the reads.
ORDERS = {
    *("live_migrate", "cold_migrate", "confirm", "stop_guest", "start_guest"),
    *("abort", "force_complete", "why_it_failed", "reset_state", "left_to_copy"),
}


def hostile_nova(hostile: list[Any], is_listed: bool, error: Exception | None) -> HostileNova:
    """It moves "good"; of "hostile" it tells what the test wants, and fails as it wants."""
    cloud = CloudState(takes=0)
    cloud.add("good")
    cloud.add("hostile", host="c09")

    def fail(call: str, *args: Any) -> None:
        subject = args[0] if args else None
        if call in ORDERS and getattr(subject, "instance_id", subject) == "hostile" and error:
            raise error

    return HostileNova(cloud, before=fail, second_a_list=1, hostile=hostile, is_listed=is_listed)


async def both(nova: HostileNova, on_blocked_stop: bool) -> tuple[Any, Any]:
    async def opened() -> Any:
        return nova

    order = {**STORED["order"], "since": (nova.now() - timedelta(seconds=5)).isoformat()}
    order["may_stop"] = on_blocked_stop
    given = {**STORED, "window": None, "limits": {"per_host": 4, "total": 4}}
    # The machine may be slow: only the hostile one has no time.
    patience = {"hostile": {"api_seconds": 0.003, "turn_seconds": 0.01}, "good": {}}
    watch = DrainWatch(opened)
    moves = [
        watch.enter(
            read_request(
                {
                    **given,
                    "is_suggestion": False,
                    "order": {**order, "instance_id": name, "name": name},
                    "patience": {**STORED["patience"], **brief},
                }
            )
        )
        for name, brief in patience.items()
    ]
    ended = await asyncio.wait_for(
        asyncio.gather(*(each.done for each in moves), return_exceptions=True), 20
    )
    for move in moves:
        watch.leave(move)
    if watch._task is not None:
        watch._task.cancel()
        await asyncio.gather(watch._task, return_exceptions=True)
    return ended[0], ended[1]


@given(
    hostile=st.lists(hostile_instances, min_size=1, max_size=3),
    listed=st.booleans(),
    error=actions,
    on_blocked_stop=st.booleans(),
)
def test_one_hostile_instance(
    hostile: list[Any], listed: bool, error: Exception | None, on_blocked_stop: bool
) -> None:
    nova = hostile_nova(hostile, listed, error)
    bad, moved = asyncio.run(both(nova, on_blocked_stop))
    assert isinstance(moved, dict), moved
    assert moved["host"] == DESTINATION
    assert isinstance(bad, (dict, MaintenanceError)), repr(bad)
    if isinstance(bad, MaintenanceError):
        assert len(str(bad)) < 2000
