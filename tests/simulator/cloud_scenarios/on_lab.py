"""The scenarios on the lab's real Nova."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from openstack.config import OpenStackConfig
from openstack.connection import Connection

from cloud_scenarios import scripts
from cloud_scenarios.client import Client
from cloud_scenarios.on_simulator import SECONDS_PER_GIB
from cloud_scenarios.transcript import Entry
from openstack_lab import Cloud, Lab, LabError


def play_all(
    lab: Lab,
    cloud: Cloud,
    names: Iterable[str] = scripts.SCENARIOS,
    say: Callable[[str], None] = print,
) -> dict[str, list[Entry]]:
    """Scenarios, the lanes at the same time: what the client of each sees."""
    wanted = set(names)
    prepare(lab, cloud)

    def run(host: str) -> dict[str, list[Entry]]:
        found = {}
        for script in scripts.LANES[host][1]:
            if script.__name__ in wanted:
                found[script.__name__] = play(lab, script.__name__)
                say(f"{host}: {script.__name__} is played")
        return found

    with ThreadPoolExecutor() as pool:
        lanes = list(pool.map(run, scripts.LANES))
    return {name: each for lane in lanes for name, each in lane.items()}


def prepare(lab: Lab, cloud: Cloud) -> None:
    """An image; and migrations that take as long as an instance is large."""
    lab.create_instances("c01", 1, prefix="conform")
    cloud.delete([each for each in cloud.instances() if each.name.startswith("conform")])
    lab.fault("all", "migration-seconds-per-gib", f"{SECONDS_PER_GIB:g}")


def play(lab: Lab, name: str) -> list[Entry]:
    """One scenario: what its client sees."""
    _, here, there = scripts.SCENARIOS[name]
    config = OpenStackConfig(config_files=[str(lab.clouds_yaml)])
    client = Client(name, Connection(config=config.get_one("lab")), LabGround(lab), here, there)
    scripts.play(client)
    return client.entries


class LabGround:
    """See `cloud_scenarios.client.Ground`."""

    poll = 0.5

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    def migrations_fail(self, host: str, name: str) -> None:
        self._lab.fault(host, "migration-fail", name)

    def migrations_are_refused(self, host: str, name: str) -> None:
        self._lab.fault(host, "migration-refuse", name)

    def kill_nova_compute(self, host: str) -> None:
        self._lab.fault(host, "nova-compute-kill")

    def start_nova_compute(self, host: str) -> None:
        self._lab.fault(host, "clear", "nova-compute-kill")

    def reboot(self, host: str) -> None:
        before = self._lab.boot_id(host)
        self._lab.ssh(host, "sudo systemctl reboot")
        while self._boot_id(host) in ("", before):
            time.sleep(1)

    def _boot_id(self, host: str) -> str:
        try:
            return self._lab.boot_id(host)
        except LabError:
            return ""
