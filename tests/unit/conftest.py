"""Waits without their intervals, for the tests that ask for it."""

from __future__ import annotations

import pytest

from openstack_maintenance.triggers import host_wait, incoming, migrate_instance
from openstack_maintenance.triggers.host_steps import (
    NovaComputeUpTrigger,
    RebootedTrigger,
)
from openstack_maintenance.triggers.host_wait import HostWaitTrigger


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in [
        (host_wait, "_SHORTEST_SECONDS"),
        (migrate_instance, "_SHORTEST_SECONDS"),
        (incoming, "_EVERY_SECONDS"),
    ]:
        monkeypatch.setattr(module, name, 0.0)
    for trigger in (HostWaitTrigger, RebootedTrigger, NovaComputeUpTrigger):
        monkeypatch.setattr(trigger, "every_seconds", 0.0)
