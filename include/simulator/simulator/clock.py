"""Virtual time: plugin code in greenlets and coroutines, and a clock that jumps to what is next.

Blocking code (an operator's ``execute``, an SDK call in a thread) runs in a greenlet; whenever it
would wait, for an answer or in a sleep, it is suspended and the world goes on. Coroutines
(triggers) run in an asyncio loop whose timers are the same. Nothing here waits for real, nothing
runs at the same time, and the same events in the same order always give the same run.
"""

from __future__ import annotations

import asyncio
import concurrent.futures.thread  # noqa: F401  imported later, its lock would be the world's
import contextvars
import functools
import heapq
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar, TypeVarTuple, Unpack, cast
from unittest import mock

import time_machine
from greenlet import getcurrent, greenlet

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_A_WHILE = 100  # steps, between two looks at how much of the processor it has taken
START = datetime(2026, 3, 10, 0, 55, tzinfo=UTC)


class Killed(BaseException):
    """What a process that is killed sees at its wait; whatever waits again sees it again."""


class Stuck(Exception):
    """Nothing is left that could happen, and what was waited for has not."""


class TooLong(Exception):
    """The world has been given so much of a processor's time, and has not come to its end."""


class LoopBlocked(Exception):
    """A coroutine called what waits: in a triggerer that would hold up every other trigger."""


class Timer:
    """Something that will happen; until then it can be cancelled."""

    __slots__ = ("at", "is_cancelled", "what")

    def __init__(self, at: float, what: Callable[[], Any]) -> None:
        self.at, self.what, self.is_cancelled = at, what, False

    def cancel(self) -> None:
        """It will not happen."""
        self.is_cancelled = True


class VirtualTime:
    """The clock of one simulated world, and all that runs in it. Seconds since 1970, and UTC."""

    def __init__(self, start: datetime = START) -> None:
        self._now = start.timestamp()
        self._numbers = itertools.count()
        self._timers: list[tuple[float, int, Timer]] = []
        self._ready: deque[Callable[[], Any]] = deque()
        self._killed: set[int] = set()
        self._hub: greenlet | None = None
        self._traveller: time_machine.Traveller | None = None
        self.cpu_until: float | None = None  # time.process_time(), after which `run` gives up
        self.loop = _Loop(self)

    # What the world's parts use.

    def now(self) -> datetime:
        """What time it is in the world."""
        return datetime.fromtimestamp(self._now, UTC)

    def seconds(self) -> float:
        """The same, since 1970."""
        return self._now

    def after(self, seconds: float, what: Callable[[], Any]) -> Timer:
        """Let something happen later."""
        return self.at(self._now + max(0.0, seconds), what)

    def at(self, moment: float, what: Callable[[], Any]) -> Timer:
        """Let something happen at a moment, seconds since 1970."""
        timer = Timer(max(moment, self._now), what)
        heapq.heappush(self._timers, (timer.at, next(self._numbers), timer))
        return timer

    def soon(self, what: Callable[[], Any]) -> None:
        """Let something happen now, after what is happening."""
        self._ready.append(what)

    @property
    def is_going_on(self) -> bool:
        """Whether `run` is under way."""
        return self._hub is not None

    # What runs in it.

    def spawn(self, run: Callable[[], T], ended: Callable[[Outcome[T]], None] | None = None) -> Any:
        """Run blocking code, from now on; ``ended`` is told how it ended. Returns its greenlet."""
        context = contextvars.copy_context()

        def body() -> None:
            outcome = Outcome[T].of(run)
            self._killed.discard(id(getcurrent()))
            if ended is not None:
                ended(outcome)

        task = greenlet(body)
        task.gr_context = context
        self.soon(functools.partial(self._enter, task))
        return task

    def pause(self, seconds: float) -> None:
        """Wait. Raises: Killed; LoopBlocked in a coroutine."""
        me = self._waiter()
        timer = self.after(seconds, functools.partial(self._enter, me))
        try:
            self._leave(me)
        finally:
            timer.cancel()

    def wait_until(self, is_so: Callable[[], bool], every: float = 1.0) -> None:
        """Wait until something is so, looking now and then. Raises: Killed."""
        while not is_so():
            self.pause(every)

    def kill(self, task: Any) -> None:
        """End blocking code where it waits; what it asked for before stays asked for."""
        if task.dead:
            return
        self._killed.add(id(task))
        if task:  # it has begun, and waits
            self.soon(functools.partial(self._enter, task))

    def run(self, until: Callable[[], bool] | None = None, at_most: float | None = None) -> bool:
        """Let the world go on until ``until`` is so; at most so many seconds, or as long as
        anything happens. Returns whether it is so. Raises what a callback of the world raised;
        TooLong.
        """
        if self._hub is not None:
            raise RuntimeError("the world is going on already")
        self._hub = getcurrent()
        ends = None if at_most is None else self._now + at_most
        step = 0
        try:
            while until is None or not until():
                step += 1
                if step % _A_WHILE == 1 and self._is_late():
                    raise TooLong("the world takes too long")
                if self._ready:
                    self._ready.popleft()()
                elif not self._next(ends):
                    return False
            return True
        finally:
            self._hub = None

    def _is_late(self) -> bool:
        return self.cpu_until is not None and time.process_time() > self.cpu_until

    def _next(self, ends: float | None) -> bool:
        """Jump to the next timer; False when there is none before the end."""
        while self._timers and self._timers[0][2].is_cancelled:
            heapq.heappop(self._timers)
        if not self._timers or (ends is not None and self._timers[0][0] > ends):
            if ends is not None:
                self._move_to(max(ends, self._now))
            return False
        at, _, timer = heapq.heappop(self._timers)
        self._move_to(at)
        timer.what()
        return True

    def _move_to(self, moment: float) -> None:
        if moment != self._now:
            self._now = moment
            if self._traveller is not None:
                self._traveller.move_to(moment, tick=False)

    # Greenlets.

    def _waiter(self) -> Any:
        me = getcurrent()
        if id(me) in self._killed:
            raise Killed
        if self._hub is None or me is self._hub:
            raise LoopBlocked("a coroutine, or the world itself, called something that waits")
        return me

    def _leave(self, me: Any) -> None:
        """Suspend this greenlet until somebody enters it again."""
        assert self._hub is not None  # noqa: S101  _waiter has seen to it
        self._hub.switch()
        if id(me) in self._killed:
            raise Killed

    def _enter(self, task: Any) -> None:
        if not task.dead:
            task.switch()

    # The asyncio side of blocking code.

    def run_coroutine(self, main: Coroutine[Any, Any, T], **_: Any) -> T:
        """What `asyncio.run` is in here: the coroutine runs in the world's loop."""
        me = self._waiter()
        task = self.loop.create_task(main)
        task.add_done_callback(lambda _: self.soon(functools.partial(self._enter, me)))
        try:
            while not task.done():
                self._leave(me)
        except Killed:
            task.cancel()
            raise
        return task.result()

    async def in_thread(self, run: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
        """What `asyncio.to_thread` is in here: like a thread, it ends though nobody waits."""
        answer: asyncio.Future[T] = self.loop.create_future()

        work = functools.partial(run, *args, **kwargs)
        self.spawn(work, lambda outcome: outcome.put_into(answer))
        return await answer

    @contextmanager
    def installed(self) -> Iterator[VirtualTime]:
        """While this lasts, all code of this thread lives in this world's time."""
        traveller = time_machine.travel(self._now, tick=False)
        self._traveller = traveller.start()
        world = self
        lock = functools.partial(_Lock, world)
        real = time.sleep
        try:
            with (
                mock.patch.object(asyncio, "run", self.run_coroutine),
                mock.patch.object(asyncio, "to_thread", self.in_thread),
                mock.patch.object(time, "sleep", self.pause),
                mock.patch.object(time, "monotonic", self.seconds),
                mock.patch.object(threading, "Lock", lock),
                mock.patch.object(threading, "RLock", lock),
            ):
                yield self
        finally:
            assert real is not self.pause  # noqa: S101  installed twice
            traveller.stop()
            self._traveller = None


@dataclass(frozen=True)
class Outcome(Generic[T]):
    """How blocking code ended: with a value, or with an exception (`Killed` too)."""

    value: T | None = None
    error: BaseException | None = None

    @classmethod
    def of(cls, run: Callable[[], T]) -> Outcome[T]:
        """Run it, and see."""
        try:
            return cls(value=run())
        except BaseException as error:  # whatever it is: who waits for it is told
            return cls(error=error)

    def put_into(self, answer: asyncio.Future[T]) -> None:
        """Tell a coroutine that waits for it, if it still does."""
        if answer.done():
            return
        match self.error:
            case None:
                answer.set_result(cast("T", self.value))
            case Exception() as error:
                answer.set_exception(error)
            case _:
                answer.cancel()


class _Loop(asyncio.BaseEventLoop):
    """An asyncio loop whose callbacks and timers are the world's."""

    def __init__(self, clock: VirtualTime) -> None:
        self._clock = clock  # first: the base class asks whether it runs
        super().__init__()

    def time(self) -> float:
        return self._clock.seconds()

    def is_running(self) -> bool:
        return self._clock.is_going_on

    def call_soon(
        self,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._clock.soon(functools.partial(self._call, handle))
        return handle

    call_soon_threadsafe = call_soon  # there are no other threads

    def call_at(
        self,
        when: float,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        self._clock.at(when, functools.partial(self._call, handle))
        return handle

    def call_later(
        self,
        delay: float,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def run_in_executor(
        self, executor: Any, func: Callable[[Unpack[Ts]], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """What an executor is in here (asgiref's, too): a greenlet."""
        answer: asyncio.Future[T] = self.create_future()
        self._clock.spawn(functools.partial(func, *args), lambda outcome: outcome.put_into(answer))
        return answer

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Its timer comes, and finds it cancelled."""

    def _call(self, handle: asyncio.Handle) -> None:
        if handle.cancelled():
            return
        asyncio._set_running_loop(self)
        try:
            handle._run()
        finally:
            asyncio._set_running_loop(None)


class _Lock:
    """A lock between greenlets, re-entrant or not: who finds it taken waits in virtual time."""

    def __init__(self, clock: VirtualTime) -> None:
        self._clock = clock
        self._owner: Any = None
        self._depth = 0

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        me = getcurrent()
        waited = 0.0
        while self._owner is not None and self._owner is not me and not self._owner.dead:
            if not blocking or 0 <= timeout <= waited:
                return False
            self._clock.pause(0.01)
            waited += 0.01
        self._depth = self._depth + 1 if self._owner is me else 1
        self._owner = me
        return True

    def release(self) -> None:
        self._depth -= 1
        if self._depth <= 0:
            self._owner = None

    def locked(self) -> bool:
        return self._owner is not None

    def _at_fork_reinit(self) -> None:
        """`logging` frees its locks by this in a process that was forked."""
        self._owner, self._depth = None, 0

    __enter__ = acquire

    def __exit__(self, *_: object) -> None:
        self.release()
