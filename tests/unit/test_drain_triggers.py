"""The triggers of a drain: one instance that moves, and what comes in."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.triggers.base import TaskSuccessEvent

import builders
from in_memory_nova import InMemoryNova, Ordered
from openstack_maintenance.domain.cloud import Migration
from openstack_maintenance.domain.drain.move_step import Step
from openstack_maintenance.domain.drain.slots import Limits
from openstack_maintenance.domain.errors import (
    CloudError,
    ConnectionMissing,
)
from openstack_maintenance.hooks.cloud_hook import CloudHook
from openstack_maintenance.triggers import migrate_instance
from openstack_maintenance.triggers.incoming import IncomingTrigger
from openstack_maintenance.triggers.migrate_instance import MigrateInstanceTrigger
from trigger_runs import (
    DEFECT,
    GOLDEN,
    LATER,
    NOW,
    PAST,
    SILENCE,
    event_of,
)

pytestmark = pytest.mark.usefixtures("hurry")


def migrate(**given: Any) -> MigrateInstanceTrigger:
    (file,) = [each for each in GOLDEN if each.stem == "migrate_instance"]
    return MigrateInstanceTrigger(**{**json.loads(file.read_text())["kwargs"], **given})


class FakeWatch:
    """Ends every move as it is told."""

    def __init__(self, ending: Any) -> None:
        self.ending = ending
        self.left: list[Any] = []
        self.request: Any = None
        self.entered = asyncio.Event()

    def enter(self, request: Any) -> Any:
        from openstack_maintenance.triggers.drain.move import Move

        self.request = request
        self.entered.set()
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
    await asyncio.wait_for(watch.entered.wait(), 10)
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
    assert request.limits == Limits(per_host=1, total=4, nova_limit=None)
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


def migration(number: int, instance: str, status: str, **given: Any) -> Migration:
    now = datetime.now(UTC)
    return builders.migration(number, status, instance_id=instance, updated_at=now, **given)


def opened(monkeypatch: pytest.MonkeyPatch, nova: InMemoryNova) -> InMemoryNova:
    async def aget_conn(self: CloudHook) -> Any:
        return nova

    monkeypatch.setattr(CloudHook, "aget_conn", aget_conn)
    return nova


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
    nova = opened(monkeypatch, InMemoryNova())
    nova.cloud.add(own, "another")
    nova.cloud.migrations = {each.id: each for each in rows}
    await migrate().on_kill()
    assert nova.orders == [Ordered("abort", own)]
    ended = [each.id for each in nova.cloud.migrations.values() if each.status == "cancelled"]
    assert ended == [3]


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What each look at Nova's migrations gives: rows, or an error; the last one for ever."""
    looks: list[Any] = []
    nova = opened(monkeypatch, InMemoryNova())

    def look(*_: Any) -> None:
        found = looks.pop(0) if len(looks) > 1 else looks[0]
        if isinstance(found, Exception):
            raise found
        nova.cloud.migrations = {each.id: each for each in found}

    nova.before = look
    return looks


ARRIVING = replace(migration(1, "i9", "running"), source="c02", destination="c01")


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


async def test_what_comes_in_is_waited_for_through_an_error_that_nobody_foresaw(
    listed: list[Any],
) -> None:
    listed.extend([DEFECT, KeyError("migrations"), []])
    event = await event_of(IncomingTrigger("c01", LATER))
    assert event.payload == {"result": "nothing is on its way in"}
    listed[:] = [DEFECT]
    event = await event_of(IncomingTrigger("c01", PAST))
    assert "ZeroDivisionError" in event.payload["error"]["found"]
