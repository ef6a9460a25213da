"""A blocker: why something must not go on, and what removes the reason."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Blocker:
    """One reason not to touch a host, in words for the person who must remove it."""

    subject: str
    reason: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.subject}: {self.reason.rstrip('.')}. {self.remedy}"


def in_words(blockers: Iterable[Blocker]) -> str:
    """All blockers as one numbered text, one line each."""
    return "\n".join(f"{number}. {blocker}" for number, blocker in enumerate(blockers, start=1))
