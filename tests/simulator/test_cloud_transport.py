"""Faults on the way to the simulated APIs, and the same APIs behind a real socket."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta

import pytest

from openstack_maintenance.adapters.cloud_errors import Refused
from openstack_maintenance.adapters.nova import Nova
from openstack_maintenance.domain.errors import CloudError
from simulated_cloud import World, new_world, options
from simulator.http import Answer, Request, failures
from simulator.http.__main__ import serve
from simulator.http.failures import When

Worlds = Callable[..., World]

pytestmark = [
    # What the SDK says to its own developers.
    pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedInSDK50Warning"),
    pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedInSDK60Warning"),
    pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedFieldWarning"),
]


@pytest.fixture
def made() -> Iterator[World]:
    """A small world whose connection is open already."""
    with ExitStack() as stack:
        world = new_world()
        stack.enter_context(world.transport.installed())
        world.nova.services()
        yield world


def is_action(request: Request) -> bool:
    """Whether something is asked of an instance."""
    return request.method == "POST" and request.path.endswith("/action")


def is_list(request: Request) -> bool:
    """Whether instances are listed."""
    return request.path.endswith("/servers/detail")


def test_an_answer_may_be_lost_after_the_deed(made: World) -> None:
    made.transport.hooks.append(When(is_action, after=lambda _: failures.silent()))
    instance = made.instance("vm-c01-01")
    with pytest.raises(CloudError):
        made.nova.live_migrate(instance.id, "c02", "auto")
    made.wait(30)
    assert made.nova.get_instance(instance.id).host == "c02"


def test_a_request_may_be_lost_before_the_deed(made: World) -> None:
    made.transport.hooks.append(When(is_action, before=failures.refused))
    instance = made.instance("vm-c01-01")
    with pytest.raises(CloudError, match="cannot be reached"):
        made.nova.live_migrate(instance.id, "c02", "auto")
    made.wait(30)
    assert instance.actions == []


@pytest.mark.parametrize("answer", [failures.broken(503), failures.too_many(), failures.broken()])
def test_an_error_of_the_moment_is_no_refusal(made: World, answer: Answer) -> None:
    made.transport.hooks.append(When(is_list, before=lambda: answer, times=None))
    with pytest.raises(CloudError, match=str(answer.status)) as raised:
        made.nova.instances_on("c01")
    assert type(raised.value) is CloudError


def test_a_proxy_s_404_is_no_deletion(made: World) -> None:
    made.transport.hooks.append(
        When(lambda each: "/servers/" in each.path, before=lambda: failures.proxy_says(404))
    )
    with pytest.raises(CloudError, match="not in Nova's own words") as raised:
        made.nova.find_instance(made.instance("vm-c01-01").id)
    assert not isinstance(raised.value, Refused)


def test_a_slow_answer_takes_virtual_time_and_at_last_too_long(made: World) -> None:
    began = made.clock.now()
    made.transport.hooks.append(When(is_list, before=lambda: 30.0))
    assert len(made.nova.instances_on("c01")) == 3
    assert made.clock.now() - began > timedelta(seconds=30)
    made.transport.hooks.append(When(is_list, before=lambda: 100.0))
    with pytest.raises(CloudError, match="no usable answer"):
        made.nova.instances_on("c01")


def test_a_body_may_be_cut(made: World) -> None:
    made.transport.hooks.append(
        When(is_list, after=lambda whole: failures.CutAnswer(whole, made.clock))
    )
    with pytest.raises(CloudError, match="no usable answer"):
        made.nova.instances_on("c01")
    assert len(made.nova.instances_on("c01")) == 3


def test_nothing_leaves_the_simulated_cloud(made: World) -> None:
    nova = Nova("elsewhere", options("http://elsewhere.invalid"))
    with pytest.raises(CloudError, match="cannot be reached"):
        nova.services()


def test_the_same_cloud_answers_behind_a_socket() -> None:
    server, application = serve(0, hosts=2, per_host=2)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        application.cloud.settings.conductor = application.cloud.settings.scheduling = 0.0
        nova = Nova("socket", options(application.url))
        found = nova.instances()
        assert len(found) == 4
        nova.live_migrate(found[0].id, None, "auto")
        since = nova.now() - timedelta(minutes=1)
        while not (migrations := nova.migrations(since)):
            pass
        assert migrations[0].instance_id == found[0].id
    finally:
        server.shutdown()
        server.server_close()
