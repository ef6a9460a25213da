"""Real time for a cloud behind a socket: timers fire when somebody looks."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any


class _Timer:
    def __init__(self, what: Callable[[], Any]) -> None:
        self.what: Callable[[], Any] | None = what

    def cancel(self) -> None:
        """Let it never fire."""
        self.what = None


class WallClock:
    """Between two requests nothing is done; before each, all that was due, in its order.

    While a timer fires, ``now`` is the moment at which it was due.
    """

    def __init__(self) -> None:
        self._timers: list[tuple[datetime, int, _Timer]] = []
        self._count = 0
        self._moment: datetime | None = None

    def now(self) -> datetime:
        """The time, in UTC."""
        return self._moment or datetime.now(UTC)

    def after(self, seconds: float, what: Callable[[], Any]) -> _Timer:
        """Call ``what`` when so many seconds have passed."""
        timer = _Timer(what)
        self._count += 1
        heapq.heappush(self._timers, (self.now() + timedelta(seconds=seconds), self._count, timer))
        return timer

    def pause(self, seconds: float) -> None:
        """Sleep."""
        time.sleep(seconds)

    def catch_up(self) -> None:
        """Let everything happen that was due by now."""
        until = datetime.now(UTC)
        while self._timers and self._timers[0][0] <= until:
            self._moment, _, timer = heapq.heappop(self._timers)
            if timer.what is not None:
                timer.what()
        self._moment = None
