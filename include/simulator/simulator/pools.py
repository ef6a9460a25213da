"""Thread pools in virtual time: what the plugin asks at the same time is asked at the same time.

Real threads cannot wait in virtual time. Here each submitted call is a greenlet of the world, as
many at a time as the pool has workers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from unittest import mock

from simulator.clock import VirtualTime


class _Answer(Future[Any]):
    """What a submitted call will return: who asks for it waits, in virtual time, to its end."""

    def __init__(self, world: VirtualTime, task: asyncio.Task[Any]) -> None:
        super().__init__()
        self._world = world
        self._task = task

    def result(self, timeout: float | None = None) -> Any:
        return self._world.run_coroutine(self._wait())

    async def _wait(self) -> Any:
        # Shielded: the call goes on when the one who waits for it is killed.
        return await asyncio.shield(self._task)

    def done(self) -> bool:
        return self._task.done()

    def cancel(self) -> bool:
        return self._task.cancel()


@contextmanager
def pools_in(world: VirtualTime) -> Iterator[None]:
    """While this lasts, every pool's calls run in this world."""

    def submit(
        pool: ThreadPoolExecutor, run: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> Future[Any]:
        free = pool.__dict__.setdefault("free_workers", asyncio.Semaphore(pool._max_workers))

        async def work() -> Any:
            async with free:
                return await world.in_thread(run, *args, **kwargs)

        return _Answer(world, world.loop.create_task(work()))

    with mock.patch.object(ThreadPoolExecutor, "submit", submit):
        yield
