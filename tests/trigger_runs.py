"""Triggers as Airflow's triggerer makes and runs them, and a host that they look at."""

from __future__ import annotations

import importlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

import builders
from openstack_maintenance.domain.cloud import ComputeService
from openstack_maintenance.domain.errors import (
    CloudError,
    HostError,
)
from openstack_maintenance.domain.host.facts import ScriptState, UnitState
from openstack_maintenance.triggers.controller_wait import (
    ChecksPassTrigger,
    ControllerRebootedTrigger,
    HeartbeatsTrigger,
    ServicesBackTrigger,
    ServingTrigger,
)
from openstack_maintenance.triggers.host_steps import (
    AmqpTrigger,
    NovaComputeGoneTrigger,
    NovaComputeStillTrigger,
    NovaComputeUpTrigger,
    RebootedTrigger,
    ScriptTrigger,
)
from openstack_maintenance.triggers.host_wait import HostWaitTrigger
from openstack_maintenance.triggers.incoming import IncomingTrigger
from openstack_maintenance.triggers.migrate_instance import MigrateInstanceTrigger

GOLDEN = sorted((Path(__file__).resolve().parent / "fixtures/triggers").glob("*.json"))
NOW = datetime(2026, 3, 10, 1, 0, tzinfo=UTC)
LATER = "2099-01-01T00:00:00+00:00"
PAST = "2020-01-01T00:00:00+00:00"
CLASSES = [
    IncomingTrigger,
    MigrateInstanceTrigger,
    NovaComputeGoneTrigger,
    NovaComputeStillTrigger,
    ScriptTrigger,
    RebootedTrigger,
    NovaComputeUpTrigger,
    AmqpTrigger,
    ControllerRebootedTrigger,
    ServicesBackTrigger,
    ChecksPassTrigger,
    ServingTrigger,
    HeartbeatsTrigger,
]
HOST_ARGS: dict[str, Any] = {
    "host": "c01",
    "address": "10.0.0.21",
    "nova_compute": {"unit": "nova-compute", "log_paths": ["/var/log/nova/nova-compute.log"]},
    "deadline": LATER,
}
SILENCE = CloudError("compute API", "answered 503", "Wait.")
DEFECT = ZeroDivisionError("division by zero")


def load(file: Path) -> BaseTrigger:
    """Make the trigger as the triggerer does: from the class's path and the stored arguments."""
    stored = json.loads(file.read_text())
    module, _, name = stored["classpath"].rpartition(".")
    trigger = getattr(importlib.import_module(module), name)(**stored["kwargs"])
    assert isinstance(trigger, BaseTrigger)
    return trigger


async def event_of(trigger: BaseTrigger) -> TriggerEvent:
    events = [event async for event in trigger.run()]
    assert len(events) == 1
    return events[0]


class Host:
    """Answers each look in turn; the last answer for ever. An error is raised.

    The facts that follow a quick question about a part of them are those of the same look.
    """

    def __init__(self, *looks: Any) -> None:
        self.looks = list(looks)
        self.started = 0
        self.seen: Any = None

    def _next(self) -> Any:
        found = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        if isinstance(found, Exception):
            raise found
        return found

    async def read_facts(self) -> Any:
        return self.seen

    async def boot_id(self) -> str:
        self.seen = self._next()
        return str(self.seen.boot_id)

    async def script_state(self, unit: str) -> Any:
        return self._next()

    async def nova_compute_state(self) -> Any:
        self.seen = self._next()
        return getattr(self.seen, "nova_compute", self.seen)

    async def start_nova_compute(self) -> Any:
        self.started += 1
        return self._next()

    async def journal_tail(self) -> list[str]:
        return ["nova-compute: cannot reach libvirt"]


UP = builders.unit_state()
GONE = builders.unit_state(active_state="inactive", sub_state="dead", main_pid=0, pids=())
FAILED = replace(GONE, active_state="failed", sub_state="failed")
STOPPING = builders.unit_state(active_state="deactivating", sub_state="stop-sigterm")
UNREACHABLE = HostError("host c01", "does not answer", "Look at it.")
SCRIPT = ScriptState("openstack-maintenance-1", "running", output=("trimming",))


def facts(unit: UnitState = UP, boot_id: str = "b1") -> Any:
    return SimpleNamespace(nova_compute=unit, boot_id=boot_id, clock=NOW)


def on(
    host: Host, trigger: type[HostWaitTrigger], deadline: str = LATER, **known: Any
) -> HostWaitTrigger:
    made = trigger(**{**HOST_ARGS, "deadline": deadline}, known=known)

    @asynccontextmanager
    async def on_host() -> AsyncIterator[Any]:
        yield host

    made.on_host = on_host  # type: ignore[method-assign]
    return made


async def result_of(trigger: HostWaitTrigger) -> dict[str, Any]:
    """What resumes the task; the host's state may move on, so the task itself ends the step."""
    event = await event_of(trigger)
    assert set(event.payload) == {"result"}, event.payload
    return dict(event.payload["result"])


async def error_of(trigger: HostWaitTrigger) -> dict[str, str]:
    event = await event_of(trigger)
    assert set(event.payload) == {"error"}, event.payload
    return dict(event.payload["error"])


def service(beat: int, **given: Any) -> ComputeService:
    facts = {"is_enabled": False, "updated_at": NOW + timedelta(seconds=beat), **given}
    return builders.service(**facts)


def with_services(trigger: HostWaitTrigger, *services: Any) -> HostWaitTrigger:
    looks = list(services)

    async def read() -> ComputeService:
        found = looks.pop(0) if len(looks) > 1 else looks[0]
        if isinstance(found, Exception):
            raise found
        return found  # type: ignore[no-any-return]  # what a test put there

    trigger.service = read  # type: ignore[method-assign]
    return trigger
