"""A member of an anti-affinity group does not move right after another one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import builders
from openstack_maintenance.domain.cloud import Migration
from openstack_maintenance.domain.drain.group_peace import restless_because

NOW = datetime(2026, 11, 22, 1, 5, tzinfo=UTC)
GROUPS = {"a": "g", "b": "g", "c": "other"}


def moved(instance_id: str, seconds_ago: int, **given: Any) -> Migration:
    at = NOW - timedelta(seconds=seconds_ago)
    facts = {"status": "completed", "created_at": at, "updated_at": at, **given}
    return builders.migration(instance_id=instance_id, **facts)


@pytest.mark.parametrize(
    ("migration", "said"),
    [
        (moved("b", 0, status="running"), "is being migrated"),
        (moved("b", 900, status="queued"), "is being migrated"),
        (moved("b", 0, status="migrating", kind="migration"), "is being migrated"),
        (moved("b", 1), "may not know yet where it is"),
        (moved("b", 129), "may not know yet where it is"),
    ],
)
def test_it_waits_while_the_scheduler_may_be_wrong_about_its_group(
    migration: Migration, said: str
) -> None:
    assert said in str(restless_because("a", GROUPS, [migration], NOW))


@pytest.mark.parametrize(
    "migration",
    [
        moved("b", 130),
        moved("b", 1, status="error"),  # it is where it was
        moved("b", 1, status="confirmed", kind="migration"),  # of these the hosts tell at once
        moved("a", 1),  # itself
        moved("c", 1),  # of another group
        moved("x", 1, status="running"),  # of none
    ],
)
def test_what_does_not_concern_its_group_is_not_waited_for(migration: Migration) -> None:
    assert restless_because("a", GROUPS, [migration], NOW) is None


def test_who_is_in_no_group_does_not_wait() -> None:
    assert restless_because("x", GROUPS, [moved("b", 1)], NOW) is None
