"""Moves as they were stored, and the watch over them: one hostile instance beside a good one."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.triggers.base import TriggerEvent
from hypothesis import given
from hypothesis import strategies as st

from judged import judged
from odd_json import ODD_TEXTS, changed, odd_values
from openstack_maintenance.adapters.cloud_errors import Conflict, NotThere, Refused
from openstack_maintenance.domain.cloud import RUNNING, ComputeService, Instance, Migration
from openstack_maintenance.domain.drain.move_step import Memory, next_step
from openstack_maintenance.domain.errors import CloudError, MaintenanceError
from openstack_maintenance.hooks.cloud_hook import CloudHook
from openstack_maintenance.triggers import migrate_instance
from openstack_maintenance.triggers.drain import watch as drain_watch
from openstack_maintenance.triggers.drain.stored_move import read_request
from openstack_maintenance.triggers.drain.watch import DrainWatch
from openstack_maintenance.triggers.migrate_instance import MigrateInstanceTrigger

STORED = json.loads(
    (Path(__file__).resolve().parents[1] / "fixtures/triggers/migrate_instance.json").read_text()
)["kwargs"]
SOURCE, DESTINATION = "c01", "c02"
NOW = datetime(2026, 3, 10, 1, 30, tzinfo=UTC)


@pytest.fixture(autouse=True, scope="module")
def hurry() -> Iterator[None]:
    """Beats without a wait; what is logged on the way is not what is tested."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migrate_instance, "_SHORTEST_SECONDS", 0.0)
        patch.setattr(drain_watch, "next_beat", lambda *_: 0.0001)
        patch.setattr(drain_watch, "_ARRIVAL_SECONDS", 0.0)
        patch.setattr(drain_watch, "_BUSY", timedelta(0))
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
    instance = replace(good(), id=request.order.instance_id, host=request.order.source)
    for memory in (Memory(), Memory(posted_at=NOW, running_since=NOW)):
        judged(next_step, request.order, instance, [], memory, NOW)
        flying = moving(request.order.instance_id, request.order.source)
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


def good() -> Instance:
    return Instance(
        id="good",
        name="good",
        host=SOURCE,
        status="ACTIVE",
        vm_state="active",
        task_state=None,
        power_state=RUNNING,
        ram_mib=512,
        disk_gib=1,
        is_launched=True,
    )


def moving(instance_id: str, source: str = SOURCE, status: str = "running") -> Migration:
    return Migration(1, "u1", instance_id, "live-migration", status, source, DESTINATION, NOW, NOW)


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
        lambda changes: replace(good(), **{"id": "hostile", "name": "hostile", **changes}),
        st.dictionaries(
            st.sampled_from([each.name for each in fields(Instance) if each.name != "id"]),
            odd_values | st.sampled_from(ODD_TEXTS),
            max_size=3,
        ),
    ),
)
actions = st.sampled_from([None, *ERRORS])


@dataclass
class HostileNova:
    """Moves "good" at once; of "hostile" it tells what the test wants, and fails as it wants."""

    hostile: list[Any]
    listed: bool
    error: Exception | None
    clock_offset_seconds: float = 0.0
    rows: list[Migration] = field(default_factory=list)
    where: str = SOURCE
    told: int = 0

    def now(self) -> datetime:
        return datetime.now(UTC)

    def read_clock(self) -> None:
        """Both clocks agree."""

    def services(self, binary: str) -> list[ComputeService]:
        return []

    def anti_affinity_groups(self) -> dict[str, str]:
        return {}

    def migrations(self, since: datetime) -> list[Migration]:
        return self.rows

    def instances_on(self, host: str) -> list[Any]:
        found = [replace(good(), host=self.where)] if self.where == host else []
        return [*found, self._hostile()] if self.listed else found

    def find_instance(self, instance_id: str) -> Any:
        return replace(good(), host=self.where) if instance_id == "good" else self._hostile()

    def _hostile(self) -> Any:
        self.told += 1
        found = self.hostile[self.told % len(self.hostile)]
        if isinstance(found, Exception):
            raise found
        return found

    def _act(self, instance_id: str, *_: Any) -> None:
        if instance_id == "good":
            self.where = DESTINATION
            at = self.now()
            row = replace(moving("good", status="completed"), created_at=at, updated_at=at)
            self.rows = [row]
        elif self.error is not None:
            raise self.error

    live_migrate = cold_migrate = confirm = stop_guest = start_guest = _act

    def why_it_failed(self, instance_id: str) -> str | None:
        if self.error is not None:
            raise self.error
        return None

    def abort(self, migration: Migration) -> None:
        self._act(migration.instance_id)

    force_complete = abort


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
    nova = HostileNova(hostile, listed, error)
    bad, moved = asyncio.run(both(nova, on_blocked_stop))
    assert isinstance(moved, dict), moved
    assert moved["host"] == DESTINATION
    assert isinstance(bad, (dict, MaintenanceError)), repr(bad)
    if isinstance(bad, MaintenanceError):
        assert len(str(bad)) < 2000
