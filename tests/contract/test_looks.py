"""One look at many hosts or controllers: who does not answer hides none of the others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from openstack_maintenance.adapters import controller
from openstack_maintenance.domain.checks.finding import Finding
from openstack_maintenance.domain.errors import HostError
from openstack_maintenance.hooks import checks, fleet_now
from openstack_maintenance.hooks.checks import ChecksHook
from openstack_maintenance.operators.nights.select_hosts import _candidate

DEPLOYMENT: Any = SimpleNamespace(nova_compute=None)
SILENT = HostError("host b", "nobody answers in time", "Check the network.")


class Host:
    def __init__(self, name: str) -> None:
        self.name = name

    async def read_facts(self) -> Any:
        # Who was asked first answers last.
        await asyncio.sleep({"a": 0.02, "b": 0.0, "c": 0.0}[self.name])
        return f"facts of {self.name}"


@asynccontextmanager
async def opened(conn_id: str, host: str, address: str, *compute: Any) -> AsyncIterator[Host]:
    assert (conn_id, address) == ("second_ssh", f"{host}.example.com")
    if host == "b":
        raise SILENT
    yield Host(host)


async def test_a_host_that_does_not_answer_is_unread_and_says_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fleet_now, "open_host", opened)
    addresses = {name: f"{name}.example.com" for name in "abc"}

    looks = await fleet_now.read_hosts(addresses, DEPLOYMENT, "second_ssh")

    assert looks.facts == {"a": "facts of a", "c": "facts of c"}
    assert looks.unread == {"b": "nobody answers in time. Check the network."}


@pytest.mark.parametrize(
    ("host", "why"),
    [("b", "nobody answers in time"), ("c", "Nova has no address for it")],
)
def test_a_host_without_facts_is_a_candidate_that_cannot_be_read(host: str, why: str) -> None:
    looks = fleet_now.HostLooks({}, {"b": "nobody answers in time"})
    service: Any = SimpleNamespace(host=host)
    assert _candidate(service, looks, frozenset(), None, lambda _: None).unreadable == why


async def test_controllers_are_in_the_order_of_the_inventory_however_they_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def read(host: Host, deployment: Any) -> Any:
        return await host.read_facts()

    monkeypatch.setattr(checks, "open_shell", opened)
    monkeypatch.setattr(controller, "read_controller", read)
    inventory = [{"host": name, "address": f"{name}.example.com"} for name in "abc"]

    seen, unread = await ChecksHook(DEPLOYMENT, inventory, "second_ssh").read_controllers()

    assert list(seen.items()) == [("a", "facts of a"), ("c", "facts of c")]
    assert unread == {"b": Finding("SSH", "bad", "nobody answers in time")}
