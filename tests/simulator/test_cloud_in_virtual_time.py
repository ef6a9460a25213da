"""The cloud, its APIs and the real plugin in virtual time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from openstack_maintenance.adapters.nova import Nova
from openstack_maintenance.domain.host import rights
from openstack_maintenance.domain.host.rights import Needed
from simulated_cloud import options
from simulator.clock import VirtualTime
from simulator.cloud import Cloud, Settings
from simulator.cloud.fleet import new_fleet
from simulator.http import Application, Transport

pytestmark = [
    # What the SDK says to its own developers.
    pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedInSDK50Warning"),
    pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedInSDK60Warning"),
    pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedFieldWarning"),
]


def lived(story: Callable[[Nova, Cloud], Any], latency: float = 0.5) -> tuple[Any, float]:
    """What a story returns that lives in a world, and how long it took there."""
    world = VirtualTime()
    cloud = Cloud(world, Settings())
    new_fleet(cloud, hosts=3, per_host=2)
    application = Application(cloud)
    outcomes: list[Any] = []
    with world.installed(), Transport(application, world, latency=latency).installed():
        began = world.seconds()
        nova = Nova("simulated", options(application.url))
        world.spawn(lambda: story(nova, cloud), outcomes.append)
        world.run(lambda: bool(outcomes), at_most=86_400)
    assert outcomes, "the story has not ended"
    if outcomes[0].error is not None:
        raise outcomes[0].error
    return outcomes[0].value, world.seconds() - began


def test_blocking_code_waits_for_its_answers_in_virtual_time() -> None:
    def story(nova: Nova, cloud: Cloud) -> str | None:
        instance_id = next(iter(cloud.state.instances))
        nova.live_migrate(instance_id, "c02", "auto")
        while nova.get_instance(instance_id).task_state is not None:
            time.sleep(5)
        return nova.get_instance(instance_id).host

    began = time.perf_counter()
    host, seconds = lived(story)
    assert host == "c02" and seconds > 10
    assert time.perf_counter() - began < 5


def test_two_tasks_wait_at_the_same_time() -> None:
    def story(nova: Nova, _: Cloud) -> float:
        nova.services()

        async def both() -> None:
            await asyncio.gather(*(asyncio.to_thread(nova.services) for _ in range(5)))

        began = time.monotonic()
        asyncio.run(both())
        return time.monotonic() - began

    seconds, _ = lived(story, latency=10.0)
    assert seconds == pytest.approx(20.0, abs=0.1)  # one round trip, not five


def test_the_same_story_is_the_same_again() -> None:
    def story(nova: Nova, cloud: Cloud) -> list[str]:
        for instance_id in list(cloud.state.instances)[:3]:
            nova.live_migrate(instance_id, None, "auto")
        time.sleep(60)
        return [str(each) for each in cloud.journal.entries]

    assert lived(story) == lived(story)


def test_a_pool_asks_as_many_at_a_time_as_it_has_workers() -> None:
    def story(nova: Nova, _: Cloud) -> float:
        unknown = [f"00000000-0000-4000-8000-{number:012}" for number in range(24)]
        nova.capacities([])
        began = time.monotonic()
        assert nova.capacities(unknown) == {}
        return time.monotonic() - began

    seconds, _ = lived(story, latency=10.0)
    assert seconds == pytest.approx(20.0 + 3 * 20.0, abs=0.1)  # one, then 8 at a time


def test_what_a_pool_finds_is_told_to_who_waits() -> None:
    def story(nova: Nova, cloud: Cloud) -> str:
        cloud.settings.denied = {rights.SHOW.rule}
        instance_id = next(iter(cloud.state.instances))
        return nova.missing_rights([Needed(rights.SHOW, instance_id)])[0].reason

    found, _ = lived(story)
    assert "show an instance" in found
