"""A host whose nova-compute died strands its moves; one that is down for a moment does not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from in_memory_nova import CloudState, InMemoryNova
from openstack_maintenance.domain.mark import Mark
from openstack_maintenance.triggers.drain import source_health
from openstack_maintenance.triggers.drain.source_health import SourceHealth

OWNER = Mark("compute_host_maintenance", "r1", "new kernel")


class Move:
    def __init__(self, source: str) -> None:
        self.order = SimpleNamespace(source=source)
        self.subject = f"instance on {source}"
        self.request = SimpleNamespace(owner=OWNER)
        self.entered_at = datetime.now(UTC)
        self.error: Exception | None = None

    def fail(self, error: Exception) -> None:
        self.error = error


def nova_of(**given: Any) -> InMemoryNova:
    """A Nova whose two hosts this run has disabled; ``given``: what is otherwise."""
    cloud = CloudState()
    cloud.add_host("c01", "c02", **{"reason": str(OWNER), **given})
    return InMemoryNova(cloud)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A clock that a test moves: ``clock.seconds``."""
    moved = SimpleNamespace(seconds=0)
    began = datetime.now(UTC)
    fake = SimpleNamespace(now=lambda _: began + timedelta(seconds=moved.seconds))
    monkeypatch.setattr(source_health, "datetime", fake)
    return moved


async def test_moves_off_a_host_that_stays_down_end_and_others_go_on(
    clock: SimpleNamespace,
) -> None:
    nova, dead, alive = nova_of(), Move("c01"), Move("c02")
    health = SourceHealth(nova)
    nova.cloud.change_service("c01", is_up=False)
    for clock.seconds in (0, 61):
        assert dead.error is None
        await health.look([dead, alive])
    assert str(dead.error) == (
        "instance on c01: nova-compute on c01 is down, so nothing moves it any more. "
        "Start nova-compute there; when `openstack compute service list` shows it as up, "
        "clear this task with Downstream."
    )
    assert alive.error is None


async def test_a_host_that_is_down_for_one_look_only_strands_nothing(
    clock: SimpleNamespace,
) -> None:
    nova, move = nova_of(), Move("c01")
    health = SourceHealth(nova)
    for clock.seconds, is_up in ((0, False), (61, True), (122, False)):
        nova.cloud.change_service("c01", is_up=is_up)
        await health.look([move])
    assert move.error is None


async def test_nova_is_asked_at_once_and_then_every_minute(
    clock: SimpleNamespace,
) -> None:
    nova = nova_of()
    health = SourceHealth(nova)
    for clock.seconds in range(0, 131, 5):
        await health.look([])
    assert nova.calls["services"] == 3


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"disabled_reason": str(Mark("compute_host_maintenance", "r1", "other words"))}, None),
        ({"is_enabled": True, "disabled_reason": None}, "it is enabled, not disabled by this run"),
        ({"disabled_reason": "ask Ana"}, "it is disabled with 'ask Ana', not disabled by this run"),
        (
            {"disabled_reason": str(Mark("controller_x", "r2"))},
            "it is disabled with '[airflow controller_x r2][out] ', not disabled by this run",
        ),
    ],
)
async def test_a_host_is_the_runs_while_its_service_carries_the_runs_mark(
    given: dict[str, Any], found: str | None
) -> None:
    health, before = SourceHealth(nova_of(**given)), Move("c01")
    assert health.lost(before) is None  # nothing was seen yet
    await health.look([])
    lost = health.lost(before)
    assert (lost.found if lost else None) == found
    assert health.lost(Move("c01")) is None  # it came after the look
    assert health.lost(Move("c09")) is None
    before.request.owner = None
    assert health.lost(before) is None
