"""Processes of one world: what dies together, and what each holds in its memory."""

from __future__ import annotations

import asyncio
import contextvars
import functools
from collections.abc import Callable, Coroutine, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar
from unittest import mock

from simulator.airflow.records import TaskInstance
from simulator.clock import Outcome, VirtualTime

T = TypeVar("T")

_current: contextvars.ContextVar[Process | None] = contextvars.ContextVar("process", default=None)


@dataclass(eq=False)
class Process:
    """A worker's process, or a triggerer's. Once it is dead, nothing of it goes on."""

    clock: VirtualTime
    name: str
    ti: TaskInstance | None = None  # of a worker
    ti_id: Any = None  # which of its attempts
    needs_api: bool = False  # as a worker does; a triggerer has the database
    is_dead: bool = False
    memory: dict[str, dict[Any, Any]] = field(default_factory=dict)
    _threads: list[Any] = field(default_factory=list)
    # Those of a dead process are kept: a coroutine that is thrown away would clean up.
    _coroutines: dict[_Mortal, None] = field(default_factory=dict)

    def run(self, what: Callable[[], Any], ended: Callable[[Outcome[Any]], None]) -> None:
        """Run blocking code as a thread of this process."""
        if not self.is_dead:
            thread = self._within(lambda: self.clock.spawn(what, ended))
            self._threads.append(thread)

    def start(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run a coroutine in this process' event loop."""
        return self._within(lambda: self.clock.loop.create_task(coroutine))

    def kill(self) -> None:
        """As SIGKILL does: what it asked others for stays asked for, nothing is cleaned up."""
        self.is_dead = True
        for thread in self._threads:
            self.clock.kill(thread)
        self._threads.clear()

    def own(self, coroutine: Any) -> Any:
        """A coroutine that is over as soon as this process is."""
        owned = _Mortal(coroutine, self)
        self._coroutines[owned] = None
        return owned

    def ended(self, owned: _Mortal) -> None:
        """A coroutine has come to its end by itself."""
        self._coroutines.pop(owned, None)

    def _within(self, call: Callable[[], T]) -> T:
        def inside() -> T:
            _current.set(self)
            return call()

        return contextvars.copy_context().run(inside)


def current() -> Process | None:
    """The process whose code is running; None for the world's own."""
    return _current.get()


class _Mortal(Coroutine[Any, Any, Any]):
    """A coroutine that does not go on in a dead process, not even to clean up."""

    def __init__(self, inner: Any, process: Process) -> None:
        self._inner, self._process = inner, process

    def send(self, value: Any) -> Any:
        return self._step(self._inner.send, value)

    def throw(self, *error: Any) -> Any:
        return self._step(self._inner.throw, *error)

    def _step(self, go_on: Callable[..., Any], *given: Any) -> Any:
        if self._process.is_dead:
            raise StopIteration
        try:
            return go_on(*given)
        except BaseException:
            if not self._process.is_dead:
                self._process.ended(self)
            raise

    def close(self) -> None:
        if not self._process.is_dead:
            self._inner.close()

    def __await__(self) -> Any:
        return (yield from self._inner.__await__())


class Memory(MutableMapping[Any, Any]):
    """What stands in for a dict of a module: each process has its own."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._of_the_world: dict[Any, Any] = {}

    def _dict(self) -> dict[Any, Any]:
        process = current()
        return self._of_the_world if process is None else process.memory.setdefault(self._name, {})

    def __getitem__(self, key: Any) -> Any:
        return self._dict()[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        self._dict()[key] = value

    def __delitem__(self, key: Any) -> None:
        del self._dict()[key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._dict())

    def __len__(self) -> int:
        return len(self._dict())


@contextmanager
def separated(clock: VirtualTime) -> Iterator[None]:
    """While this lasts, coroutines and threads belong to the process that began them."""
    loop = clock.loop
    of_the_world = clock.in_thread

    def make(loop: Any, coroutine: Any, **options: Any) -> Any:
        process = current()
        owned = coroutine if process is None else process.own(coroutine)
        task = asyncio.Task(owned, loop=loop, **options)
        # What a world's end leaves undone stays undone.
        task._log_destroy_pending = False  # type: ignore[attr-defined]  # asyncio's own switch
        return task

    async def in_thread(run: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
        process = current()
        call = functools.partial(run, *args, **kwargs)
        if process is None:
            return await of_the_world(call)
        answer: asyncio.Future[T] = loop.create_future()
        process.run(call, lambda outcome: _tell(outcome, answer))
        return await answer

    def in_executor(_: Any, run: Callable[..., T], *args: Any) -> asyncio.Future[T]:
        return loop.create_task(in_thread(run, *args))

    loop.set_task_factory(make)
    try:
        with (
            mock.patch.object(asyncio, "to_thread", in_thread),
            mock.patch.object(clock, "in_thread", in_thread),
            mock.patch.object(loop, "run_in_executor", in_executor),
        ):
            yield
    finally:
        loop.set_task_factory(None)


def _tell(outcome: Outcome[T], answer: asyncio.Future[T]) -> None:
    if not answer.done():
        outcome.put_into(answer)
