"""What the cloud needs of a clock; `simulator.clock` has the one in virtual time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol


class Handle(Protocol):
    """A timer that has been set."""

    def cancel(self) -> Any:
        """Let it never fire; nothing where it has fired."""


class Clock(Protocol):
    """The only time that the cloud knows."""

    def now(self) -> datetime:
        """The time, in UTC."""

    def after(self, seconds: float, what: Callable[[], Any]) -> Handle:
        """Call ``what`` when so many seconds have passed."""

    def pause(self, seconds: float) -> Any:
        """Let so many seconds pass for whoever calls; the world goes on meanwhile."""
