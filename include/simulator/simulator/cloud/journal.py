"""What happened in the world: time, who, what. For timelines and judges."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

_LONGEST = 200_000


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened. ``who``: nova, guest, owner, operator, host, fault."""

    at: datetime
    who: str
    what: str
    instance: str = ""
    host: str = ""

    def __str__(self) -> str:
        about = " ".join(part for part in (self.instance, self.host) if part)
        return f"{self.at:%H:%M:%S.%f} {self.who}: {self.what} {about}".rstrip()


class Journal:
    """Bounded: the oldest entries go first. ``listeners`` hear every entry at once."""

    def __init__(self, longest: int = _LONGEST) -> None:
        self.entries: deque[Entry] = deque(maxlen=longest)
        self.listeners: list[Callable[[Entry], object]] = []

    def write(self, entry: Entry) -> None:
        """Add an entry."""
        self.entries.append(entry)
        for listener in self.listeners:
            listener(entry)

    def about(self, subject: str) -> list[Entry]:
        """The entries about an instance or a host."""
        return [each for each in self.entries if subject in (each.instance, each.host)]
