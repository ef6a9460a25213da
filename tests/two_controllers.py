"""Two controllers and their cloud, for the steps of controller_maintenance."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_run import StateStore, context_of
from builders import NOW, controller, unit_state
from in_memory_nova import CloudState, InMemoryNova
from openstack_maintenance.adapters.deployment_files import load_deployment
from openstack_maintenance.domain.checks.checked import Checked
from openstack_maintenance.domain.checks.controller_facts import (
    Broker,
    Database,
    SeenController,
    SeenService,
)
from openstack_maintenance.domain.checks.finding import Finding
from openstack_maintenance.domain.host.facts import RebootAnswer
from openstack_maintenance.hooks.checks import ChecksHook
from openstack_maintenance.operators.controllers import steps
from openstack_maintenance.operators.controllers.base import ControllersOperator
from openstack_maintenance.operators.controllers.check_controllers import CheckControllersOperator

LAB = load_deployment("lab", Path(__file__).parents[1] / "include/deployments")
CTL01, CTL02 = ({"host": name, "address": f"{name}.example.com"} for name in ("ctl01", "ctl02"))
ASKED: dict[str, Any] = {"ignore_window": True, "reason": "test"}
GALERA = {
    "wsrep_cluster_size": "3",
    "wsrep_cluster_state_uuid": "u",
    "wsrep_cluster_status": "Primary",
    "wsrep_local_state_comment": "Synced",
    "wsrep_connected": "ON",
    "wsrep_ready": "ON",
}


def context(
    place: int = 0,
    tasks: list[dict[str, Any]] | None = None,
    store: StateStore | None = None,
    **params: Any,
) -> Any:
    return context_of(
        "controller_maintenance",
        params={**ASKED, **params},
        store=store,
        map_index=place,
        tasks=tasks or [],
        results={"check_controllers": [CTL02, CTL01]},
    )


CONTROLLERS = (
    "controllers: [{host: ctl01, address: ctl01.example.com}, "
    "{host: ctl02, address: ctl02.example.com}]\n"
)


def seen(
    boot_id: str, restarted: tuple[str, ...] = (), down: tuple[str, ...] = ()
) -> SeenController:
    """A controller of a whole cluster; ``restarted`` are active since after NOW."""
    nodes = ("rabbit@a", "rabbit@b", "rabbit@c")
    units = (
        unit_state(
            each.name,
            active_state="failed" if each.name in down else "active",
            sub_state="",
            main_pid=0,
            pids=(),
            active_enter=NOW + timedelta(minutes=1 if each.name in restarted else -60),
            starts_at_boot="enabled",
        )
        for each in LAB
    )
    return controller(
        hostname=boot_id,
        boot_id=boot_id,
        services=tuple(SeenService(unit.name, unit) for unit in units),
        broker=Broker(members=nodes, running=nodes),
        database=Database(answers=True, galera=GALERA),
    )


class World:
    """Two controllers and their cloud; ``did`` is what was changed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.controllers = {"ctl01": seen("b1"), "ctl02": seen("b2")}
        self.findings: dict[str, list[Finding]] = {"ctl01": [], "ctl02": []}
        self.boots = {"ctl01": "b1", "ctl02": "b2"}
        self.did: list[str] = []
        self.cloud = CloudState()
        self.cloud.add_host("c01")
        self.cloud.add("i1", name="web")
        self.nova = InMemoryNova(self.cloud)
        monkeypatch.setattr(ChecksHook, "check_all", self.check_all)
        monkeypatch.setattr(ChecksHook, "check_services", self.check_all)
        monkeypatch.setattr(ControllersOperator, "nova", self.nova, raising=False)
        monkeypatch.setattr(steps.RestartServicesOperator, "_read", self.read)
        monkeypatch.setattr(steps.RestartServicesOperator, "_order", self.order)
        monkeypatch.setattr(steps.RebootControllerOperator, "_reboot", self.reboot)
        monkeypatch.setattr(steps.RebootControllerOperator, "_boot_id", self.boot_id)
        monkeypatch.setattr(CheckControllersOperator, "_ask_rights", self.rights)
        self.missing: tuple[str, ...] = ()

    async def check_all(self) -> Checked:
        return Checked(seen=dict(self.controllers), services=dict(self.findings), cloud={})

    async def rights(self, host: str, services: Any) -> tuple[str, ...]:
        return self.missing

    async def read(self) -> SeenController:
        return self.controllers["ctl02"]

    async def order(self, stage: list[Any]) -> None:
        self.did += [f"restart {service.name}" for service in stage]

    async def boot_id(self) -> str:
        return self.boots["ctl02"]

    async def reboot(self, boot_id: str) -> RebootAnswer:
        if self.boots["ctl02"] != boot_id:
            return RebootAnswer("already_rebooted")
        self.did.append("reboot ctl02")
        return RebootAnswer("asked")
