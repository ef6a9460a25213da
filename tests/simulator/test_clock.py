"""Virtual time: the same events in the same order, and nothing waits for real."""

from __future__ import annotations

import asyncio
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from simulator.clock import START, Killed, LoopBlocked, VirtualTime


def test_time_jumps_to_what_is_next_and_all_clocks_agree() -> None:
    seen = []

    def work() -> None:
        time.sleep(3600)
        seen.append((datetime.now(UTC), time.time(), time.monotonic()))

    clock = VirtualTime()
    with clock.installed():
        clock.spawn(work)
        began = time.perf_counter()
        clock.run()
        assert time.perf_counter() - began < 5
    later = START + timedelta(hours=1)
    assert seen == [(later, later.timestamp(), later.timestamp())]
    assert datetime.now(UTC) > later  # the real time is back


def test_blocking_code_and_coroutines_share_one_time_and_one_order() -> None:
    seen: list[Any] = []
    clock = VirtualTime()

    def note(what: str) -> None:
        seen.append((round(clock.seconds() - START.timestamp(), 3), what))

    def blocking(name: str, seconds: float) -> str:
        time.sleep(seconds)
        note(name)
        return name

    async def trigger() -> None:
        try:
            async with asyncio.timeout(5):
                await asyncio.sleep(10)
        except TimeoutError:
            note("timed out")
        note(await asyncio.to_thread(blocking, "in a thread", 2))

    async def inner() -> str:
        await asyncio.sleep(1)
        return "of a coroutine"

    with clock.installed():
        clock.loop.create_task(trigger())
        clock.spawn(lambda: note(asyncio.run(inner())))
        clock.spawn(lambda: blocking("in a task", 6))
        clock.run()
    assert seen == [
        (1, "of a coroutine"),
        (5, "timed out"),
        (6, "in a task"),
        (7, "in a thread"),
        (7, "in a thread"),
    ]


def test_what_is_killed_does_nothing_any_more_not_even_in_a_finally() -> None:
    done = []
    clock = VirtualTime()

    def work() -> None:
        try:
            done.append("began")
            time.sleep(10)
            done.append("went on")
        finally:
            time.sleep(1)
            done.append("cleaned up")

    ends: list[BaseException | None] = []
    with clock.installed():
        task = clock.spawn(work, lambda outcome: ends.append(outcome.error))
        clock.after(5, lambda: clock.kill(task))
        clock.run()
    assert done == ["began"]
    assert isinstance(ends[0], Killed)
    assert clock.seconds() < START.timestamp() + 10.1


def test_what_is_killed_in_asyncio_run_cancels_its_coroutine() -> None:
    seen = []
    clock = VirtualTime()

    async def main() -> None:
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    with clock.installed():
        task = clock.spawn(lambda: asyncio.run(main()))
        clock.after(5, lambda: clock.kill(task))
        clock.run()
    assert seen == ["cancelled"]


def test_a_thread_goes_on_when_nobody_waits_for_it_any_more() -> None:
    seen = []
    clock = VirtualTime()

    def order() -> None:
        time.sleep(10)
        seen.append("ordered")

    async def main() -> None:
        await asyncio.to_thread(order)
        seen.append("told")

    with clock.installed():
        task = clock.loop.create_task(main())
        clock.after(5, task.cancel)
        clock.run()
    assert seen == ["ordered"]


def test_work_for_an_executor_runs_in_the_worlds_time() -> None:
    clock = VirtualTime()

    def work(seconds: float) -> str:
        time.sleep(seconds)
        return "done"

    async def main() -> str:
        return await asyncio.get_running_loop().run_in_executor(None, work, 10)

    with clock.installed():
        task = clock.loop.create_task(main())
        clock.run()
    assert task.result() == "done"
    assert clock.seconds() == START.timestamp() + 10


def test_a_coroutine_that_blocks_the_loop_is_found() -> None:
    clock = VirtualTime()

    async def main() -> None:
        time.sleep(1)  # noqa: ASYNC251  the fault that is to be found

    with clock.installed():
        task = clock.loop.create_task(main())
        clock.run()
    assert isinstance(task.exception(), LoopBlocked)


def test_a_lock_is_waited_for_in_virtual_time() -> None:
    seen = []
    clock = VirtualTime()
    with clock.installed():
        lock = threading.Lock()

        def work(name: str) -> None:
            with lock:
                time.sleep(5)
                seen.append((name, round(clock.seconds() - START.timestamp())))

        clock.spawn(lambda: work("first"))
        clock.spawn(lambda: work("second"))
        clock.run()
    assert seen == [("first", 5), ("second", 10)]


def test_it_goes_on_until_something_is_so_or_the_time_is_over() -> None:
    clock = VirtualTime()
    happened: list[int] = []
    clock.after(10, lambda: happened.append(1))
    cancelled = clock.after(11, lambda: happened.append(2))
    cancelled.cancel()
    assert clock.run(lambda: bool(happened), at_most=60)
    assert clock.seconds() == START.timestamp() + 10
    assert not clock.run(lambda: len(happened) > 1, at_most=50)
    assert happened == [1]
    assert clock.seconds() == START.timestamp() + 60


@pytest.mark.parametrize("error", [ValueError("no"), KeyError("x")])
def test_an_exception_of_blocking_code_reaches_who_waits_for_it(error: Exception) -> None:
    clock = VirtualTime()

    def fail() -> None:
        raise error

    async def main() -> None:
        await asyncio.to_thread(fail)

    with clock.installed():
        task = clock.loop.create_task(main())
        clock.run()
    assert task.exception() is error
