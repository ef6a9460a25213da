"""A cloud or a host that does not answer for a while: every step asks again, and holds nothing."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowRescheduleException, AirflowSkipException, TaskDeferred

from airflow_run import StateStore, context_of, tasks_in, write_policy
from builders import NOW, service
from in_memory_nova import CloudState, InMemoryNova
from openstack_maintenance import operators
from openstack_maintenance.adapters.cloud_errors import NotThere, Refused
from openstack_maintenance.adapters.shell import HostUnreachable
from openstack_maintenance.domain.errors import Blocked, CheckFailed, CloudError, MaintenanceError
from openstack_maintenance.domain.mark import Mark
from openstack_maintenance.domain.nights.due import Candidate
from openstack_maintenance.hooks import fleet_now as fleet
from openstack_maintenance.operators.base import MaintenanceOperator, StepFailed
from openstack_maintenance.operators.checks.base import CheckOperator
from openstack_maintenance.operators.controllers import gate
from openstack_maintenance.operators.controllers.base import CHECK
from openstack_maintenance.operators.host.base import HostOperator
from openstack_maintenance.operators.host.check_host import CheckHostOperator
from openstack_maintenance.operators.host.report import ReportOperator
from openstack_maintenance.operators.host.service import DisableServiceOperator
from openstack_maintenance.operators.nights import maintain_host
from openstack_maintenance.operators.nights.maintain_host import MaintainHostOperator
from openstack_maintenance.operators.nights.open_hosts import OpenHostsOperator
from openstack_maintenance.operators.rescheduled import Rescheduled

DAG, RUN = "compute_host_maintenance", "r1"
CLOUD = CloudError("cloud x", "no usable answer", "Wait until its API works.")
HOST = HostUnreachable("host c01", "nobody answers in time", "Check the network.")
BEGAN = NOW


def context(store: StateStore | None = None, **params: Any) -> Any:
    given = {"host": "c01", "reason": "kernel", "ignore_window": True, **params}
    return context_of(DAG, run_id=RUN, params=given, store=store, dag_run={"start_date": None})


class Clock:
    """What the steps take for now."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = BEGAN
        for name in ("base", "rescheduled", "window_gate", "nights.maintain_host"):
            module = importlib.import_module(f"{operators.__name__}.{name}")
            monkeypatch.setattr(module, "utc_now", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture(autouse=True)
def policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    window = 'window: {start: "01:00", end: "02:00", timezone: UTC}\n'
    return write_policy(tmp_path, monkeypatch, window)


class Step(MaintenanceOperator):
    """A step that is told what it finds."""

    finds: MaintenanceError | str = "all is well"

    def perform(self) -> str:
        if isinstance(self.finds, MaintenanceError):
            raise self.finds
        return self.finds


def step(finds: MaintenanceError | str) -> Step:
    made = Step(task_id="step")
    made.finds = finds
    return made


def steps_of_every_dag() -> list[type[MaintenanceOperator]]:
    for each in pkgutil.walk_packages(operators.__path__, f"{operators.__name__}."):
        importlib.import_module(each.name)
    found: list[type[MaintenanceOperator]] = []
    waiting = [MaintenanceOperator]
    while waiting:
        for kind in waiting.pop().__subclasses__():
            waiting.append(kind)
            found.append(kind)
    return [each for each in found if each.__module__.startswith(operators.__name__)]


@pytest.mark.parametrize("error", [CLOUD, HOST], ids=["cloud", "host"])
def test_every_step_asks_again_but_those_that_look_for_silence(
    error: MaintenanceError, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds = steps_of_every_dag()
    assert len(kinds) > 35
    for kind in kinds:
        made = object.__new__(kind)
        object.__setattr__(made, "_context", context())
        told: list[datetime] = []
        monkeypatch.setattr(
            kind, "wait_in_silence", lambda self, since, e, told=told: told.append(e)
        )
        monkeypatch.setattr(MaintenanceOperator, "log", SimpleNamespace(warning=lambda *a: None))
        made.ask_again_later(error)
        is_silent_by_itself = issubclass(kind, (CheckOperator, OpenHostsOperator))
        assert told == ([] if is_silent_by_itself else [error]), kind.__name__


@pytest.mark.parametrize("error", [CLOUD, HOST], ids=["cloud", "host"])
def test_a_silence_is_waited_for_without_a_slot_and_said(
    error: MaintenanceError, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    given = context()
    with pytest.raises(TaskDeferred) as waits:
        step(error).execute(given)

    assert waits.value.method_name == "ask_again"
    assert waits.value.kwargs == {"silent_since": BEGAN.isoformat()}
    assert waits.value.trigger.moment == BEGAN + timedelta(seconds=5)
    assert given["ti"].xcoms == {}  # it has not failed
    said = capsys.readouterr().out
    assert f"{error.subject}: {error.found}. Asking again until 2026-03-10 01:10:00 UTC" in said


def test_the_pauses_grow_the_first_look_counts_and_then_it_begins_again(clock: Clock) -> None:
    pauses, kwargs = [], {}
    with pytest.raises(StepFailed) as gave_up:
        while True:
            with pytest.raises(TaskDeferred) as waits:
                step(CLOUD).ask_again(context(), **kwargs)
            moment: datetime = waits.value.trigger.moment
            pauses.append((moment - clock.now).total_seconds())
            clock.now, kwargs = moment, dict(waits.value.kwargs or {})

    assert pauses[:5] == [5, 5, 5, 7.5, 11.25]
    assert set(pauses[8:]) == {30}
    assert clock.now - BEGAN >= timedelta(minutes=10)
    assert clock.now - BEGAN < timedelta(minutes=10, seconds=31)
    assert str(gave_up.value).startswith(
        "cloud x: no usable answer. There has been no answer since 2026-03-10 01:00:00 UTC, for 10 "
    )
    assert str(gave_up.value).endswith(
        "longer than api_patience (10min). Wait until its API works. Then clear this task."
    )
    assert step("fine").ask_again(context(), silent_since=BEGAN.isoformat()) == "fine"


def test_a_step_that_is_cleared_has_all_its_patience_again(clock: Clock) -> None:
    made = step(CLOUD)
    with pytest.raises(StepFailed):
        made.ask_again(context(), silent_since=(BEGAN - timedelta(hours=1)).isoformat())
    with pytest.raises(TaskDeferred) as waits:
        made.execute(context())
    assert waits.value.kwargs == {"silent_since": BEGAN.isoformat()}


@pytest.mark.parametrize("silent_since", ["", "soon", None, "2026-03-10T01:00:00", 5])
def test_what_cannot_be_read_of_an_earlier_look_is_a_silence_that_begins_now(
    silent_since: Any, clock: Clock
) -> None:
    with pytest.raises(TaskDeferred) as waits:
        step(CLOUD).ask_again(context(), silent_since=silent_since, later="of a newer release")
    assert waits.value.kwargs == {"silent_since": BEGAN.isoformat()}


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (Refused("cloud x", "Nova refused", "Fix it."), StepFailed),
        (NotThere("host c01", "no such service", "Check the name."), NotThere),  # Airflow retries
        (CheckFailed("host c01", "is not well", "Look."), StepFailed),
        (Blocked("host c01", "is taken", "Wait."), StepFailed),
    ],
)
def test_an_answer_is_not_waited_for(error: MaintenanceError, raised: type[Exception]) -> None:
    with pytest.raises(raised):
        step(error).execute(context())


def test_what_goes_silent_after_a_trigger_begins_again(clock: Clock) -> None:
    class Resumed(Step):
        def resume(self, event: Any) -> Any:
            raise CLOUD

    with pytest.raises(TaskDeferred) as waits:
        Resumed(task_id="step").execute_complete(context(), {"result": 1})
    assert waits.value.method_name == "ask_again"


def answering_nova() -> InMemoryNova:
    cloud = CloudState()
    cloud.add_host("c01")
    return InMemoryNova(cloud)


def silent_nova() -> InMemoryNova:
    """It does not answer, until its ``errors`` are cleared."""
    nova = answering_nova()
    nova.errors.update(services=CLOUD, find_service=CLOUD)
    return nova


def disabling(nova: InMemoryNova) -> DisableServiceOperator:
    made = DisableServiceOperator(task_id="disable_service")
    made.__dict__["nova"] = nova
    return made


def test_the_one_task_that_may_disable_is_never_deferred(clock: Clock) -> None:
    """Airflow counts a deferred one: another run could not take its host, and would not say why."""
    nova, store = silent_nova(), StateStore()
    while clock.now - BEGAN < timedelta(minutes=10):
        with pytest.raises(AirflowRescheduleException) as comes_back:
            disabling(nova).execute(context(store))
        pause = comes_back.value.reschedule_date - clock.now
        assert timedelta(seconds=5) <= pause <= timedelta(seconds=30)
        clock.now += pause
    with pytest.raises(StepFailed, match="no answer since 2026-03-10 01:00:00 UTC"):
        disabling(nova).execute(context(store))

    cleared = context(store)
    cleared["ti"].try_number = 2
    with pytest.raises(AirflowRescheduleException):
        disabling(nova).execute(cleared)
    nova.errors.clear()
    assert RUN in disabling(nova).execute(cleared)["disabled_reason"]


def test_a_second_silence_is_not_the_first_one(clock: Clock) -> None:
    nova, store = silent_nova(), StateStore()
    with pytest.raises(AirflowRescheduleException):
        disabling(nova).execute(context(store))
    clock.now += timedelta(hours=1)  # it waited for its window meanwhile
    with pytest.raises(AirflowRescheduleException):
        disabling(nova).execute(context(store))


def test_a_window_that_closed_again_is_waited_for_without_the_one_place(clock: Clock) -> None:
    clock.now = BEGAN - timedelta(hours=2)
    nova = silent_nova()
    with pytest.raises(AirflowRescheduleException) as comes_back:
        disabling(nova).execute(context(ignore_window=False))
    assert comes_back.value.reschedule_date == BEGAN + timedelta(seconds=1)

    clock.now = BEGAN + timedelta(hours=1)
    with pytest.raises(StepFailed, match=r"is closed and opens next at .* window_patience"):
        disabling(nova).execute(context(ignore_window=False))


def test_one_that_an_older_release_deferred_there_goes_on(clock: Clock) -> None:
    nova = answering_nova()
    clock.now = BEGAN + timedelta(seconds=1)
    done = disabling(nova).execute_in_window(context(ignore_window=False), {"moment": "x"})
    assert RUN in done["disabled_reason"]


def test_no_step_of_which_only_some_may_run_is_deferred_while_it_waits_for_its_host() -> None:
    limited = [DisableServiceOperator(task_id="a"), *nights_steps()]
    for each in limited:
        assert isinstance(each, Rescheduled), each.task_id


def nights_steps() -> list[MaintainHostOperator]:
    planned = {"host": "c01", "seconds": 300, "destinations": {}}
    return [MaintainHostOperator(task_id="maintain_host", planned=planned)]


def a_turn(monkeypatch: pytest.MonkeyPatch, nova: InMemoryNova) -> MaintainHostOperator:
    silent = Candidate(
        service("c01", None), unreadable="nobody answers in time. Check it.", is_silent=True
    )
    monkeypatch.setattr(maintain_host, "find_candidates", lambda *a, **k: [silent])
    monkeypatch.setattr(MaintainHostOperator, "state_of", lambda self, run_id: None)
    (made,) = nights_steps()
    made.__dict__["nova"] = nova
    return made


def test_a_host_that_is_silent_at_its_turn_is_asked_again_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    nova, store = answering_nova(), StateStore()
    with pytest.raises(AirflowRescheduleException):
        a_turn(monkeypatch, nova).execute(context(store))

    clock.now += timedelta(minutes=11)
    store["silence at try 1"]["asked_at"] = clock.now.isoformat()
    given = context(store)
    with pytest.raises(AirflowSkipException, match="nobody answers in time"):
        a_turn(monkeypatch, nova).execute(given)
    assert given["ti"].xcoms["left"].startswith("nobody answers in time")


def test_a_host_that_is_silent_until_there_is_no_time_for_it_is_left(
    monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    nova = answering_nova()
    clock.now = BEGAN + timedelta(minutes=58)
    with pytest.raises(AirflowSkipException, match="it would be back at 02:03"):
        a_turn(monkeypatch, nova).execute(context(ignore_window=False))


def test_a_cloud_that_is_silent_at_a_turn_keeps_the_nights_order(
    monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    with pytest.raises(TaskDeferred) as waits:
        a_turn(monkeypatch, silent_nova()).execute(context())
    assert waits.value.method_name == "ask_again"


class Host:
    """A host of which each look but the last fails."""

    looks: list[MaintenanceError | None]

    async def read_facts(self) -> Any:
        error = self.looks.pop(0)
        if error:
            raise error
        return "facts"


@pytest.mark.parametrize(
    ("looks", "found", "unread", "silent"),
    [
        ([None], "facts", "", False),
        ([HOST, HOST, None], "facts", "", False),
        ([HOST, HOST, HOST], "", "nobody answers in time. Check the network.", True),
        ([HOST, CheckFailed("c01", "no", "Fix it.")], "", "no. Fix it.", False),
    ],
)
async def test_a_nights_look_at_a_silent_host_is_made_again(
    monkeypatch: pytest.MonkeyPatch,
    looks: list[MaintenanceError | None],
    found: str,
    unread: str,
    silent: bool,
) -> None:
    host = Host()
    host.looks = looks

    @asynccontextmanager
    async def opened(*args: Any) -> Any:
        yield host

    monkeypatch.setattr(fleet, "open_host", opened)
    monkeypatch.setattr(fleet, "_PAUSES", (0.0, 0.0))
    deployment: Any = SimpleNamespace(nova_compute=None)

    seen = await fleet.read_hosts({"c01": "c01"}, deployment, "ssh")

    assert seen.facts.get("c01", "") == found
    assert seen.unread.get("c01", "") == unread
    assert seen.silent == ({"c01"} if silent else set())
    assert host.looks == []


@pytest.mark.parametrize("others", [[], ["is taken"]])
def test_a_pre_check_waits_for_a_silent_host_only_where_nothing_else_is_in_the_way(
    monkeypatch: pytest.MonkeyPatch, others: list[Any]
) -> None:
    made = CheckHostOperator(task_id="check_host", first_change="wait_for_window")
    object.__setattr__(made, "_context", context())

    async def silent(self: HostOperator, address: str) -> Any:
        raise HOST

    monkeypatch.setattr(CheckHostOperator, "_read_facts", silent)
    facts: Any = SimpleNamespace(hypervisor="there")
    if others:
        assert made._read_host("c01", facts, others) is None
        assert str(others[1]).startswith("host c01: nobody answers")
    else:
        with pytest.raises(TaskDeferred):
            made._read_host("c01", facts, others)


def test_a_report_tries_on_so_that_the_reason_is_written() -> None:
    nova = silent_nova()
    made = ReportOperator(task_id="report")
    made.__dict__["nova"] = nova
    given = context()
    given["ti"].tasks = tasks_in({"disable_service": "success", "reboot": "failed"})
    with pytest.raises(TaskDeferred) as waits:
        made.execute(given)

    nova.errors.clear()
    nova.cloud.add_host("c01", reason=str(Mark(DAG, RUN, "kernel")))
    with pytest.raises(StepFailed):
        made.ask_again(given, **dict(waits.value.kwargs or {}))
    mark = nova.cloud.services["c01"].mark
    assert mark is not None
    assert mark.has_failed


def test_a_check_reports_silence_at_once() -> None:
    class Check(CheckOperator):
        def look(self) -> Any:
            raise CLOUD

    with pytest.raises(CloudError):  # Airflow's own retry, 5 s later
        Check(task_id="check_token").execute(context())


@pytest.mark.parametrize("task_id", [CHECK, "maintain_controller.reboot"])
def test_between_two_controllers_a_silent_nova_is_waited_for_and_named_before_any(
    monkeypatch: pytest.MonkeyPatch, task_id: str
) -> None:
    asked: list[MaintenanceError] = []
    at_work: Any = SimpleNamespace(
        task_id=task_id,
        ask_again_later=asked.append,
        nova=silent_nova(),
        request=SimpleNamespace(action="reboot", allow_outage=True),
        deployment=[],
    )
    for rule in ("one_machine_blockers", "health_blockers"):
        monkeypatch.setattr(gate, rule, lambda *args: [])
    checked: Any = SimpleNamespace(seen={"ctl01": SimpleNamespace(services=[], hostname="ctl01")})
    blockers = gate.blockers_of(at_work, "ctl01", checked, [])
    assert [each.subject for each in blockers] == ["cloud x"]
    assert asked == ([] if task_id == CHECK else [CLOUD])


@pytest.fixture(autouse=True)
def errors_are_as_they_were() -> Iterator[None]:
    """A step adds since when nobody answers to what was found."""
    before = CLOUD.found, HOST.found
    yield
    CLOUD.found, HOST.found = before
