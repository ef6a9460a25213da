"""The scenarios on the simulated cloud, in virtual time, with hosts like the lab's."""

from __future__ import annotations

from functools import partial
from typing import Any

import openstack

from cloud_scenarios import scripts
from cloud_scenarios.client import Client
from cloud_scenarios.transcript import Entry
from simulated_cloud import options
from simulator.clock import VirtualTime
from simulator.cloud import Cloud, ColdEnd, LiveEnd, Settings
from simulator.cloud.fleet import HostSize, add_controllers, add_host, add_image
from simulator.cloud.model import Instance, Migration
from simulator.http import Application, Transport

SECONDS_PER_GIB = 40.0
LAB_HOST = HostSize(
    vcpus=64, ram_mib=65_536, disk_gib=2_000, cpu_ratio=4.0, ram_ratio=1.0, disk_ratio=1.0
)
BOOT_SECONDS = 10.0
START_SECONDS = 2.0  # from the order to start nova-compute until it puts in order what it finds


def play(name: str) -> list[Entry]:
    """One scenario: what its client sees."""
    world = VirtualTime()
    cloud = like_the_lab(world)
    application = Application(cloud)
    _, here, there = scripts.SCENARIOS[name]
    outcomes: list[Any] = []
    with world.installed(), Transport(application, world).installed():
        connection = openstack.connect(**options(application.url))
        client = Client(name, connection, SimulatedGround(cloud), here, there)
        world.spawn(lambda: scripts.play(client), outcomes.append)
        world.run(lambda: bool(outcomes), at_most=86_400)
    if outcomes[0].error is not None:
        raise outcomes[0].error
    return client.entries


def like_the_lab(world: VirtualTime) -> Cloud:
    """Four hosts, no instance, and the lab's nova.conf."""
    settings = Settings(
        hypervisor_type="fake",
        report_interval=5.0,
        service_down_time=20.0,
        # More than between two looks: this client sees every state.
        messaging=0.5,
        write_gap=0.5,
        power_sync=5.0,
        live_seconds=lambda instance, _: SECONDS_PER_GIB * instance.flavor.ram_mib / 1024,
        password=options("")["auth"]["password"],
    )
    cloud = Cloud(world, settings)
    add_controllers(cloud)
    add_image(cloud, "lab")
    for number in range(4):
        add_host(cloud, f"c{number + 1:02}", size=LAB_HOST)
    return cloud


class SimulatedGround:
    """See `cloud_scenarios.client.Ground`."""

    poll = 0.3

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def migrations_fail(self, host: str, name: str) -> None:
        def live(instance: Instance, migration: Migration) -> LiveEnd:
            is_it = (migration.source, instance.name) == (host, name)
            return LiveEnd.FAILS if is_it else LiveEnd.COMPLETES

        def cold(instance: Instance, migration: Migration) -> ColdEnd:
            is_it = (migration.source, instance.name) == (host, name)
            return ColdEnd.FAILS if is_it else ColdEnd.COMPLETES

        self._cloud.settings.live_end = live
        self._cloud.settings.cold_end = cold
        said = f"Migration error: the lab's fault is set on {host}"
        self._cloud.settings.cold_failure = ("MigrationError", said)

    def migrations_are_refused(self, host: str, name: str) -> None:
        said = f"the lab's fault migration-refuse is set on {host}"
        self._cloud.state.hosts[host].refuses_incoming = said

    def kill_nova_compute(self, host: str) -> None:
        self._cloud.host_stops_nova_compute(host, in_order=False)

    def start_nova_compute(self, host: str) -> None:
        start = partial(self._cloud.host_starts_nova_compute, host)
        self._cloud.state.clock.after(START_SECONDS, start)

    def reboot(self, host: str) -> None:
        cloud = self._cloud
        cloud.host_reboots(host)
        cloud.state.clock.pause(BOOT_SECONDS)
        cloud.host_has_booted(host)
        cloud.host_starts_nova_compute(host)
