"""The runbook's list against a real systemd: 26 stand-in units, each failed in turn."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

from airflow_local.home import PROJECT
from openstack_lab import Lab
from openstack_maintenance.adapters.controller import read_controller
from openstack_maintenance.adapters.deployment_files import load_deployment
from openstack_maintenance.adapters.shell import Shell
from openstack_maintenance.adapters.ssh_login import connect_shell
from openstack_maintenance.domain.checks.finding import Finding
from openstack_maintenance.domain.checks.service_rules import LastCheck, judge_services
from openstack_maintenance.domain.deployment import Deployment

HOST = "c04"
# Above /etc, where the lab's own units of the same names are, and gone with the next boot.
FOLDER = "/run/systemd/system.control"
UNIT = """\
[Unit]
Description=stand-in for {name} in a test
[Service]
ExecStart=/bin/sleep infinity
"""


def liberty() -> Deployment:
    """The runbook's list; a stand-in cannot be asked for more than its state."""
    deployment = load_deployment("rdo-liberty", PROJECT / "include/deployments")
    groups = tuple(
        replace(group, services=tuple(replace(service, role="") for service in group.services))
        for group in deployment.groups
    )
    return replace(deployment, groups=groups)


@asynccontextmanager
async def logged_in(lab: Lab) -> AsyncIterator[Shell]:
    connection = json.loads(lab.airflow_environment()["AIRFLOW_CONN_OPENSTACK_SSH"])
    options = {
        "host": lab.status()["hosts"][HOST]["address"],
        "username": connection["login"],
        "client_keys": [connection["extra"]["key_file"]],
        "known_hosts": connection["extra"]["known_hosts"],
    }
    async with connect_shell(options, HOST) as shell:
        yield shell


async def order(shell: Shell, command: str) -> None:
    done = await shell.run(f"sudo sh -c '{command}'", wait=timedelta(seconds=60))
    assert done.status == 0, done.stderr


async def findings(shell: Shell, deployment: Deployment) -> list[Finding]:
    seen = await read_controller(shell, deployment)
    judged = judge_services(deployment, seen, LastCheck())
    return [finding for group in judged.values() for finding in group]


async def each_failed_in_turn(lab: Lab) -> list[str]:
    deployment = liberty()
    names = [service.name for service in deployment]
    missed = []
    async with logged_in(lab) as shell:
        try:
            writes = "".join(
                f'printf "%s" "{UNIT.format(name=name)}" >{FOLDER}/{name}.service\n'
                for name in names
            )
            start = f"systemctl daemon-reload; systemctl start {' '.join(names)}"
            await order(shell, f"mkdir -p {FOLDER}\n{writes}{start}")
            assert [(f.name, f.text) for f in await findings(shell, deployment)] == [
                (name, "active") for name in names
            ]
            for name in names:
                killed = f"systemctl kill -s KILL {name}"
                gone = f"while systemctl --quiet is-active {name}; do sleep 0.05; done"
                await order(shell, f"{killed}; {gone}")
                bad = [each for each in await findings(shell, deployment) if each.verdict != "ok"]
                if [(f.name, f.text) for f in bad] != [(name, "failed")] or not bad[0].journal:
                    missed.append(f"{name}: {[str(each) for each in bad]}")
                await order(shell, f"systemctl start {name}")
        finally:
            files = " ".join(f"{FOLDER}/{name}.service" for name in names)
            stop = f"systemctl stop {' '.join(names)}; systemctl reset-failed"
            await order(shell, f"{stop}; rm -f {files}; systemctl daemon-reload")
    assert len(names) == 26
    return missed


def test_each_of_the_runbooks_26_services_is_detected_when_it_fails(lab: Lab) -> None:
    assert asyncio.run(each_failed_in_turn(lab)) == []
