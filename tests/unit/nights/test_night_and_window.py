"""A night and its window: who waits for it, and for which one a plan is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import DownstreamTasksSkipped, TaskDeferred

from openstack_maintenance.domain.errors import Blocked, CheckFailed
from openstack_maintenance.domain.policy import Policy
from openstack_maintenance.domain.window import Window
from openstack_maintenance.operators.nights.plan import coming_window
from openstack_maintenance.operators.nights.select_hosts import SelectHostsOperator

BY_HAND = {"reason": "kernel", "dry_run": False, "ignore_window": False}


def at(hour: int, minute: int = 0, day: int = 22) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "opens"),
    [
        (at(0, 59), at(1)),
        (at(1), at(1)),
        (at(1, 59), at(1)),
        (at(2), at(1, day=24)),  # the night of the 23rd is excluded
    ],
)
def test_a_plan_is_for_the_window_that_is_open_or_else_for_the_next(
    now: datetime, opens: datetime
) -> None:
    policy = Policy(window=Window(exclude=("2026-11-23",)))
    assert coming_window(policy, now) == (opens, opens + timedelta(hours=1))


def test_a_window_that_never_opens_is_said_to_be_so() -> None:
    first = datetime(2026, 11, 21, tzinfo=UTC)
    days = tuple(str((first + timedelta(days=number)).date()) for number in range(370))
    with pytest.raises(CheckFailed, match="does not open within a year"):
        coming_window(Policy(window=Window(exclude=days)), at(12))


class Night(SelectHostsOperator):
    """Says that it would look, instead of looking."""

    def select(self) -> list[dict[str, Any]]:
        return [{"host": "c01"}]


def night(opens_in: timedelta, params: Mapping[str, Any]) -> Night:
    opens = datetime.now(UTC) + opens_in
    hours = {"start": f"{opens:%H:%M}", "end": f"{opens + timedelta(minutes=30):%H:%M}"}
    operator = Night(task_id="select_hosts")
    operator.policy = Policy(window=Window(**hours), window_patience="4h")
    alone = SimpleNamespace(dag_id="nightly_compute_maintenance", get_task_states=lambda **_: {})
    by_hand = SimpleNamespace(logical_date=None, run_type="manual")
    given: Any = {"params": params, "run_id": "r1", "ti": alone, "dag_run": by_hand}
    operator._context = given
    return operator


def test_a_night_that_begins_early_waits_for_its_window() -> None:
    with pytest.raises(TaskDeferred):
        night(timedelta(hours=2), BY_HAND).perform()


def test_a_night_within_its_window_looks_at_once() -> None:
    assert night(timedelta(minutes=-10), BY_HAND).perform() == [{"host": "c01"}]


@pytest.mark.parametrize("param", ["dry_run", "ignore_window"])
@pytest.mark.parametrize("hours", [2, 8])
def test_who_changes_nothing_or_ignores_the_window_does_not_wait(param: str, hours: int) -> None:
    found = night(timedelta(hours=hours), {**BY_HAND, param: True}).perform()
    assert found == [{"host": "c01"}]


def test_a_window_that_is_far_off_is_a_refusal() -> None:
    with pytest.raises(Blocked, match="later than window_patience"):
        night(timedelta(hours=8), BY_HAND).perform()


@pytest.mark.parametrize(
    ("kind", "params", "is_skipped"),
    [
        ("scheduled", BY_HAND, True),
        ("backfill", BY_HAND, True),
        ("manual", {**BY_HAND, "dry_run": True}, False),  # the UI's form gives it a date, too
    ],
)
def test_on_an_excluded_night_only_the_schedule_has_nothing_to_do(
    kind: str, params: Mapping[str, Any], is_skipped: bool
) -> None:
    step = night(timedelta(hours=2), params)
    today = datetime.now(UTC)
    window = replace(step.policy.window, exclude=(str(today.date()),))
    step.policy = replace(step.policy, window=window)
    given: Any = step._context
    given["dag_run"] = SimpleNamespace(logical_date=today, run_type=kind)
    given["ti"].xcom_push = lambda **pushed: None
    if is_skipped:
        with pytest.raises(DownstreamTasksSkipped):
            step.perform()
    else:
        assert step.perform() == [{"host": "c01"}]
