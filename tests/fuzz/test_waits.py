"""Waits: whatever was stored, and whatever is seen, they wait on or end with one sentence."""

from __future__ import annotations

import copy
import importlib
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.triggers.base import BaseTrigger, TriggerEvent
from hypothesis import given
from hypothesis import strategies as st

from hostile_answers import BOOT, FIXTURES, Loop, ToldShell, as_bytes, mutated, odd_json, odd_texts
from judged import judged
from openstack_maintenance.adapters.host import Host
from openstack_maintenance.adapters.policy_file import read_policy
from openstack_maintenance.domain.deployment import NovaCompute
from openstack_maintenance.domain.errors import CheckFailed, CloudError, HostError, MaintenanceError
from openstack_maintenance.hooks.checks import ChecksHook
from openstack_maintenance.hooks.cloud_hook import CloudHook
from openstack_maintenance.hooks.host_hook import HostHook
from openstack_maintenance.triggers import controller_wait, waiting
from openstack_maintenance.triggers.host_wait import HostWaitTrigger
from test_controller_answers import LAB, SHORT
from test_host_answers import AMQP, FACTS, SCRIPT

PAST = "2020-01-01T00:00:00+00:00"
# The instances' moves are watched together, and fuzzed with their watch.
STORED = {
    file.stem: json.loads(file.read_text())
    for file in sorted((FIXTURES / "triggers").glob("*.json"))
    if not file.stem.startswith("migrate_instance")
}
KOLLA = NovaCompute("nova-compute", ("/var/log/nova.log",))
ANSWERS = {
    "script": SCRIPT,
    "rebooted": FACTS,
    "controller_rebooted": FACTS,
    "amqp": AMQP,
    "nova_compute_gone": FACTS,
    "nova_compute_up": FACTS,
    "services_back": SHORT,
}
SURPRISES = [
    ValueError("x" * 10_000),
    KeyError("\ud800\0"),
    TypeError(None),
    RecursionError(),
    OverflowError("date value out of range"),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "odd"),
    TimeoutError(),
    OSError(5, "Input/output error"),
    MemoryError(),
    ExceptionGroup("several", [ValueError("one"), KeyError("two")]),
    CloudError("compute API", "answered 503", "Wait."),
    HostError("host c01", "x\0\ud800" * 300, "Look."),
]
loop = Loop()


class GoesOn(Exception):
    """The wait would look again later."""


async def goes_on(seconds: float) -> None:
    raise GoesOn


class Seen:
    """What the triggers meet instead of hosts and clouds."""

    answer = ""
    error: Exception | None = None


seen = Seen()


@pytest.fixture(autouse=True, scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    file = tmp_path_factory.mktemp("policy") / "policy.yaml"
    file.write_text("deployment: lab\n")

    @asynccontextmanager
    async def shell(self: Any, *args: Any) -> AsyncIterator[Any]:
        if seen.error:
            raise seen.error
        told = ToldShell(as_bytes(seen.answer))
        yield Host(told, KOLLA) if args else told

    async def cloud(self: Any, *args: Any) -> Any:
        raise seen.error or CloudError("compute API", "does not answer", "Wait.")

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENSTACK_MAINTENANCE_POLICY", str(file))
        patch.setattr(HostHook, "connect", shell)
        patch.setattr(HostHook, "connect_shell", shell)
        patch.setattr(CloudHook, "aget_conn", cloud)
        patch.setattr(ChecksHook, "check_all", cloud)
        # Read once: reading YAML is fuzzed elsewhere, and costs more than all the rest.
        policy = read_policy()
        patch.setattr(controller_wait, "read_policy", lambda: policy)
        patch.setattr(controller_wait, "read_deployment", lambda policy: LAB)
        patch.setattr(waiting, "asyncio", SimpleNamespace(sleep=goes_on))
        yield


def load(classpath: str, kwargs: dict[str, Any]) -> Any:
    """Make the trigger as the triggerer does."""
    module, _, name = classpath.rpartition(".")
    trigger = getattr(importlib.import_module(module), name)(**kwargs)
    assert isinstance(trigger, BaseTrigger)
    assert trigger.serialize()[0] == classpath
    return trigger


async def ended(trigger: Any) -> TriggerEvent | None:
    """How the wait ends; None where it goes on: a deadline may lie ahead."""
    try:
        return await trigger._wait()  # type: ignore[no-any-return]
    except GoesOn:
        return None


def judge(classpath: str, kwargs: dict[str, Any]) -> TriggerEvent | None:
    event = judged(lambda: loop.run(ended(load(classpath, kwargs))))
    if event is None:
        return None
    assert isinstance(event, TriggerEvent)
    json.dumps(event.payload).encode()
    assert set(event.payload) in ({"result"}, {"error"})
    if error := event.payload.get("error"):
        said = MaintenanceError(**error)
        assert all(isinstance(part, str) and part.strip() for part in error.values())
        assert len(str(said)) < 20_000
        str(said).encode("utf-8")
        assert "\0" not in str(said)
    return event


def places(found: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to each value in plain JSON."""
    items = found.items() if isinstance(found, dict) else enumerate(found)
    for key, value in items:
        yield (*path, key)
        if isinstance(value, dict | list):
            yield from places(value, (*path, key))


@st.composite
def stored_arguments(draw: st.DrawFn, kwargs: dict[str, Any]) -> dict[str, Any]:
    """Stored arguments with a few of them changed, dropped, or unknown here."""
    found = copy.deepcopy({**kwargs, "deadline": PAST})
    for _ in range(draw(st.integers(0, 3))):
        *way, last = draw(st.sampled_from(list(places(found))))
        inner: Any = found
        for key in way:
            inner = inner[key]
        match draw(st.sampled_from(["odd", "odd", "drop", "more"])):
            case "odd":
                inner[last] = draw(odd_json())
            case "drop":
                del inner[last]
            case "more" if isinstance(inner, dict):
                inner[draw(st.text("abc_", min_size=1, max_size=5))] = draw(odd_json())
    return found


@pytest.mark.parametrize("name", STORED)
@given(data=st.data())
def test_any_stored_arguments(name: str, data: st.DataObject) -> None:
    seen.answer, seen.error = "\n".join([*ANSWERS.get(name, FACTS), "end=ok"]), None
    judge(STORED[name]["classpath"], data.draw(stored_arguments(STORED[name]["kwargs"])))


@pytest.mark.parametrize("name", STORED)
@given(surprise=st.sampled_from(SURPRISES))
def test_any_error_while_looking(name: str, surprise: Exception) -> None:
    seen.error = surprise
    event = judge(STORED[name]["classpath"], {**STORED[name]["kwargs"], "deadline": PAST})
    assert event is not None
    assert "error" in event.payload


@pytest.mark.parametrize("name", ANSWERS)
@given(data=st.data())
def test_any_answer_while_waiting(name: str, data: st.DataObject) -> None:
    seen.answer, seen.error = data.draw(mutated(ANSWERS[name])), None
    judge(STORED[name]["classpath"], {**STORED[name]["kwargs"], "deadline": PAST})


@pytest.mark.parametrize("name", ["rebooted", "controller_rebooted"])
@given(boot_id=st.one_of(odd_texts(), st.just(BOOT)), again=st.booleans())
def test_a_boot_id_that_cannot_be_read_ends_no_wait_for_a_reboot(
    name: str, boot_id: str, again: bool
) -> None:
    lines = [*FACTS, f"boot_id={boot_id}"] if again else [f"boot_id={boot_id}", *FACTS[1:]]
    seen.answer, seen.error = "\n".join([*lines, "end=ok"]), None
    kwargs = {**STORED[name]["kwargs"], "deadline": PAST, "known": {"boot_id_before": BOOT}}
    event = judge(STORED[name]["classpath"], kwargs)
    assert event is not None
    assert "error" in event.payload


@pytest.mark.parametrize("ending", [CheckFailed("a", "b", "c"), *SURPRISES])
async def test_the_last_words_come_even_where_they_cannot_be_made(ending: Exception) -> None:
    class Broken(HostWaitTrigger):
        async def look(self) -> dict[str, Any]:
            raise waiting.StillWaiting("x\0" * 5_000)

        async def too_late(self, found: str) -> CheckFailed:
            raise ending

    kwargs = {**STORED["rebooted"]["kwargs"], "deadline": PAST}
    event = await ended(Broken(**kwargs))
    assert event is not None
    error = event.payload["error"]
    assert all(part.strip() for part in error.values())
