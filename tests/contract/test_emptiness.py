"""A host is empty only where witnesses that do not depend on each other say so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import TaskDeferred

from airflow_run import context_of, write_policy
from builders import NOW, hypervisor, instance, migration, service
from in_memory_nova import CloudState, InMemoryNova
from openstack_maintenance.adapters.cloud_errors import Refused
from openstack_maintenance.domain.cloud import ComputeService, Instance, Migration
from openstack_maintenance.domain.errors import CheckFailed, CloudError, OwnershipLost
from openstack_maintenance.domain.host.facts import GuestProcess, HostFacts, UnitState
from openstack_maintenance.domain.mark import Mark
from openstack_maintenance.operators.host import emptiness, steps
from openstack_maintenance.operators.host import service as host_service
from openstack_maintenance.operators.host.drain import CheckHostEmptyOperator
from openstack_maintenance.operators.host.emptiness import prove_empty
from openstack_maintenance.operators.host.report import ReportOperator
from openstack_maintenance.operators.host.service import DisableServiceOperator
from openstack_maintenance.operators.silence import Silence
from openstack_maintenance.triggers import host_steps
from openstack_maintenance.triggers.host_steps import (
    NovaComputeGoneTrigger,
    NovaComputeStillTrigger,
    NovaComputeUpTrigger,
)
from openstack_maintenance.triggers.waiting import StillWaiting

DAG, RUN = "compute_host_maintenance", "r1"
OURS = str(Mark(DAG, RUN, "kernel"))
SILENT = service("c01", None, is_enabled=False, is_up=False, is_unknown=True, updated_at=None)
OUR_SERVICE = service("c01", OURS)
OLD = instance("i2", "SUSPENDED", name="old-1")


def nova_of(
    given: ComputeService | None = OUR_SERVICE,
    listed: Sequence[Instance] = (),
    placed: Sequence[set[str]] = (set(),),
    known: Sequence[Instance] = (),
    moves: Sequence[Migration] = (),
) -> InMemoryNova:
    """A cloud whose Nova lists nothing on c01. ``placed``: who holds room there, look by look.

    ``known``: instances that no list has, but which Nova shows when it is asked for them.
    """
    cloud = CloudState(
        services={"c01": given} if given else {},
        hypervisors={"c01": hypervisor("c01", id="p1")},
        instances={each.id: each for each in [*listed, *known]},
        migrations={each.id: each for each in moves},
        unlisted=frozenset() if listed else frozenset({"c01"}),
    )
    looks = list(placed)

    def look(call: str, *_: Any) -> None:
        if call == "consumers":
            cloud.placed["c01"] = frozenset(looks.pop(0) if len(looks) > 1 else looks[0])

    return InMemoryNova(cloud, before=look)


UP = UnitState("nova-compute", "systemd", "active", "running", 812, (812,))
GONE = UnitState("nova-compute", "systemd", "inactive", "dead")


class Host:
    """c01 over SSH. ``guests``: what runs on it, look by look."""

    def __init__(self, *guests: tuple[GuestProcess, ...]) -> None:
        self.guests = list(guests) or [()]
        self.orders: list[str] = []
        self.unit = UP
        self.name = "c01"

    async def __aenter__(self) -> Host:
        return self

    async def __aexit__(self, *error: Any) -> None:
        return None

    def _seen(self) -> tuple[GuestProcess, ...]:
        return self.guests.pop(0) if len(self.guests) > 1 else self.guests[0]

    async def check_no_guests(self, then: str) -> None:
        self.orders.append("guests")
        if found := self._seen():
            raise CheckFailed("host c01", f"guests run on it: {found[0]}", then)

    async def nova_compute_state(self) -> UnitState:
        return self.unit

    async def stop_nova_compute(self) -> UnitState:
        self.orders.append("stop")
        self.unit = GONE
        return self.unit

    async def read_facts(self) -> HostFacts:
        rest = ("UTC", self.unit, "/var/log/nova/nova-compute.log", "", (), self._seen())
        return HostFacts("c01", "c01.example.com", "b1", NOW, NOW, *rest)

    async def script_state(self, unit: str) -> Any:
        return SimpleNamespace(status="absent")

    async def start_script(self, *given: Any, **more: Any) -> Any:
        self.orders.append("script")
        raise AssertionError("the script must not start")


@pytest.fixture(autouse=True)
def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emptiness.time, "sleep", lambda seconds: None)
    write_policy(tmp_path, monkeypatch)


def made(
    nova: InMemoryNova,
    kind: type[Any] = CheckHostEmptyOperator,
    task_id: str = "check_host_empty",
    **params: Any,
) -> Any:
    step = kind(task_id=task_id)
    step.__dict__["nova"] = nova
    given = {"host": "c01", "reason": "kernel", "ignore_window": True, **params}
    step._context = context_of(DAG, run_id=RUN, params=given)
    return step


def test_nothing_listed_and_nothing_allocated_is_empty_and_each_witness_is_recorded() -> None:
    proof = prove_empty(made(nova_of()))
    assert proof["witnesses"] == {
        "nova": "no instance, and none is on its way",
        "placement": "no allocation (resource provider p1)",
        "service": f"answers, and is disabled by this run: {OURS}",
    }


def test_the_service_is_read_after_the_lists() -> None:
    nova, asked = nova_of(), []
    nova.before = lambda call, *_: asked.append(call)
    prove_empty(made(nova))
    witnesses = {"migrations", "instances_on", "consumers", "find_service", "services"}
    seen = [each for each in asked if each in witnesses]
    assert seen == ["migrations", "instances_on", "consumers", "find_service"]


def test_a_cell_that_does_not_answer_is_silence_and_no_empty_host() -> None:
    with pytest.raises(CloudError, match="its cell does not answer") as raised:
        prove_empty(made(nova_of(SILENT)))
    assert not isinstance(raised.value, Refused)  # asked again like an API that is silent


def test_before_2_69_the_service_of_a_silent_cell_is_left_out_which_is_silence_too() -> None:
    nova = nova_of(None)
    nova.shows_silent_cells = False
    with pytest.raises(CloudError, match="deleted, or its cell does not answer") as raised:
        prove_empty(made(nova))
    assert not isinstance(raised.value, Refused)


def test_a_service_that_was_deleted_is_no_proof() -> None:
    with pytest.raises(CloudError, match="it was deleted"):
        prove_empty(made(nova_of(None)))


def test_a_full_host_of_a_silent_cell_is_not_empty_although_nova_lists_nothing() -> None:
    nova = nova_of(placed=[{"i1"}], known=[instance("i1", host="c01")])
    with pytest.raises(CheckFailed, match=r"although Nova lists nothing.*i1 \(i1\) is there"):
        prove_empty(made(nova))


def test_a_host_that_somebody_took_while_the_lists_were_read_is_not_ours() -> None:
    with pytest.raises(OwnershipLost):
        prove_empty(made(nova_of(service("c01", None))))


def test_the_other_half_of_a_resize_is_in_the_way() -> None:
    half = migration(status="finished", kind="resize")
    nova = nova_of(
        placed=[{"u1"}], moves=[half], known=[instance("i1", "VERIFY_RESIZE", host="c02")]
    )
    with pytest.raises(CheckFailed, match="openstack server resize confirm i1"):
        prove_empty(made(nova))


def test_room_of_an_ended_migration_that_nova_forgot_is_told_and_in_nobodys_way() -> None:
    elsewhere = [instance("i1", host="c02")]
    nova = nova_of(placed=[{"u1"}], moves=[migration(status="error")], known=elsewhere)
    proof = prove_empty(made(nova))
    assert proof["witnesses"]["placement"] == (
        "no allocation but those of migrations that have ended, which Nova forgot (u1) "
        "(resource provider p1)"
    )
    here = [instance("i1", host="c01")]
    with pytest.raises(CheckFailed, match="openstack resource provider allocation delete u1"):
        prove_empty(made(nova_of(placed=[{"u1"}], moves=[migration(status="error")], known=here)))


def test_an_allocation_of_a_deleted_instance_is_named_with_the_command_that_removes_it() -> None:
    with pytest.raises(CheckFailed, match="openstack resource provider allocation delete dead"):
        prove_empty(made(nova_of(placed=[{"dead"}])))


def test_room_that_nova_gives_back_a_moment_later_is_waited_for() -> None:
    assert prove_empty(made(nova_of(placed=[{"u1"}, {"u1"}, set()])))["instances"] == 0


def test_what_on_blocked_leaves_there_may_keep_its_room_and_nothing_else_may() -> None:
    nova = nova_of(listed=[OLD], placed=[{"i2"}])
    proof = prove_empty(made(nova, on_blocked="leave"))
    assert "no allocation but those of the 1 that may stay" in proof["witnesses"]["placement"]
    nova = nova_of(listed=[OLD], placed=[{"i2", "dead"}])
    with pytest.raises(CheckFailed, match="dead"):
        prove_empty(made(nova, on_blocked="leave"))


def test_after_the_stop_an_arrival_is_told_with_the_start_that_must_come_first() -> None:
    nova = nova_of(listed=[instance("i9")])
    with pytest.raises(CheckFailed, match=r"start it on the host: .*clear list_arrivals"):
        prove_empty(made(nova, task_id="reboot"))


def test_a_silent_cell_is_never_a_person_who_disabled_the_host(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(host_service, "running_among", lambda *given: frozenset())
    with pytest.raises(CloudError, match="its cell does not answer"):
        made(nova_of(SILENT), DisableServiceOperator).perform()


GUEST = GuestProcess(2211, "qemu-system-x86_64", "instance-0000002a")


def at(host: Host, kind: type[Any], monkeypatch: pytest.MonkeyPatch, **params: Any) -> Any:
    step = made(nova_of(), kind, **params)
    monkeypatch.setattr(kind, "on_host", lambda self, address=None: host)
    monkeypatch.setattr(steps, "wait", lambda *given, **known: None)
    return step


def test_a_guest_that_nova_does_not_list_keeps_nova_compute_running(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    host = Host((GUEST,))
    with pytest.raises(CheckFailed, match="instance-0000002a"):
        at(host, steps.StopNovaComputeOperator, monkeypatch).perform()
    assert host.orders == ["guests"]


def test_a_guest_that_shows_only_after_the_stop_ends_the_run_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    host = Host((), (GUEST,))
    with pytest.raises(CheckFailed, match="instance-0000002a"):
        at(host, steps.StopNovaComputeOperator, monkeypatch).perform()
    assert host.orders == ["guests", "stop"]


def test_no_script_starts_beside_a_guest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "script_path", lambda name: Path(__file__))
    host = Host((GUEST,))
    host.unit = GONE
    with pytest.raises(CheckFailed, match="instance-0000002a"):
        at(host, steps.RunScriptOperator, monkeypatch, script="fstrim.sh").perform()
    assert host.orders == ["guests"]


def test_what_the_witnesses_showed_is_kept_with_the_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    step = at(Host(), steps.StopNovaComputeOperator, monkeypatch)
    kept: dict[str, Any] = {}
    step._context["ti"].xcom_push = lambda key, value: kept.update({key: value})
    step._context["ti"].xcom_pull = lambda task_ids, key="return_value", **more: kept.get(key)
    step.perform()
    found = step.resume({"result": {"state": "inactive"}})
    assert found["empty"]["witnesses"]["host"] == "no guest process"


# The right nova-compute was stopped, and no other one goes on (A8).


def stopped(
    nova: InMemoryNova, host: Host, monkeypatch: pytest.MonkeyPatch, beat: Any = NOW
) -> None:
    step = at(host, steps.RunScriptOperator, monkeypatch)
    step.__dict__["nova"] = nova
    result = {"heartbeat": {"last": beat.isoformat()}} if beat else {}
    monkeypatch.setattr(steps.RunScriptOperator, "result_of", lambda self, task_id: result)
    steps.check_stopped(step, "The host was not rebooted")


def beating(*beats: datetime) -> InMemoryNova:
    """Its c01 goes on to report, or is written to once: ``beats`` are the heartbeats it shows."""
    nova, left = nova_of(), list(beats)

    def beat(call: str, *_: Any) -> None:
        if call == "find_service":
            at = left.pop(0) if len(left) > 1 else left[0]
            nova.cloud.change_service("c01", updated_at=at)

    nova.before = beat
    return nova


def off() -> Host:
    host = Host()
    host.unit = GONE
    return host


LATER = NOW + timedelta(seconds=10)


def test_a_heartbeat_that_is_the_stops_is_proof_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps.time, "sleep", lambda seconds: pytest.fail("nothing to wait for"))
    stopped(nova_of(), off(), monkeypatch)


def test_a_reason_that_was_written_since_the_stop_is_no_heartbeat(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stopped(beating(LATER), off(), monkeypatch)
    stopped(beating(LATER), off(), monkeypatch, beat=None)  # stopped by an older release


def test_a_heartbeat_that_goes_on_ends_the_run_before_script_and_reboot(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    nova = beating(LATER, LATER + timedelta(seconds=10))
    with pytest.raises(CheckFailed, match="Another nova-compute reports as c01"):
        stopped(nova, off(), monkeypatch)


@pytest.mark.parametrize(
    "unit", [UP, replace(GONE, strays=("99 /system.slice/docker-ab.scope",))], ids=["it", "another"]
)
def test_a_nova_compute_that_runs_ends_the_run_before_script_and_reboot(
    unit: UnitState, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = off()
    host.unit = unit
    with pytest.raises(CheckFailed, match="nova-compute runs again"):
        stopped(nova_of(), host, monkeypatch)


async def looked(nova: InMemoryNova, monkeypatch: pytest.MonkeyPatch) -> Any:
    trigger = NovaComputeStillTrigger("c01", "10.0.0.21", {}, NOW.isoformat())

    async def gone(self: Any) -> dict[str, Any]:
        return {"state": str(GONE), "boot_id": "b1", "clock": NOW.isoformat()}

    async def shown(self: Any) -> ComputeService:
        return nova.find_service("c01")  # type: ignore[return-value]

    monkeypatch.setattr(NovaComputeGoneTrigger, "look", gone)
    monkeypatch.setattr(NovaComputeStillTrigger, "service", shown)
    monkeypatch.setattr(host_steps, "STILL_SECONDS", 0.0)
    return await trigger.look()


async def test_a_stop_is_proven_once_the_heartbeat_stands_still(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = await looked(nova_of(), monkeypatch)
    assert found["heartbeat"]["last"] == NOW.isoformat()
    with pytest.raises(StillWaiting, match="its heartbeat in Nova goes on"):
        await looked(beating(NOW, LATER), monkeypatch)


async def test_a_stop_of_the_wrong_unit_is_told_when_its_time_is_over() -> None:
    trigger = NovaComputeStillTrigger("c01", "10.0.0.21", {}, NOW.isoformat())
    error = await trigger.too_late("its heartbeat in Nova goes on (1 then 2); inactive")
    assert "nova-compute's unit is stopped, but its heartbeat in Nova goes on" in str(error)
    assert "does not stop" in str(await trigger.too_late("still there: active"))


def test_of_a_service_that_is_unknown_nothing_else_is_believed() -> None:
    with pytest.raises(CloudError):
        prove_empty(made(nova_of(replace(SILENT, disabled_reason=OURS))))


async def test_a_host_that_nova_holds_forced_down_is_told_with_what_ends_that() -> None:
    trigger = NovaComputeUpTrigger("c01", "10.0.0.21", {}, NOW.isoformat())
    error = await trigger.too_late("nova-compute (systemd): active; Nova holds it forced down")
    assert "`openstack compute service set --up c01 nova-compute`" in str(error)
    assert "Fix it on the host" not in str(error)


def test_a_report_that_cannot_mark_a_host_of_a_silent_cell_asks_again_and_then_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    step = made(nova_of(SILENT), ReportOperator, "report")
    tasks = [{"task_id": "disable_service", "map_index": -1, "state": "success"}]
    with pytest.raises(TaskDeferred):
        step._mark_host("it failed", tasks)
    monkeypatch.setattr(ReportOperator, "begun_silence", lambda step: Silence(NOW))  # long ago
    (note,) = step._mark_host("it failed", tasks)
    assert note.startswith("the reason could not be written into Nova: host c01: its cell does")
