"""One whole world: the cloud behind its APIs, the hosts behind SSH, and an Airflow that runs the
project's DAGs, in one virtual time. What a host does its guests and Nova feel, and the other way
round: there is one truth, the state of the cloud.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import openstack_maintenance
from simulator.airflow import Airflow
from simulator.airflow import Settings as AirflowSettings
from simulator.clock import START, VirtualTime
from simulator.cloud import Cloud
from simulator.cloud import Settings as CloudSettings
from simulator.http import Application, Transport
from simulator.world import HostAt, Kind, World

# Beside the plugins that are on the path: a campaign can be run with those of another checkout.
DAGS = Path(openstack_maintenance.__file__).resolve().parents[2] / "dags"


class CloudOfHosts:
    """What hosts tell the cloud. One that is cut from the broker sends no heartbeats and takes no
    orders, and its guests run on.
    """

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def guest_names_on(self, host: str) -> Sequence[str]:
        return self._cloud.guest_names_on(host)

    def host_starts_nova_compute(self, host: str) -> None:
        self._cloud.host_starts_nova_compute(host)

    def host_stops_nova_compute(self, host: str, *, in_order: bool = True) -> None:
        self._cloud.host_stops_nova_compute(host, in_order=in_order)

    def host_loses_broker(self, host: str) -> None:
        state = self._cloud.state
        self._cloud.services.end_beats(state.hosts[host].service)
        state.note("host", "does not reach the broker", host=host)

    def host_reaches_broker(self, host: str) -> None:
        state = self._cloud.state
        if not state.hosts[host].is_computing:
            self._cloud.services.begin_beats(state.hosts[host].service)
            self._cloud.services.sync_trait(state.hosts[host])
            state.note("host", "reaches the broker again", host=host)
            self._cloud.operations.started(host)
            # Its queue has stood still: what was running has ended meanwhile.
            self._cloud.life.take_next(state.hosts[host])

    def host_reboots(self, host: str) -> None:
        self._cloud.host_reboots(host)

    def host_fails(self, host: str) -> None:
        self._cloud.host_fails(host)

    def host_has_booted(self, host: str) -> None:
        self._cloud.host_has_booted(host)


@dataclass(frozen=True)
class Setup:
    """What a world is, beside its cloud. ``controllers``: names, the first is the primary."""

    seed: int = 0
    start: datetime = START
    policy: Mapping[str, Any] = field(default_factory=dict)
    kind: Kind = field(default_factory=Kind)
    airflow: AirflowSettings = field(default_factory=AirflowSettings)
    controllers: tuple[str, ...] = ("ctl01",)
    latency: float = 0.02


class WholeWorld:
    """``clock``, ``cloud``, ``hosts`` and, while `installed` lasts, ``airflow``."""

    airflow: Airflow

    def __init__(self, folder: Path, cloud: Cloud, clock: VirtualTime, setup: Setup) -> None:
        self.clock, self.cloud, self.setup = clock, cloud, setup
        self.transport = Transport(Application(cloud), clock, latency=setup.latency)
        computes = [HostAt(host.name, host.ip) for host in cloud.state.hosts.values()]
        controllers = [
            HostAt(name, f"10.255.0.{number}") for number, name in enumerate(setup.controllers, 10)
        ]
        self.hosts = World(
            folder,
            computes,
            CloudOfHosts(cloud),
            clock=clock,
            controllers=controllers,
            kind=setup.kind,
            policy=setup.policy,
            seed=setup.seed,
            parts=[self.transport.installed()],
        )

    @classmethod
    def new(
        cls,
        folder: Path,
        setup: Setup,
        cloud_settings: CloudSettings | None = None,
    ) -> WholeWorld:
        """A world whose cloud has nothing yet; `fleet` fills it before it is lived in."""
        clock = VirtualTime(setup.start)
        settings = cloud_settings or CloudSettings(seed=setup.seed)
        return cls(folder, Cloud(clock, settings), clock, setup)

    @contextmanager
    def installed(self) -> Iterator[WholeWorld]:
        """While this lasts, plugin code of this thread lives in this world, and in no other."""
        with self.hosts.installed():
            setup = self.setup
            self.airflow = Airflow(self.clock, DAGS, setup.airflow, setup.seed)
            with self.airflow.installed():
                yield self
