"""What a triggerer learns of how long migrations take, from looks that are far apart."""

from __future__ import annotations

from datetime import timedelta

import pytest

import builders
from builders import NOW
from in_memory_nova import CloudState, InMemoryNova
from openstack_maintenance.domain.cloud import Migration
from openstack_maintenance.triggers.drain.ledger import MigrationLedger


def row(
    number: int, status: str, *, created: float, updated: float, source: str = "c01"
) -> Migration:
    return builders.migration(
        id=number,
        status=status,
        instance_id=f"i{number}",
        source=source,
        created_at=NOW + timedelta(seconds=created),
        updated_at=NOW + timedelta(seconds=updated),
    )


async def learnt(*looks: tuple[float, list[Migration]]) -> list[float]:
    """How long each migration is believed to have taken, after these looks."""
    cloud = CloudState(began=NOW)
    ledger = MigrationLedger(InMemoryNova(cloud))
    for seconds, rows in looks:
        cloud.seconds, cloud.migrations = seconds, {each.id: each for each in rows}
        await ledger.refresh()
    return [each.total_seconds() for each in ledger.pace([]).took]


@pytest.mark.parametrize(
    "between",
    [
        pytest.param([], id="it was asked for after the look"),
        pytest.param([row(2, "queued", created=9, updated=9)], id="it was queued at the look"),
    ],
)
async def test_who_waited_in_novas_queue_runs_since_the_slot_was_free(
    between: list[Migration],
) -> None:
    took = await learnt(
        (0, [row(1, "running", created=0, updated=0)]),
        (9, [row(1, "running", created=0, updated=0), *between]),
        # The first one ended at 11; the look comes four seconds later.
        (
            15,
            [row(1, "completed", created=0, updated=11), row(2, "running", created=9, updated=11)],
        ),
        (24, [row(2, "completed", created=9, updated=22)]),
    )
    assert took == [11, 11]


async def test_nobody_runs_before_he_was_asked_for() -> None:
    took = await learnt(
        (0, [row(1, "running", created=0, updated=0)]),
        (15, [row(1, "completed", created=0, updated=3), row(2, "running", created=9, updated=10)]),
        (24, [row(2, "completed", created=9, updated=20)]),
    )
    assert took == [3, 11]


async def test_another_hosts_slot_says_nothing() -> None:
    took = await learnt(
        (0, [row(1, "running", created=0, updated=0, source="c03")]),
        (
            15,
            [
                row(1, "completed", created=0, updated=3, source="c03"),
                row(2, "running", created=9, updated=10),
            ],
        ),
        (24, [row(2, "completed", created=9, updated=20)]),
    )
    assert took == [3, 5]  # since it was seen
