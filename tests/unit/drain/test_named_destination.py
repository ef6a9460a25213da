"""A person has named where the instances are to go, and Nova says that none of them can."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from builders import migration, service
from openstack_maintenance.domain.drain.move_order import Decision, Step
from openstack_maintenance.triggers.drain.setbacks import failure_of


@pytest.mark.parametrize(
    ("destination", "is_suggestion", "ended", "is_told"),
    [
        ("c04", False, "error", True),
        ("c04", False, "failed", False),
        ("c04", True, "error", False),
        (None, False, "error", False),
        ("c04", False, None, False),
    ],
    ids=["named", "taken, and failed", "a plan's", "nobody named one", "none has failed"],
)
def test_another_destination_is_offered_where_one_was_named(
    destination: str | None, is_suggestion: bool, ended: str | None, is_told: bool
) -> None:
    move: Any = SimpleNamespace(
        subject="instance vm1",
        request=SimpleNamespace(destination=destination, is_suggestion=is_suggestion),
        order=SimpleNamespace(instance_id="i1"),
    )
    nova: Any = SimpleNamespace(why_it_failed=lambda instance_id: "No valid host was found.")
    failed = migration(status=ended) if ended else None
    decision = Decision(Step.FAIL, "its migration ended as error", "Clear it.", failed)
    error = asyncio.run(failure_of(nova, move, decision))
    assert error.remedy.startswith("Clear it.")
    assert ("If c04 can never take it" in error.remedy) is is_told
    assert ("No valid host was found" in error.found) is (ended is not None)


OUT = "[airflow compute_host_maintenance r1][out] kernel"
UNTOUCHED = "[airflow compute_host_maintenance r2][failed] failed at migrate_instance: no host"
UNPROVEN = "[airflow compute_host_maintenance r3][failed] failed at assert_amqp: no line"


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        (UNTOUCHED, "`openstack compute service set --enable c03 nova-compute`"),
        (OUT, "A run has taken c03 out: when that has ended, clear this task."),
        (UNPROVEN, None),  # it may not be well
        ("[airflow compute_host_maintenance r4][failed] something", None),
        ("RAM is broken, ask Kim", None),
    ],
)
def test_where_no_host_is_found_those_that_runs_keep_are_named(
    reason: str, told: str | None
) -> None:
    move: Any = SimpleNamespace(
        subject="instance vm1",
        request=SimpleNamespace(destination=None, is_suggestion=False),
        order=SimpleNamespace(instance_id="i1", source="c01"),
    )
    services = [service("c01", OUT), service("c02"), service("c03", reason)]
    nova: Any = SimpleNamespace(
        why_it_failed=lambda instance_id: "No valid host was found.",
        services=lambda binary: services,
    )
    failed = migration(status="error", destination=None)
    decision = Decision(Step.FAIL, "its migration ended as error", "Clear it.", failed)
    remedy = asyncio.run(failure_of(nova, move, decision)).remedy
    assert remedy == "Clear it." if told is None else told in remedy
