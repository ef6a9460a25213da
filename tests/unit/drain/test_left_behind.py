"""What a killed nova-compute leaves in Nova's list: what proves it, and what proves nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from builders import instance, migration
from openstack_maintenance.domain.cloud import incoming, is_superseded
from openstack_maintenance.domain.drain.left_behind import (
    is_idle,
    is_left_behind,
    may_be_left_behind,
)
from openstack_maintenance.domain.host.holders import Holder

NOW = datetime(2026, 3, 10, 1, 0, tzinfo=UTC)
THERE = instance("i1", host="c01")
LONG, SHORT = timedelta(minutes=6), timedelta(minutes=4)
ROW = migration(
    3,
    "queued",
    instance_id="i1",
    source="c01",
    destination="c03",
    created_at=NOW - timedelta(minutes=9),
    updated_at=NOW - timedelta(minutes=9),
)
RUNS = replace(ROW, id=2, instance_id="i2", status="running", created_at=NOW - timedelta(hours=1))
LATER = replace(RUNS, id=4, created_at=NOW - timedelta(minutes=8))


@pytest.mark.parametrize("status", ["queued", "accepted"])
def test_a_queue_that_does_not_go_on_although_nothing_runs_is_dead(status: str) -> None:
    row = replace(ROW, status=status)
    assert is_left_behind(row, THERE, LONG, [row, replace(RUNS, status="completed")])
    assert is_left_behind(row, THERE, LONG, [row, replace(RUNS, source="c09")])


def test_a_queue_that_passed_one_by_has_lost_it() -> None:
    assert is_left_behind(ROW, THERE, LONG, [ROW, LATER])


def test_one_that_may_still_wait_for_its_turn_counts() -> None:
    assert not is_left_behind(ROW, THERE, LONG, [ROW, RUNS])
    assert not is_left_behind(ROW, THERE, LONG, [ROW, RUNS, replace(LATER, status="cancelled")])
    assert not is_left_behind(ROW, THERE, SHORT, [ROW])


def test_what_is_prepared_counts_as_long_as_nova_may_prepare_it() -> None:
    row = replace(ROW, status="preparing")
    assert not is_left_behind(row, THERE, timedelta(minutes=29), [row])
    assert is_left_behind(row, THERE, timedelta(minutes=31), [row])


def test_what_is_copied_already_is_never_left_behind() -> None:
    for row in (replace(ROW, status="running"), replace(ROW, kind="migration", status="migrating")):
        assert not is_idle(row, THERE) and not is_left_behind(row, THERE, LONG * 99, [row])


@pytest.mark.parametrize("kind", ["live-migration", "migration"])
@pytest.mark.parametrize("status", ["queued", "running", "migrating", "post-migrating"])
def test_whatever_a_deleted_instance_left_is_dead_after_a_while(kind: str, status: str) -> None:
    row = replace(ROW, kind=kind, status=status)
    assert may_be_left_behind(row, NOW) and is_idle(row, None)
    assert is_left_behind(row, None, LONG, [row, RUNS])
    assert not is_left_behind(row, None, SHORT, [row])
    assert not may_be_left_behind(replace(row, status="error"), NOW)


def test_only_one_that_a_host_was_given_is_looked_at() -> None:
    assert may_be_left_behind(ROW, NOW)
    assert not may_be_left_behind(replace(ROW, destination=None), NOW)
    assert not may_be_left_behind(replace(ROW, updated_at=NOW), NOW)
    cold = replace(ROW, kind="migration", status="migrating")
    assert may_be_left_behind(cold, NOW)
    assert not may_be_left_behind(replace(cold, updated_at=NOW - SHORT), NOW)


def test_an_instance_with_a_task_or_elsewhere_is_not_idle() -> None:
    assert is_idle(ROW, THERE)
    for other in (replace(THERE, task_state="migrating"), replace(THERE, host="c02")):
        assert not is_idle(ROW, other)


def test_what_was_left_behind_keeps_no_destination_and_no_source_once_it_has_moved() -> None:
    moved = replace(ROW, id=5, destination="c02", status="completed")
    assert incoming([ROW], "c03") == [ROW]
    assert incoming([ROW, moved], "c03") == [] and is_superseded(ROW, [ROW, moved])
    assert not is_superseded(ROW, [ROW, replace(moved, status="error")])
    assert not is_superseded(replace(ROW, status="running"), [ROW, moved])
    gone = Holder("m", instance("i1", host="c02"), ROW)
    assert gone.is_left_over("c01") and not gone.is_passing
    assert "left behind when nova-compute was killed" in gone.blocker("c01", "p").reason


@pytest.mark.parametrize(
    "there",
    [instance("i1", host="c01"), instance("i1", host="c02", task_state="migrating")],
)
def test_room_of_one_that_may_still_move_is_not_left_over(there: object) -> None:
    holder = Holder("m", there, ROW)  # type: ignore[arg-type]
    assert holder.is_passing and not holder.is_left_over("c01")
