"""What a triggerer learns of how long migrations take, from looks that are far apart."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from openstack_maintenance.domain.cloud import Migration
from openstack_maintenance.triggers.drain.ledger import MigrationLedger

BEGAN = datetime(2026, 3, 10, 1, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return BEGAN + timedelta(seconds=seconds)


class Nova:
    """Lists what the test has put there."""

    def __init__(self) -> None:
        self.rows: list[Migration] = []
        self.time = BEGAN

    def now(self) -> datetime:
        return self.time

    def migrations(self, changes_since: datetime) -> list[Migration]:
        return self.rows


def row(number: int, status: str, created: float, updated: float, source: str = "c01") -> Migration:
    return Migration(
        id=number,
        uuid=str(number),
        instance_id=f"i{number}",
        kind="live-migration",
        status=status,
        source=source,
        destination="c02",
        created_at=at(created),
        updated_at=at(updated),
    )


async def learnt(*looks: tuple[float, list[Migration]]) -> list[float]:
    """How long each migration is believed to have taken, after these looks."""
    nova: Any = Nova()
    ledger = MigrationLedger(nova)
    for seconds, rows in looks:
        nova.time, nova.rows = at(seconds), rows
        await ledger.refresh()
    return [each.total_seconds() for each in ledger.pace([]).took]


@pytest.mark.parametrize(
    "between",
    [
        pytest.param([], id="it was asked for after the look"),
        pytest.param([row(2, "queued", 9, 9)], id="it was queued at the look"),
    ],
)
async def test_who_waited_in_novas_queue_runs_since_the_slot_was_free(
    between: list[Migration],
) -> None:
    took = await learnt(
        (0, [row(1, "running", 0, 0)]),
        (9, [row(1, "running", 0, 0), *between]),
        # The first one ended at 11; the look comes four seconds later.
        (15, [row(1, "completed", 0, 11), row(2, "running", 9, 11)]),
        (24, [row(2, "completed", 9, 22)]),
    )
    assert took == [11, 11]


async def test_nobody_runs_before_he_was_asked_for() -> None:
    took = await learnt(
        (0, [row(1, "running", 0, 0)]),
        (15, [row(1, "completed", 0, 3), row(2, "running", 9, 10)]),
        (24, [row(2, "completed", 9, 20)]),
    )
    assert took == [3, 11]


async def test_another_hosts_slot_says_nothing() -> None:
    took = await learnt(
        (0, [row(1, "running", 0, 0, source="c03")]),
        (15, [row(1, "completed", 0, 3, source="c03"), row(2, "running", 9, 10)]),
        (24, [row(2, "completed", 9, 20)]),
    )
    assert took == [3, 5]  # since it was seen
