"""Hosts as clouds have them: computes and controllers of packages and of kolla-ansible."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from random import Random

from openstack_maintenance.domain.deployment import Deployment
from simulator.clock import VirtualTime
from simulator.hosts.cloud_side import CloudSide
from simulator.hosts.machine import Machine
from simulator.hosts.nova_compute import MessageBroker, NovaCompute, NovaComputeHabits
from simulator.hosts.service import Service, ServiceHabits
from simulator.hosts.state import Container, HostClock, LogFile, Said, Unit

_GALERA = (
    "wsrep_cluster_size\t{}\nwsrep_cluster_status\tPrimary\nwsrep_connected\tON\n"
    "wsrep_local_state_comment\tSynced\nwsrep_ready\tON"
)


def compute_host(
    clock: VirtualTime,
    name: str,
    cloud: CloudSide,
    random: Random,
    broker: MessageBroker,
    deployment: Deployment,
    *,
    address: str = "",
    host_clock: HostClock | None = None,
    has_unit: bool = True,
    engine: str = "docker",
    habits: NovaComputeHabits | None = None,
) -> Machine:
    """A compute host with a nova-compute that runs and is on the broker.

    ``has_unit``: systemd starts it; without, its container's engine does.
    """
    machine = Machine(clock, name, cloud, random, address=address, host_clock=host_clock)
    compute = deployment.nova_compute
    unit = Unit(f"{compute.unit}.service") if has_unit else None
    container = None
    if compute.container:
        container = Container(compute.container, "podman" if engine == "podman" else "docker")
    elif unit is None:
        raise ValueError(f"{deployment.title} has no container for nova-compute")
    log = LogFile(compute.log_paths[0])
    machine.state.logs[log.path] = log
    args = "/usr/bin/python3 /usr/bin/nova-compute"
    service = Service(machine, "nova-compute", unit, container, args, ServiceHabits(stop_takes=8.0))
    program = NovaCompute(machine, service, broker, log, habits)
    machine.add(service)
    program.has_run_for_long()
    return machine


class ControlPlane:
    """The controllers' clusters: RabbitMQ with what nova-compute sees of it, and Galera."""

    def __init__(self, broker: MessageBroker) -> None:
        self.broker = broker
        self._broker_is = "rabbitmq-server"
        self.controllers: list[Machine] = []
        self.alarms: list[str] = []
        self.partitions: dict[str, list[str]] = {}

    def add(self, machine: Machine, deployment: Deployment) -> None:
        """Make a machine one of them: with every service that its deployment requires.

        Several of them may be one unit, as all that a web server serves: it is there once.
        """
        self.controllers.append(machine)
        there: set[tuple[str, str]] = set()
        for each in deployment:
            managed = (each.unit, each.container)
            if each.is_retired or not (each.required or each.role) or managed in there:
                continue
            there.add(managed)
            unit = Unit(f"{each.unit}.service") if each.unit and not each.container else None
            container = Container(each.container) if each.container else None
            service = Service(machine, each.name, unit, container)
            if each.role == "broker":
                self._broker_is = each.name
                service.on_started = partial(machine.later, 6.0, self._look_at_broker)
                service.on_ended = self._look_at_broker
            machine.add(service)
        machine.add(Service(machine, "chronyd", Unit("chrony.service")))
        machine.on_look.append(partial(self._work_out, machine, deployment))

    def _look_at_broker(self) -> None:
        is_up = bool(self._running(self._broker_is))
        if is_up and not self.broker.is_up:
            self.broker.comes_back()
        elif not is_up and self.broker.is_up:
            self.broker.goes_down()

    def _work_out(self, machine: Machine, deployment: Deployment) -> None:
        state = machine.state
        roles = {each.role: each.name for each in deployment if each.role}
        running = self._running(roles.get("broker", ""))
        state.broker = Said(0, self._cluster_status(running))
        size = len(self._running(roles.get("database", "")))
        state.database = Said(0, f"1\n{_GALERA.format(size)}")
        if machine in self._running(roles.get("cache", "")):
            state.cache = Said(0, "VERSION 1.6.18")

    def _running(self, comm: str) -> Sequence[Machine]:
        return [
            machine
            for machine in self.controllers
            if any(each.comm == comm and each.is_running for each in machine.services)
        ]

    def _cluster_status(self, running: Sequence[Machine]) -> str:
        return json.dumps(
            {
                "alarms": self.alarms,
                "disk_nodes": [_node(each) for each in self.controllers],
                "partitions": self.partitions,
                "ram_nodes": [],
                "running_nodes": [_node(each) for each in running],
            }
        )


def _node(machine: Machine) -> str:
    return f"rabbit@{machine.state.hostname}"
