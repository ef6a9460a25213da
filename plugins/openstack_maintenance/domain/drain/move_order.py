"""What a move was asked to be, what is remembered of it, and what is decided about it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from openstack_maintenance.domain.cloud import Migration
from openstack_maintenance.domain.drain.ladder import Watermark
from openstack_maintenance.domain.drain.movability import Method


class Step(Enum):
    """What to do for one instance now."""

    WAIT = "wait"
    FEWER = "fewer"  # nothing else is to start beside it
    START_LIVE = "start_live"
    START_COLD = "start_cold"
    CONFIRM = "confirm"
    STOP = "stop"
    START_GUEST = "start_guest"
    ABORT = "abort"
    FORCE_COMPLETE = "force_complete"
    DONE = "done"
    FAIL = "fail"


@dataclass(frozen=True)
class Order:
    """What a move was asked to be. ``since``: when the drain began, by Nova's clock (UTC).

    ``copied_gib``: the disks that a block migration copies besides its RAM.
    """

    instance_id: str
    name: str
    source: str
    method: Method
    was_running: bool
    ram_mib: int
    since: datetime
    retries: int
    timeout_per_gib: timedelta
    on_stuck: Step
    may_stop: bool
    copied_gib: float = 0.0


@dataclass(frozen=True)
class Decision:
    """A step and, for people, why; for FAIL also what to do.

    ``sought``: the hosts of which one may run its guest, whatever Nova shows; ``first``: what to do
    before anything else, once they were looked at.
    """

    step: Step
    why: str = ""
    remedy: str = ""
    migration: Migration | None = None
    sought: tuple[str, ...] = ()
    first: str = ""


@dataclass(frozen=True)
class Memory:
    """What this process remembers of a move. All of it may be lost at any time.

    ``posted_at``: when it last asked Nova to move the instance; ``posted_after``: the id of the
    newest migration it knew of then; ``is_unsure``: Nova's answer to it was an error, and it may
    have taken it all the same; ``running_since``: when it first saw the migration beyond Nova's
    queue, or forced or aborted it; ``is_passed_by``: migrations that were asked for later have gone
    on meanwhile; ``forced``: the id of the migration that was to be completed by force; ``left``:
    the least that one had left to copy; ``left_behind``: the id of the one that nobody works on.
    """

    posted_at: datetime | None = None
    posted_after: int = 0
    running_since: datetime | None = None
    is_unsure: bool = False
    is_passed_by: bool = False
    forced: int = 0
    left: Watermark | None = None
    left_behind: int = 0


def timeout(order: Order) -> timedelta:
    """How long one running migration may take: by RAM, at least 2 GiB, and the disks to be copied.

    Source: _live_migration_data_gb in nova/virt/libvirt/driver.py.
    """
    return order.timeout_per_gib * (max(2.0, order.ram_mib / 1024) + order.copied_gib)
