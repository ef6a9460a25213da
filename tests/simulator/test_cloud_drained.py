"""The real watch over a drain, in virtual time, on a cloud in which things go wrong."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from openstack_maintenance.adapters.nova import Nova
from openstack_maintenance.domain.drain.move_step import Order, Step
from openstack_maintenance.domain.drain.slots import Limits
from openstack_maintenance.triggers.drain.move import MoveRequest
from openstack_maintenance.triggers.drain.watch import DrainWatch
from simulated_cloud import options
from simulator.clock import VirtualTime
from simulator.cloud import Cloud, LiveEnd, Settings
from simulator.cloud.fleet import add_group, add_instance, new_fleet
from simulator.cloud.model import Instance
from simulator.http import Application, Transport, failures
from simulator.http.failures import When
from simulator.http.messages import Request

pytestmark = [
    # What the SDK says to its own developers.
    pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedInSDK50Warning"),
    pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedInSDK60Warning"),
    pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedFieldWarning"),
]


class Drain:
    """A cloud in virtual time, and a drain of c01."""

    def __init__(self, **settings: Any) -> None:
        self.world = VirtualTime()
        self.cloud = Cloud(self.world, Settings(**settings))
        new_fleet(self.cloud, hosts=4, per_host=4)
        self.application = Application(self.cloud)
        self.transport = Transport(self.application, self.world)

    def run(self) -> list[Any]:
        """How each move ended: its outcome, or its error."""
        outcomes: list[Any] = []
        with self.world.installed(), self.transport.installed():
            self.world.spawn(lambda: asyncio.run(self._drain()), outcomes.append)
            self.world.run(lambda: bool(outcomes), at_most=86_400)
        assert outcomes, "the drain has not ended within a day"
        if outcomes[0].error is not None:
            raise outcomes[0].error
        found: list[Any] = outcomes[0].value
        return found

    async def _drain(self) -> list[Any]:
        async def opened() -> Nova:
            return Nova("simulated", options(self.application.url))

        watch = DrainWatch(opened)
        found = list(self.cloud.state.hosts["c01"].instances.values())
        moves = [watch.enter(_request(each)) for each in found]
        ended = await asyncio.gather(*(each.done for each in moves), return_exceptions=True)
        for each in moves:
            watch.leave(each)
        if watch._task is not None:
            await watch._task
        return ended


def _request(instance: Instance) -> MoveRequest:
    is_running = instance.vm_state == "active"
    order = Order(
        instance_id=instance.id,
        name=instance.name,
        source="c01",
        method="live" if is_running else "cold",
        was_running=is_running,
        ram_mib=instance.flavor.ram_mib,
        since=datetime.now(UTC),
        retries=1,
        timeout_per_gib=timedelta(seconds=800),
        on_stuck=Step.ABORT,
        may_stop=False,
    )
    return MoveRequest(
        order=order,
        destination=None,
        block_migration="auto",
        limits=Limits(2, 4),
        turn_patience=timedelta(hours=1),
        api_patience=timedelta(minutes=10),
        may_start=lambda _: None,
    )


def is_post(request: Request) -> bool:
    """Whether something is asked of an instance."""
    return request.method == "POST" and request.path.endswith("/action")


def assert_drained(drain: Drain, ended: list[Any]) -> None:
    """No instance is on the host, and no guest that ran was interrupted."""
    assert not [each for each in ended if isinstance(each, BaseException)], ended
    assert drain.cloud.state.hosts["c01"].instances == {}
    assert drain.cloud.guests_on("c01") == []
    assert set(drain.cloud.state.starts.values()) == {1}


def test_a_host_is_drained() -> None:
    drain = Drain()
    add_instance(drain.cloud, "off", "c01", is_running=False)
    ended = drain.run()
    assert_drained(drain, ended)
    assert sorted(each["status"] for each in ended) == ["ACTIVE"] * 4 + ["SHUTOFF"]


@pytest.mark.parametrize(
    "settings",
    [
        {"is_status_first": True, "write_gap": 8.0},
        {"list_lag": 10.0},
        {"shows_post_migrating": True, "after_switch": 6.0},
        {"clock_ahead": 25.0},
        {"newest": 60},
    ],
    ids=lambda each: ", ".join(each),
)
def test_a_host_is_drained_whatever_kind_of_cloud_it_is_in(settings: dict[str, Any]) -> None:
    drain = Drain(**settings)
    assert_drained(drain, drain.run())


def test_a_migration_that_fails_once_is_asked_for_again() -> None:
    ends = [LiveEnd.FAILS]
    drain = Drain(live_end=lambda *_: ends.pop() if ends else LiveEnd.COMPLETES)
    assert_drained(drain, drain.run())


def test_an_answer_that_is_lost_after_the_deed_moves_nobody_twice() -> None:
    drain = Drain()
    drain.transport.hooks.append(When(is_post, after=lambda _: failures.reset(), times=2))
    assert_drained(drain, drain.run())
    migrations = drain.cloud.state.cells["cell1"].migrations
    assert len(migrations) == 4


def test_an_api_that_is_away_for_a_while_is_waited_for() -> None:
    drain = Drain()
    ends = drain.world.now() + timedelta(minutes=5)
    drain.transport.hooks.append(
        When(lambda _: drain.world.now() < ends, before=failures.refused, times=None)
    )
    assert_drained(drain, drain.run())


def test_members_of_an_anti_affinity_group_are_kept_apart() -> None:
    drain = Drain()
    group = add_group(drain.cloud, "apart", "anti-affinity")
    members = [
        add_instance(drain.cloud, name, host, group=group)
        for name, host in (("one", "c01"), ("two", "c02"), ("three", "c03"))
    ]
    assert_drained(drain, drain.run())
    assert {each.host for each in members} == {"c02", "c03", "c04"}


def test_an_instance_in_error_is_told_by_its_name() -> None:
    drain = Drain(live_end=lambda instance, _: bad if instance.name == "vm-c01-01" else good)
    bad, good = LiveEnd.ERRORS_ON_SOURCE, LiveEnd.COMPLETES
    failed = [each for each in drain.run() if isinstance(each, BaseException)]
    assert len(failed) == 1 and "vm-c01-01" in str(failed[0]) and "ERROR" in str(failed[0])
