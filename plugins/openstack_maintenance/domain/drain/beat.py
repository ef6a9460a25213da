"""How long to wait before asking Nova again: short when something is about to end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

_SHORTEST = 0.7
_LONGEST = 10.0
_IDLE = 2.0
# While Nova refills by itself: how late we may notice, as a share of a migration's time, so that
# one look a migration is enough; and the longest that this may take.
_UNHURRIED = 0.3
_LONGEST_UNHURRIED = 15.0
# How much later each look is than the last one while no migration has ended yet, as a share of the
# time that the first one has taken. Where Nova refills, less than as long again may be missed.
_UNKNOWN = 0.15
_UNKNOWN_UNHURRIED = 0.7
# One that is late is not asked after all the time: nothing waits for it but Nova's own queue.
_LATE = 0.15


@dataclass(frozen=True)
class Pace:
    """What is in flight: since when each migration runs, and how long earlier ones took.

    ``is_unsettled``: something was asked for that does not run yet and is not queued.
    ``queued``: so many wait in Nova's own queue, and as many slots need no refill by us.
    """

    running_since: Sequence[datetime]
    took: Sequence[timedelta]
    is_unsettled: bool
    queued: int


def next_beat(pace: Pace, now: datetime) -> float:
    """Seconds until the next look at Nova."""
    if not pace.running_since:
        return _before_it_runs(pace)
    elapsed = (now - min(pace.running_since)).total_seconds()
    if not pace.took:
        growth = _UNKNOWN_UNHURRIED if pace.queued else _UNKNOWN
        return min(1.0 + growth * max(elapsed, 0.0), _LONGEST)
    typical = _typical(pace)
    remaining = typical - elapsed
    if pace.queued:
        unhurried = max(remaining + _UNHURRIED * typical, _LATE * typical)
        if pace.queued < len(pace.running_since):
            # When so many have ended, a slot stands empty.
            last_refill = sorted(pace.running_since)[pace.queued]
            unhurried = min(unhurried, typical - (now - last_refill).total_seconds())
        return _between(unhurried, _LONGEST_UNHURRIED)
    if remaining > -3.0:
        return _between(remaining - 0.3)
    return _between(1.0 + 0.1 * -remaining)


def _before_it_runs(pace: Pace) -> float:
    if pace.queued and pace.took:
        return _between(_UNHURRIED * _typical(pace), _LONGEST_UNHURRIED)
    return 1.0 if pace.is_unsettled else _IDLE


def _typical(pace: Pace) -> float:
    return median(each.total_seconds() for each in pace.took[-10:])


def _between(seconds: float, longest: float = _LONGEST) -> float:
    return max(_SHORTEST, min(seconds, longest))
