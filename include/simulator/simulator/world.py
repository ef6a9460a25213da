"""One world: virtual time, hosts, network, broker and a cloud, and what the plugin is told of it.

world = World(folder, [HostAt("c01", "10.0.0.11")], cloud)
with world.installed():
    world.clock.spawn(...)
    world.clock.run(...)
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock

import yaml

from openstack_maintenance.adapters.deployment_files import load_deployment
from openstack_maintenance.adapters.policy_file import POLICY_VARIABLE, include_folder
from openstack_maintenance.domain.deployment import Deployment
from simulator.clock import VirtualTime
from simulator.hosts.cloud_side import CloudSide, EmptyCloud
from simulator.hosts.kinds import ControlPlane, compute_host
from simulator.hosts.machine import Machine
from simulator.hosts.nova_compute import MessageBroker, NovaComputeHabits
from simulator.hosts.ssh import SimulatedNetwork
from simulator.hosts.state import HostClock

CLOUD_URL = "http://cloud.invalid/identity/v3"
_LOGIN = "maintenance"


@dataclass(frozen=True)
class HostAt:
    """A host by Nova's name, its SSH address, and its full name where that differs."""

    name: str
    address: str
    fqdn: str = ""


@functools.cache
def _deployment(name: str, folder: Path) -> Deployment:
    return load_deployment(name, folder / "deployments")


@dataclass(frozen=True)
class Kind:
    """What the hosts of a world are: a file of include/deployments, and its variants."""

    deployment: str = "debian"
    has_unit: bool = True
    engine: str = "docker"
    zone: str = "Etc/UTC"
    nova_compute: NovaComputeHabits | None = None


class World:
    """``folder``: for the files that the plugin reads. ``policy``: fields of it that are not its
    defaults. ``parts``: what is installed with the world, such as the transport of HTTP.
    """

    def __init__(
        self,
        folder: Path,
        computes: Sequence[HostAt],
        cloud: CloudSide,
        *,
        clock: VirtualTime | None = None,
        controllers: Sequence[HostAt] = (HostAt("ctl01", "10.255.0.10"),),
        kind: Kind | None = None,
        policy: Mapping[str, Any] | None = None,
        seed: int = 0,
        cloud_password: str = "secret",  # noqa: S107  of a cloud that exists in memory
        parts: Iterable[AbstractContextManager[Any]] = (),
    ) -> None:
        self.folder = folder
        self.clock = clock or VirtualTime()
        self.random = Random(f"hosts {seed}")  # noqa: S311  the same again is what is wanted
        self.cloud, self.cloud_password = cloud, cloud_password
        self.kind = kind or Kind()
        self.parts = list(parts)
        self.policy = dict(policy or {})
        self.deployment = _deployment(self.kind.deployment, include_folder())
        self.network = SimulatedNetwork(self.clock, self.random)
        broker_at = controllers[0].address if controllers else "10.255.0.10"
        self.broker = MessageBroker(self.clock, f"{broker_at}:5672")
        self.control_plane = ControlPlane(self.broker)
        self.machines: dict[str, Machine] = {}
        self._controllers = tuple(controllers)
        for each in controllers:
            self._add_controller(each)
        for each in computes:
            self._add_compute(each)

    def _add_compute(self, at: HostAt) -> None:
        kind = self.kind
        machine = compute_host(
            self.clock,
            at.name,
            self.cloud,
            self.random,
            self.broker,
            self.deployment,
            address=at.address,
            host_clock=HostClock(kind.zone, since=self.clock.seconds()),
            has_unit=kind.has_unit,
            engine=kind.engine,
            habits=kind.nova_compute,
        )
        self._add(machine, at)

    def _add_controller(self, at: HostAt) -> None:
        host_clock = HostClock(self.kind.zone, since=self.clock.seconds())
        no_guests = EmptyCloud()
        machine = Machine(
            self.clock, at.name, no_guests, self.random, address=at.address, host_clock=host_clock
        )
        self.control_plane.add(machine, self.deployment)
        self._add(machine, at)

    def _add(self, machine: Machine, at: HostAt) -> None:
        machine.state.fqdn = at.fqdn or at.name
        self.network.add(machine)
        self.machines[at.name] = machine

    # What the plugin reads.

    @property
    def known_hosts(self) -> Path:
        return self.folder / "known_hosts"

    def environment(self) -> dict[str, str]:
        """Airflow's connections and the policy, as environment variables; their files written."""
        self.known_hosts.write_text(self.network.known_hosts())
        policy = self.folder / "policy.yaml"
        policy.write_text(yaml.safe_dump(self.whole_policy()))
        ssh = {
            "conn_type": "ssh",
            "login": _LOGIN,
            "password": "not looked at",
            "extra": {"known_hosts": str(self.known_hosts)},
        }
        openstack = {
            "conn_type": "openstack",
            "host": CLOUD_URL,
            "login": "admin",
            "password": self.cloud_password,
            "extra": {"project_name": "admin", "region_name": "RegionOne"},
        }
        return {
            "AIRFLOW_CONN_OPENSTACK_SSH": json.dumps(ssh),
            "AIRFLOW_CONN_OPENSTACK_DEFAULT": json.dumps(openstack),
            POLICY_VARIABLE: str(policy),
        }

    def whole_policy(self) -> dict[str, Any]:
        """The policy: what the world is, and the fields that were given."""
        controllers = [{"host": each.name, "address": each.address} for each in self._controllers]
        return {
            "deployment": self.kind.deployment,
            "controllers": controllers,
            "records": str(self.folder / "records"),
            **self.policy,
        }

    @contextmanager
    def installed(self) -> Iterator[World]:
        """While this lasts, plugin code of this thread lives in this world, and in no other."""
        with ExitStack() as stack:
            stack.enter_context(mock.patch.dict(os.environ, self.environment()))
            stack.enter_context(self.network.installed())
            for part in self.parts:
                stack.enter_context(part)
            stack.enter_context(self.clock.installed())
            yield self
