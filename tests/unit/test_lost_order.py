"""A reboot whose order was lost: said as soon as it is known, with the remedy that works."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from builders import NOW
from openstack_maintenance.domain.errors import HostError
from openstack_maintenance.triggers import host_steps, host_wait
from openstack_maintenance.triggers.controller_wait import ControllerRebootedTrigger
from openstack_maintenance.triggers.host_steps import RebootedTrigger

LATER = "2099-01-01T00:00:00+00:00"
PAST = "2020-01-01T00:00:00+00:00"
SILENCE = HostError("host c01", "nobody answers in time", "Check the network.")
BOTH = pytest.mark.parametrize(
    ("kind", "subject"),
    [(RebootedTrigger, "host c01"), (ControllerRebootedTrigger, "controller c01")],
)


class Host:
    """What each look finds: a boot_id, or silence; the last one goes on. A look takes 20 s."""

    def __init__(self, *looks: str | None) -> None:
        self.looks = list(looks)
        self.seconds = 0.0

    async def boot_id(self) -> str:
        self.seconds += 20
        found = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        if found is None:
            raise SILENCE
        self.boot = found
        return found

    async def read_facts(self) -> Any:
        return SimpleNamespace(boot_id=self.boot, clock=NOW + timedelta(minutes=2))


async def ended(
    monkeypatch: pytest.MonkeyPatch, kind: type[RebootedTrigger], host: Host, deadline: str = LATER
) -> dict[str, Any]:
    trigger = kind(
        host="c01",
        address="10.0.0.21",
        nova_compute={"unit": "nova-compute", "log_paths": ["/var/log/nova/nova-compute.log"]},
        deadline=deadline,
        known={"boot_id_before": "b1", "ordered_at": NOW.isoformat()},
    )

    @asynccontextmanager
    async def on_host() -> AsyncIterator[Host]:
        yield host

    monkeypatch.setattr(trigger, "on_host", on_host)
    monkeypatch.setattr(kind, "every_seconds", 0.0)
    monkeypatch.setattr(host_wait, "_SHORTEST_SECONDS", 0.0)
    monkeypatch.setattr(host_steps.time, "monotonic", lambda: host.seconds)
    events = [event async for event in trigger.run()]
    return dict(events[0].payload)


@BOTH
async def test_one_that_answers_for_minutes_in_the_same_boot_is_told_to_be_ordered_again(
    kind: type[RebootedTrigger], subject: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = Host("b1")
    error = (await ended(monkeypatch, kind, host))["error"]
    assert error["subject"] == subject
    assert error["found"] == (
        "was not rebooted: it has answered for 3 minutes and is still in the boot from before the "
        "reboot (boot_id b1), so the order was lost"
    )
    assert error["remedy"].startswith("Clear reboot with Downstream: ")
    assert "console" not in str(error)
    assert 180 <= host.seconds <= 220  # not reboot_timeout


@BOTH
async def test_one_that_was_slow_to_go_down_is_waited_for(
    kind: type[RebootedTrigger], subject: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It refuses logins as it shuts down: what it answered before that does not count."""
    host = Host(*["b1"] * 8, None, *["b1"] * 8, *[None] * 30, "b2")
    found = await ended(monkeypatch, kind, host)
    assert found["result"]["boot_id_after"] == "b2"


@BOTH
async def test_at_the_deadline_too_it_is_the_order_that_was_lost(
    kind: type[RebootedTrigger], subject: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = (await ended(monkeypatch, kind, Host("b1"), PAST))["error"]
    assert error["found"].startswith("was not rebooted: it has answered and is still in the boot")
    assert error["remedy"].startswith("Clear reboot with Downstream: ")


@BOTH
async def test_one_that_does_not_answer_at_the_deadline_is_looked_for_at_its_console(
    kind: type[RebootedTrigger], subject: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = (await ended(monkeypatch, kind, Host(None), PAST))["error"]
    assert error["found"].startswith("did not come back from its reboot in time")
    assert error["remedy"].startswith("Look at its console or BMC")
