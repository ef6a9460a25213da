"""A drain watch over a Nova in memory, where a list of the migrations is one second."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from in_memory_nova import RUNS, CloudState, HostileNova, InMemoryNova
from openstack_maintenance.adapters.cloud_errors import Conflict
from openstack_maintenance.domain.drain.move_step import Order, Step
from openstack_maintenance.domain.drain.slots import Limits
from openstack_maintenance.domain.errors import CloudError
from openstack_maintenance.triggers.drain.move import Move, MoveRequest
from openstack_maintenance.triggers.drain.watch import DrainWatch

SOURCE, DESTINATION = "c01", "c02"
SILENCE = CloudError("compute API", "the cloud lab answered 503: busy", "Wait.")
CONFLICT = Conflict("instance", "Cannot 'os-migrateLive' while task_state x", "Look.")
# What nobody foresaw.
DEFECTS = [
    TypeError("'NoneType' object is not iterable"),
    KeyError("host"),
    AttributeError("'list' object has no attribute 'get'"),
    OverflowError("date value out of range"),
    RecursionError("maximum recursion depth exceeded"),
    ValueError("int() with base 10: 'x'"),
]

Watches = Callable[[InMemoryNova], DrainWatch]


def nova_with(
    *names: str,
    status: str = "ACTIVE",
    reason: str | None = None,
    errors: dict[str, Any] | None = None,
    hostile: list[Any] | None = None,
    **cloud: Any,
) -> InMemoryNova:
    """A Nova with instances on c01, the largest first. ``reason``: why c01 is disabled."""
    state = CloudState(**cloud)
    state.add_host(SOURCE, reason=reason)
    state.add_host(DESTINATION)
    state.add(*names, status=status)
    given = {"cloud": state, "errors": errors or {}, "second_a_list": 1}
    return InMemoryNova(**given) if hostile is None else HostileNova(**given, hostile=hostile)


def somebody_moves(nova: InMemoryNova, name: str, destination: str | None = None) -> None:
    """Somebody else asks for a live migration, of an instance on c09 if it is a new one."""
    if name not in nova.cloud.instances:
        nova.cloud.add(name, host="c09")
    nova.cloud.migrate(name, "live-migration", destination)


def request(nova: InMemoryNova, name: str, **given: Any) -> MoveRequest:
    instance = nova.cloud.instances[name]
    method = "live" if instance.vm_state == "active" else "cold"
    order = Order(
        instance_id=name,
        name=name,
        source=SOURCE,
        method=given.pop("method", method),
        was_running=instance.vm_state == "active",
        ram_mib=instance.ram_mib,
        since=given.pop("since", nova.cloud.began),
        retries=given.pop("retries", 1),
        timeout_per_gib=timedelta(seconds=given.pop("per_gib", 800)),
        on_stuck=given.pop("on_stuck", Step.ABORT),
        may_stop=given.pop("may_stop", False),
    )
    asked = {
        "destination": None,
        "block_migration": "auto",
        "limits": Limits(per_host=1, total=4),
        "turn_patience": timedelta(hours=1),
        "api_patience": timedelta(hours=1),
        "may_start": lambda now: None,
        **given,
    }
    return MoveRequest(order=order, **asked)


def enter(watch: DrainWatch, nova: InMemoryNova, *names: str, **given: Any) -> list[Move]:
    """Enter the moves of these instances, or of all."""
    names = names or tuple(nova.cloud.instances)
    return [watch.enter(request(nova, name, **dict(given))) for name in names]


async def outcomes(moves: Sequence[Move]) -> list[Any]:
    """How each move ended: its outcome, or its error."""
    return await asyncio.wait_for(
        asyncio.gather(*(move.done for move in moves), return_exceptions=True), 10
    )


async def end(watch: DrainWatch) -> None:
    """What happens to a watch whose triggerer dies."""
    if watch._task is not None:
        watch._task.cancel()
        await asyncio.gather(watch._task, return_exceptions=True)


async def until(reached: Callable[[], bool]) -> None:
    for _ in range(1000):
        if reached():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never came to that")


def said(move: Move) -> list[str]:
    """The lines of its task's log."""
    lines = [move._lines.get_nowait() for _ in range(move._lines.qsize())]
    return [line for line in lines if line is not None]


# What came of it.


def begun(nova: InMemoryNova) -> list[str]:
    """The instances whose migration was begun, in order, by whomever."""
    return [row.instance_id for row in nova.cloud.migrations.values()]


def destinations(nova: InMemoryNova) -> list[str | None]:
    """Those that Nova was asked for."""
    return [each.detail for each in nova.ordered("live_migrate", "cold_migrate")]


def most_at_once(nova: InMemoryNova, source: str | None = None) -> int:
    """The most migrations that ran at a time, off one host or in the cloud."""
    return max(
        sum(row.status in RUNS and source in (None, row.source) for row in rows)
        for rows in nova.cloud.history
    )


def most_in_queue(nova: InMemoryNova) -> int:
    """The most migrations that waited in Nova's own queue."""
    return max(sum(row.status == "queued" for row in rows) for rows in nova.cloud.history)


def idle_seconds(nova: InMemoryNova) -> int:
    """Seconds in which nothing ran."""
    return sum(not any(row.status in RUNS for row in rows) for rows in nova.cloud.history)
