"""Drain watches for the tests of this folder."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from in_memory_nova import InMemoryNova
from openstack_maintenance.triggers.drain import readings
from openstack_maintenance.triggers.drain import watch as drain_watch
from openstack_maintenance.triggers.drain.watch import DrainWatch
from watched_moves import Watches, end


@pytest.fixture
async def watch_of(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Watches]:
    """Makes watches, with beats of milliseconds: their steps are tested, not their patience.

    After the test it ends them, and Nova must have had no order at the wrong time.
    """
    monkeypatch.setattr(drain_watch, "next_beat", lambda *_: 0.002)
    monkeypatch.setattr(drain_watch, "_ARRIVAL_SECONDS", 0.0)
    monkeypatch.setattr(readings, "_BUSY", timedelta(0))
    made: list[DrainWatch] = []
    novas: list[InMemoryNova] = []

    def make(nova: InMemoryNova) -> DrainWatch:
        async def opened() -> Any:
            return nova

        novas.append(nova)
        made.append(DrainWatch(opened))
        return made[-1]

    yield make
    await asyncio.gather(*(end(watch) for watch in made))
    assert [each for nova in novas for each in nova.cloud.conflicts] == []
