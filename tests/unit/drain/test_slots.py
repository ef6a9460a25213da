"""How many migrations may be in flight, and which one more may wait in Nova's own queue."""

from __future__ import annotations

import pytest

from builders import migration
from openstack_maintenance.domain.cloud import Migration
from openstack_maintenance.domain.drain.slots import Limits, busy_because


def flying(text: str) -> list[Migration]:
    """``"c01 running, c02 queued cold"``: source, status, and cold where it is not live."""
    found = []
    for number, words in enumerate((part.split() for part in text.split(",") if part), start=1):
        kind = "migration" if words[-1] == "cold" else "live-migration"
        found.append(migration(number, words[1], kind=kind, source=words[0], destination=None))
    return found


ONE, TWO = Limits(per_host=1, total=4), Limits(per_host=2, total=4)
NOVA_ONE, NOVA_TWO = (
    Limits(per_host=1, total=4, nova_limit=1),
    Limits(per_host=2, total=4, nova_limit=2),
)


@pytest.mark.parametrize(
    ("in_flight", "limits"),
    [
        pytest.param("", ONE, id="nothing in flight"),
        pytest.param("c02 running", ONE, id="another host's"),
        pytest.param("c02 running,c03 running,c04 running", ONE, id="one below the cloud's limit"),
        pytest.param("c01 running", TWO, id="one of two"),
        pytest.param("c01 running", NOVA_ONE, id="Nova's limit is ours: one more may queue"),
        pytest.param("c01 queued", NOVA_ONE, id="the one that Nova is about to start"),
        pytest.param("c01 running,c01 running", NOVA_TWO, id="one more than two may queue"),
        pytest.param("c01 running,c01 running,c01 queued", NOVA_TWO, id="the next of each slot"),
        pytest.param(
            "c02 running,c02 queued,c03 running,c03 queued,c04 running,c04 queued",
            NOVA_ONE,
            id="queued ones occupy no slot of the cloud",
        ),
    ],
)
def test_a_live_migration_may_start(in_flight: str, limits: Limits) -> None:
    assert busy_because(flying(in_flight), "c01", True, limits) is None


@pytest.mark.parametrize(
    ("in_flight", "is_live", "limits", "reason"),
    [
        ("c01 running", True, ONE, "1 of 1 migrations off c01"),
        ("c01 accepted", True, ONE, "1 of 1 migrations off c01"),
        ("c01 preparing", True, ONE, "1 of 1 migrations off c01"),
        ("c01 post-migrating", True, ONE, "1 of 1 migrations off c01"),
        ("c01 migrating cold", True, ONE, "1 of 1 migrations off c01"),
        ("c01 running,c01 running", True, TWO, "2 of 2 migrations off c01"),
        ("c01 running,c01 queued", True, NOVA_ONE, "2 of 1 migrations off c01"),
        ("c01 running,c01 running,c01 queued,c01 accepted", True, NOVA_TWO, "4 of 2 migrations"),
        (
            "c02 running,c02 queued,c03 running",
            True,
            Limits(per_host=2, total=3, nova_limit=2),
            "3 of 3 migra",
        ),
        ("c01 running", False, NOVA_ONE, "1 of 1 migrations off c01"),
        ("c01 migrating cold", True, NOVA_ONE, "1 of 1 migrations off c01"),
        (
            "c01 running",
            True,
            Limits(per_host=1, total=4, nova_limit=2),
            "1 of 1 migrations off c01",
        ),
        (
            "c01 running,c01 running",
            True,
            Limits(per_host=2, total=4, nova_limit=1),
            "2 of 2 migrations off",
        ),
        (
            "c02 running,c03 running",
            True,
            Limits(per_host=1, total=2),
            "2 of 2 migrations of the cloud",
        ),
        (
            "c02 running,c03 running cold",
            False,
            Limits(per_host=1, total=2),
            "2 of 2 migrations of the cloud",
        ),
    ],
)
def test_one_more_must_wait(in_flight: str, is_live: bool, limits: Limits, reason: str) -> None:
    assert (busy_because(flying(in_flight), "c01", is_live, limits) or "").startswith(reason)
