"""Once a run: no clear, no cleanup of Airflow's state store, makes a step do its deed again."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import TaskDeferred
from airflow.sdk.execution_time.context import NEVER_EXPIRE

from airflow_run import StateStore, context_of, write_policy
from builders import NOW
from in_memory_nova import InMemoryNova
from openstack_maintenance.adapters.policy_file import read_policy
from openstack_maintenance.adapters.shell import HostUnreachable
from openstack_maintenance.domain.errors import RecordUnreadable
from openstack_maintenance.domain.host.facts import RebootAnswer, ScriptState
from openstack_maintenance.domain.mark import Mark
from openstack_maintenance.operators.base import StepFailed
from openstack_maintenance.operators.controllers import notes
from openstack_maintenance.operators.host import steps as host_steps
from openstack_maintenance.operators.host.base import HostOperator
from openstack_maintenance.operators.host.service import EnableServiceOperator
from openstack_maintenance.records import store as records

DAG, RUN = "compute_host_maintenance", "r1"
FIRST_BOOT, SECOND_BOOT = "boot-1", "boot-2"
SCRIPT = "script.sh"


class Host:
    """A host that reboots and runs scripts; ``did`` is what it was made to do."""

    def __init__(self) -> None:
        self.boot = FIRST_BOOT
        self.failed: bool | None = None  # False: a script will fail, and its answer be lost
        self.did: list[str] = []

    async def check_no_guests(self, then: str) -> None:
        """No guest runs."""

    async def script_state(self, unit: str) -> ScriptState:
        if self.failed:
            return ScriptState(unit, "failed", exit_code=1)
        return ScriptState(unit, "succeeded" if SCRIPT in self.did else "absent")

    async def nova_compute_state(self) -> Any:
        return SimpleNamespace(is_gone=True)

    async def boot_id(self) -> str:
        return self.boot

    async def reboot(self, expected: str) -> RebootAnswer:
        if self.boot != expected:
            return RebootAnswer("already_rebooted")
        self.boot = SECOND_BOOT
        self.did.append("reboot")
        return RebootAnswer("asked")

    async def start_script(self, name: str, *given: Any, again: bool) -> ScriptState:
        if self.failed and not again:
            return ScriptState("unit", "failed", exit_code=1)
        self.did.append(name)
        if self.failed is None:
            return ScriptState("unit", "succeeded", exit_code=0)
        self.failed = True
        raise HostUnreachable(f"host {name}", "the connection broke", "Check the network.")


class Store(StateStore):
    """Airflow's task_state_store; ``kept`` is for how long."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[str, timedelta | None] = {}

    def set(self, key: str, value: Any, *, retention: timedelta | None = None) -> None:
        super().set(key, value)
        self.kept[key] = retention


class World:
    def __init__(self) -> None:
        self.host, self.store, self.try_number = Host(), Store(), 1
        self.nova = InMemoryNova()
        self.nova.cloud.add_host("c01", reason=str(Mark(DAG, RUN, "kernel")))

    def run(self, kind: type[HostOperator], boot_at_stop: str = FIRST_BOOT) -> Any:
        stopped = {
            "boot_id": boot_at_stop,
            "clock": "2026-03-10T01:00:00+00:00",
            "heartbeat": {"last": NOW.isoformat()},
        }
        step = kind(task_id=kind.__name__)
        step.__dict__["nova"] = self.nova
        given = context_of(
            DAG,
            run_id=RUN,
            params={"host": "c01", "reason": "r", "ignore_window": True, "script": SCRIPT},
            store=self.store,
            results={"stop_nova_compute": stopped},
            try_number=self.try_number,
        )
        return step.execute(given)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    file = write_policy(tmp_path, monkeypatch)
    made = World()

    @asynccontextmanager
    async def on_host(self: HostOperator) -> AsyncIterator[Host]:
        yield made.host

    xcom = {"address": "c01.example.com"}
    monkeypatch.setattr(HostOperator, "host_xcom", xcom)

    monkeypatch.setattr(HostOperator, "on_host", on_host)
    file.with_name(SCRIPT).write_text("#!/bin/sh\n")
    monkeypatch.setattr(host_steps, "script_path", tmp_path.joinpath)
    monkeypatch.setattr(host_steps, "prove_empty", lambda step: {"instances": 0, "witnesses": {}})
    return made


def state_store_clean(world: World) -> None:
    """As `airflow state-store clean` does it, or a success with clear_on_success."""
    world.store.clear()


def reboot(world: World) -> Any:
    """Cleared from stop_nova_compute on: that finds the boot of now."""
    return world.run(host_steps.RebootOperator, boot_at_stop=world.host.boot)


def script(world: World) -> Any:
    return world.run(host_steps.RunScriptOperator)


DEEDS = [pytest.param(reboot, "reboot", id="reboot"), pytest.param(script, SCRIPT, id="script")]


@pytest.mark.parametrize(("act", "did"), DEEDS)
@pytest.mark.parametrize("forget", [lambda world: None, state_store_clean], ids=["kept", "cleaned"])
def test_what_a_run_has_done_it_does_not_do_again(
    world: World, act: Callable[[World], Any], did: str, forget: Callable[[World], None]
) -> None:
    act(world)
    assert set(world.store.kept.values()) == {NEVER_EXPIRE}
    forget(world)
    again = act(world)
    assert world.host.did == [did]
    assert again.get("outcome", "already_rebooted") == "already_rebooted"


@pytest.mark.parametrize(("act", "did"), DEEDS)
def test_what_an_older_release_noted_in_airflow_alone_counts(
    world: World, act: Callable[[World], Any], did: str, tmp_path: Path
) -> None:
    act(world)
    for note in (tmp_path / "records" / DAG / "notes").iterdir():
        note.unlink()
    act(world)
    assert world.host.did == [did]


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}", '{"boot_id_before": null}', "\\xff"])
@pytest.mark.parametrize(("act", "did"), DEEDS)
def test_a_note_that_cannot_be_read_is_a_closed_gate_until_a_person_removes_it(
    world: World, act: Callable[[World], Any], did: str, text: str, tmp_path: Path
) -> None:
    act(world)
    (note,) = (tmp_path / "records" / DAG / "notes").iterdir()
    note.write_bytes(text.encode("latin-1"))
    with pytest.raises(StepFailed) as closed:
        act(world)
    said = str(closed.value)
    assert said.startswith(f"note {note.as_uri()}: ")
    assert "so it is not known whether this run has " in said
    assert "If it may be done now, remove that file, then clear the task." in said
    assert world.host.did == [did]

    note.unlink()
    state_store_clean(world)
    act(world)
    assert world.host.did == [did, did]


def test_a_script_that_fails_while_its_answer_is_lost_runs_again_only_when_cleared(
    world: World,
) -> None:
    world.host.failed = False
    with pytest.raises(TaskDeferred) as silence:
        script(world)
    assert silence.value.method_name == "ask_again"
    with pytest.raises(TaskDeferred) as waits:  # for its end, which is known
        script(world)
    assert waits.value.method_name == "execute_complete"
    assert world.host.did == [SCRIPT]

    world.try_number = 2
    with pytest.raises(TaskDeferred):
        script(world)
    assert world.host.did == [SCRIPT, SCRIPT]


def test_a_look_for_guests_without_an_answer_is_no_start_of_this_try(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.host.failed = True  # in an earlier try; a person has cleared the task

    async def silent(self: Host, then: str) -> None:
        raise HostUnreachable("host c01", "the connection broke", "Check the network.")

    with monkeypatch.context() as patched, pytest.raises(TaskDeferred) as silence:
        patched.setattr(Host, "check_no_guests", silent)
        script(world)
    assert silence.value.method_name == "ask_again"
    with pytest.raises(TaskDeferred):
        script(world)
    assert world.host.did == [SCRIPT]


def test_a_reboot_that_cannot_be_noted_is_not_ordered(world: World, tmp_path: Path) -> None:
    (tmp_path / "records").write_text("a file where a folder should be")
    with pytest.raises(StepFailed, match="cannot be used"):
        reboot(world)
    assert world.host.did == []


def test_a_note_is_written_whole_or_not_at_all(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker dies as it writes."""

    def dies(self: Path, target: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", dies)
        with pytest.raises(KeyboardInterrupt):
            reboot(world)
    assert os.listdir(tmp_path / "records" / DAG / "notes") == []  # noqa: PTH208  hidden ones too
    assert world.host.did == []
    reboot(world)
    assert world.host.did == ["reboot"]


def test_a_host_that_this_run_enabled_is_its_own_whatever_airflow_has_forgotten(
    world: World,
) -> None:
    world.run(EnableServiceOperator)
    state_store_clean(world)
    assert world.run(EnableServiceOperator)["state"] == "enabled, up"


def test_a_host_that_somebody_else_enabled_is_not(world: World) -> None:
    world.nova.cloud.add_host("c01")
    with pytest.raises(StepFailed, match="somebody else enabled it"):
        world.run(EnableServiceOperator)


def test_a_healthy_host_is_given_back_though_that_cannot_be_noted(
    world: World, tmp_path: Path
) -> None:
    (tmp_path / "records").write_text("a file where a folder should be")
    assert world.run(EnableServiceOperator)["state"] == "enabled, up"
    assert world.store["enabling"]


NOTED = {
    "reboot": {"boot_id_before": "b", "ordered_at": "2026-03-10T01:00:00+00:00"},
    "restart": {"since": "2026-03-10T01:00:00+00:00", "services": ["nova-api"]},
}


@pytest.mark.parametrize("action", sorted(NOTED))
def test_a_controllers_change_is_remembered_as_well(world: World, action: str) -> None:
    step: Any = SimpleNamespace(
        policy=read_policy(),
        dag_id_of_run="controller_maintenance",
        run_id=RUN,
        host="ctl01",
        request=SimpleNamespace(action=action),
        refuse=lambda *args: None,
        nova=InMemoryNova(),
        _context={"task_state_store": world.store},
    )
    assert notes.noted_of(step) is None
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(notes, "blockers_of", lambda *args: [])
        checked: Any = None
        notes.note_before(step, [], NOTED[action], checked)
    assert world.store.kept == {"change": NEVER_EXPIRE}
    state_store_clean(world)
    assert notes.noted_of(step) == NOTED[action]
    other = SimpleNamespace(**{**vars(step), "host": "ctl02"})
    assert notes.noted_of(other) is None  # type: ignore[arg-type]

    path = records.note_path(step.policy, step.dag_id_of_run, RUN, f"{action}-ctl01")
    path.write_text("{")
    with pytest.raises(RecordUnreadable, match=f"whether this run has begun to {action} ctl01"):
        notes.noted_of(step)
