"""What the steps of a controller's maintenance wait for, and what ends the waiting."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import builders
from in_memory_nova import InMemoryNova
from openstack_maintenance.adapters.deployment_files import load_deployment
from openstack_maintenance.domain.checks.checked import Checked
from openstack_maintenance.domain.checks.controller_facts import SeenService
from openstack_maintenance.domain.checks.finding import Finding
from openstack_maintenance.domain.errors import CloudError, HostError
from openstack_maintenance.domain.host.facts import UnitState
from openstack_maintenance.hooks.checks import ChecksHook
from openstack_maintenance.hooks.cloud_hook import CloudHook
from openstack_maintenance.triggers import host_wait
from openstack_maintenance.triggers.controller_wait import (
    ChecksPassTrigger,
    ControllerRebootedTrigger,
    HeartbeatsTrigger,
    ServicesBackTrigger,
    ServingTrigger,
)
from openstack_maintenance.triggers.host_wait import HostWaitTrigger

NOW = datetime(2026, 3, 10, 1, 0, tzinfo=UTC)
LATER, PAST = "2099-01-01T00:00:00+00:00", "2020-01-01T00:00:00+00:00"
LAB = load_deployment("lab", Path(__file__).parents[3] / "include/deployments")
SILENCE = HostError("host ctl01", "does not answer", "Look at it.")


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(host_wait, "_SHORTEST_SECONDS", 0.0)
    for trigger in (HostWaitTrigger, ChecksPassTrigger, ControllerRebootedTrigger):
        monkeypatch.setattr(trigger, "every_seconds", 0.0)
    (tmp_path / "policy.yaml").write_text("deployment: lab\n")
    monkeypatch.setenv("OPENSTACK_MAINTENANCE_POLICY", str(tmp_path / "policy.yaml"))


def made(trigger: type[HostWaitTrigger], deadline: str = LATER, **known: Any) -> HostWaitTrigger:
    compute = {"unit": "nova-compute", "log_paths": ["/var/log/nova/nova-compute.log"]}
    return trigger("ctl01", "10.0.0.8", compute, deadline, known=known)


async def payload(trigger: HostWaitTrigger) -> dict[str, Any]:
    (event,) = [event async for event in trigger.run()]
    return dict(event.payload)


# Restarted services.


def looks(trigger: HostWaitTrigger, *states: Any) -> HostWaitTrigger:
    """Each look gives nova-api in one of these states, the last for ever; an error is raised."""
    left = list(states)

    async def read() -> Any:
        state = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(state, Exception):
            raise state
        seen = SeenService("nova-api", state)
        controller = builders.controller(services=(seen,))
        return controller, [each for each in LAB if each.name == "nova-api"]

    @asynccontextmanager
    async def on_host() -> AsyncIterator[Any]:
        async def journal_tail(unit: str) -> tuple[str, ...]:
            return ("first", f"the disk is full ({unit})")

        yield SimpleNamespace(journal_tail=journal_tail)

    trigger._read = read  # type: ignore[attr-defined]
    trigger.on_host = on_host  # type: ignore[method-assign]
    return trigger


def state(active: str, sub: str, seconds: int) -> UnitState:
    """nova-api in this state since ``seconds`` after the order."""
    return builders.unit_state(
        "nova-api.service",
        active_state=active,
        sub_state=sub,
        main_pid=7,
        pids=(),
        active_enter=NOW + timedelta(seconds=seconds),
        starts_at_boot="enabled",
    )


BACK = {"services": ["nova-api"], "since": NOW.isoformat()}


async def test_a_service_is_back_when_it_is_active_since_after_the_order() -> None:
    trigger = looks(
        made(ServicesBackTrigger, **BACK),
        state("active", "running", -60),
        SILENCE,
        state("deactivating", "stop", -60),
        state("failed", "failed", -60),
        state("activating", "start", -60),
        state("active", "running", 5),
    )
    found = await payload(trigger)
    assert found == {"result": {"services": {"nova-api": "2026-03-10T01:00:05+00:00"}}}


@pytest.mark.parametrize(
    ("deadline", "states"),
    [
        (PAST, [state("activating", "auto-restart", -60)]),
        # systemd has given up: waiting for the deadline would help nobody.
        (LATER, [state("failed", "failed", -60), state("failed", "failed", -60)]),
    ],
)
async def test_one_that_does_not_come_back_is_named_with_its_journal(
    deadline: str, states: list[Any]
) -> None:
    error = (await payload(looks(made(ServicesBackTrigger, deadline, **BACK), *states)))["error"]
    assert error["subject"] == "controller ctl01"
    assert error["found"].startswith("not back after the restart: nova-api is ")
    assert error["found"].endswith("its journal ends: first | the disk is full (nova-api)")
    assert "clear restart_services with Downstream" in error["remedy"]


async def test_a_controller_that_is_silent_at_the_end_is_said() -> None:
    trigger = looks(made(ServicesBackTrigger, PAST, **BACK), SILENCE)
    assert "does not answer" in (await payload(trigger))["error"]["found"]


async def test_a_controller_that_does_not_come_back_from_its_reboot_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trigger = made(ControllerRebootedTrigger, PAST, boot_id_before="b1")

    @asynccontextmanager
    async def on_host() -> AsyncIterator[Any]:
        raise SILENCE
        yield

    trigger.on_host = on_host  # type: ignore[method-assign]
    error = (await payload(trigger))["error"]
    assert error["subject"] == "controller ctl01"
    assert "clear wait_for_controller" in error["remedy"]


# All checks.


class Rounds:
    """Each round of checks in turn, the last for ever; notes what it was compared with."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *rounds: list[Finding]) -> None:
        self.left = list(rounds)
        self.compared: list[Any] = []
        monkeypatch.setattr(ChecksHook, "check_all", self.check_all)

    async def check_all(self, last: Any = None) -> Checked:
        self.compared.append(last)
        findings = self.left.pop(0) if len(self.left) > 1 else self.left[0]
        seen = builders.controller()
        return Checked(seen={"ctl01": seen}, services={"ctl01": findings}, cloud={})


OK, BAD = Finding("nova-api", "ok", "active"), Finding("nova-api", "bad", "failed")


@pytest.mark.parametrize(
    ("rounds", "compared"),
    [
        ([[OK]], [False, True]),
        ([[BAD], [BAD], [OK]], [False, False, False, True]),
        ([[OK], [BAD], [OK]], [False, True, False, True]),
    ],
)
async def test_checks_pass_at_two_looks_in_a_row(
    monkeypatch: pytest.MonkeyPatch, rounds: list[list[Finding]], compared: list[bool]
) -> None:
    seen = Rounds(monkeypatch, *rounds)
    result = (await payload(made(ChecksPassTrigger, controllers=[])))["result"]
    assert [last is not None for last in seen.compared] == compared
    assert result["verdicts"] == {"ok": 1}
    assert result["services"] == {"ctl01": {"nova-api": "active"}}
    assert result["seen"]["ctl01"]["boot_id"] == "b1"


async def test_checks_that_do_not_pass_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    Rounds(monkeypatch, [BAD])
    error = (await payload(made(ChecksPassTrigger, PAST, controllers=[])))["error"]
    assert error["found"] == "not all pass: controller ctl01: nova-api: failed"


# Nova.


@pytest.fixture
def nova(monkeypatch: pytest.MonkeyPatch) -> InMemoryNova:
    nova = InMemoryNova()

    async def opened(self: CloudHook) -> Any:
        return nova

    monkeypatch.setattr(CloudHook, "aget_conn", opened)
    return nova


async def test_apis_serve_when_a_scheduler_has_answered(nova: InMemoryNova) -> None:
    nova.cloud.add("i1", "i2")
    nova.errors["ask_scheduler"] = [CloudError("scheduler round trip", "Timed out", "See.")]
    asked: list[Any] = []
    nova.before = lambda call, *args: asked.append(args) if call == "ask_scheduler" else None
    found = await payload(made(ServingTrigger, probe="p"))
    assert found == {"result": {"servers_listed": 2, "scheduler": {"asked": True}}}
    assert asked == [("p",), ("p",)]


async def test_apis_that_do_not_serve_are_named(nova: InMemoryNova) -> None:
    nova.errors["instances"] = CloudError("compute API", "answered 503", "Wait.")
    error = (await payload(made(ServingTrigger, PAST, probe="p")))["error"]
    assert "do not serve again: compute API: answered 503" in error["found"]


def beats(nova: InMemoryNova, *looks: dict[str, Any]) -> list[dict[str, Any]]:
    """Each look finds nova-compute on c01 like this; returns what was not looked at yet."""
    left = list(looks)
    nova.before = lambda *_: nova.cloud.add_host("c01", **left.pop(0))
    return left


def beat(number: int, is_up: bool = True) -> dict[str, Any]:
    return {"is_up": is_up, "updated_at": NOW + timedelta(seconds=10 * number)}


async def test_a_compute_is_back_when_its_heartbeat_advanced_twice(nova: InMemoryNova) -> None:
    left = beats(nova, beat(0), beat(0), beat(1), beat(2, is_up=False), beat(2), beat(9))
    found = await payload(made(HeartbeatsTrigger, services=[["nova-compute", "c01"]]))
    assert len(found["result"]["heartbeats"]["nova-compute on c01"]) == 3
    assert left == [beat(9)]


async def test_a_compute_that_is_not_back_is_named(nova: InMemoryNova) -> None:
    nova.cloud.add_host("c01", updated_at=None)
    wait = made(HeartbeatsTrigger, PAST, services=[["nova-compute", "c01"]])
    error = (await payload(wait))["error"]
    assert "waiting for the heartbeats of nova-compute on c01" in error["found"]
