"""What to do about a live migration that is stuck, or whose guest writes faster than it is copied.

Rung by rung: wait; let nothing else start beside it; complete it by force, where the policy allows
the pause that this costs; abort it. The policy's ``migration_retries`` says what follows.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

# Nova notes what is left every 5 s; a guest's RAM is copied over and over meanwhile.
# Source: _live_migration_monitor in nova/virt/libvirt/driver.py.
_STANDS_STILL = timedelta(seconds=60)


class Rung(Enum):
    """One step of the ladder."""

    WAIT = "wait"
    FEWER = "fewer"
    FORCE_COMPLETE = "force_complete"
    ABORT = "abort"


@dataclass(frozen=True)
class Watermark:
    """The least that a migration ever had left to copy, in bytes, and when that was read."""

    least: int
    since: datetime


@dataclass(frozen=True)
class Climb:
    """What is known of a running live migration.

    ``ran_for``: since it left Nova's queue, or since it was last forced or aborted. ``still_for``:
    how long it has come no nearer to its end; None where Nova does not say what is left.
    ``may_force``: the policy allows it. ``is_forced``: that was tried already.
    """

    status: str
    ran_for: timedelta
    limit: timedelta
    still_for: timedelta | None = None
    may_force: bool = False
    is_forced: bool = False


def lower(mark: Watermark | None, left: int, now: datetime) -> Watermark:
    """The watermark after one more reading. Also Nova's own measure, while it had one."""
    return Watermark(left, now) if mark is None or left < mark.least else mark


def is_worth_reading(ran_for: timedelta, limit: timedelta) -> bool:
    """Whether to ask Nova what a migration has left: healthy ones have ended before that."""
    return ran_for > limit / 2


def next_rung(climb: Climb) -> Rung:
    """How far up it is now."""
    if climb.ran_for > climb.limit:
        if climb.status == "post-migrating":
            return Rung.WAIT  # its guest runs on the destination: Nova neither forces nor aborts
        return Rung.FORCE_COMPLETE if climb.may_force and not climb.is_forced else Rung.ABORT
    if not is_worth_reading(climb.ran_for, climb.limit) or climb.still_for is None:
        return Rung.WAIT
    return Rung.FEWER if climb.still_for >= _STANDS_STILL else Rung.WAIT
