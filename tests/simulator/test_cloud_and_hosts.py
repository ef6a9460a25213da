"""The simulated cloud and the simulated hosts are one world, and Airflow's hook opens it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from openstack_maintenance.hooks.cloud_hook import CloudHook
from simulator.clock import VirtualTime
from simulator.cloud import Cloud, Settings
from simulator.cloud.fleet import new_fleet
from simulator.http import Application, Transport
from simulator.world import HostAt, World

pytestmark = [
    # What the SDK says to its own developers.
    pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedInSDK50Warning"),
    pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedInSDK60Warning"),
    pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedFieldWarning"),
]


class Whole:
    """Cloud and hosts together."""

    def __init__(self, folder: Path) -> None:
        self.clock = VirtualTime()
        self.cloud = Cloud(self.clock, Settings())
        new_fleet(self.cloud, hosts=2, per_host=2)
        transport = Transport(Application(self.cloud), self.clock)
        computes = [HostAt("c01", "10.0.0.11"), HostAt("c02", "10.0.0.12")]
        self.world = World(
            folder, computes, self.cloud, clock=self.clock, parts=[transport.installed()]
        )

    def live(self, story: Callable[[], Any]) -> Any:
        """What blocking code returns that runs in this world."""
        outcomes: list[Any] = []
        with self.world.installed():
            self.clock.spawn(story, outcomes.append)
            self.clock.run(lambda: bool(outcomes), at_most=86_400)
        assert outcomes, "the story has not ended"
        if outcomes[0].error is not None:
            raise outcomes[0].error
        return outcomes[0].value


@pytest.fixture
def whole(tmp_path: Path) -> Whole:
    return Whole(tmp_path)


def test_airflow_s_connection_opens_the_simulated_cloud(whole: Whole) -> None:
    services = whole.live(lambda: CloudHook().get_conn().services("nova-compute"))
    assert [each.host for each in services if each.is_up] == ["c01", "c02"]


def test_a_host_that_crashes_takes_its_guests_along_and_nova_sees_it(whole: Whole) -> None:
    def story() -> list[Any]:
        nova = CloudHook().get_conn()
        assert len(whole.cloud.guests_on("c01")) == 2
        whole.world.machines["c01"].crash(comes_back=False)
        assert whole.cloud.guests_on("c01") == []
        seen: list[Any] = []
        time.sleep(90)
        seen.append(nova.get_service("c01").is_up)
        whole.world.machines["c01"].switch_on()
        time.sleep(400)
        seen.append(nova.get_service("c01").is_up)
        seen += [each.status for each in nova.instances_on("c01")]
        return seen

    assert whole.live(story) == [False, True, "SHUTOFF", "SHUTOFF"]
