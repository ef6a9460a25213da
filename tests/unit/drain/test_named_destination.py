"""A person has named where the instances are to go, and Nova says that none of them can."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from builders import migration
from openstack_maintenance.domain.drain.move_order import Decision, Step
from openstack_maintenance.triggers.drain.setbacks import failure_of


@pytest.mark.parametrize(
    ("destination", "is_suggestion", "tried", "is_told"),
    [
        ("c04", False, True, True),
        ("c04", True, True, False),
        (None, False, True, False),
        ("c04", False, False, False),
    ],
    ids=["named", "a plan's suggestion", "nobody named one", "no migration has failed"],
)
def test_another_destination_is_offered_where_one_was_named(
    destination: str | None, is_suggestion: bool, tried: bool, is_told: bool
) -> None:
    move: Any = SimpleNamespace(
        subject="instance vm1",
        request=SimpleNamespace(destination=destination, is_suggestion=is_suggestion),
        order=SimpleNamespace(instance_id="i1"),
    )
    nova: Any = SimpleNamespace(why_it_failed=lambda instance_id: "No valid host was found.")
    failed = migration(status="error") if tried else None
    decision = Decision(Step.FAIL, "its migration ended as error", "Clear it.", failed)
    error = asyncio.run(failure_of(nova, move, decision))
    assert error.remedy.startswith("Clear it.")
    assert ("If c04 can never take it" in error.remedy) is is_told
    assert ("No valid host was found" in error.found) is tried
