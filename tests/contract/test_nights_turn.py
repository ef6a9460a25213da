"""What two nights that run at a time do with one host: it is never done twice."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException, DagRunTriggerException

from airflow_run import context_of, write_policy
from in_memory_nova import CloudState, InMemoryNova
from openstack_maintenance.adapters.policy_file import read_policy
from openstack_maintenance.domain.cloud import ComputeService
from openstack_maintenance.domain.mark import CLOSED, FAILED_AT, NIGHT_DAG, Mark, find_mark
from openstack_maintenance.domain.nights.due import Candidate
from openstack_maintenance.domain.nights.plan import PlannedHost
from openstack_maintenance.operators.base import StepFailed
from openstack_maintenance.operators.host.base import HostOperator
from openstack_maintenance.operators.host.service import DisableServiceOperator
from openstack_maintenance.operators.night_link import CHILD_DAG
from openstack_maintenance.operators.nights import maintain_host
from openstack_maintenance.operators.nights.maintain_host import MaintainHostOperator
from openstack_maintenance.operators.nights.open_hosts import close_only
from openstack_maintenance.records.turn import Turn, write_turn

NIGHT = "backfill__2026-03-01"
CHILD_RUN = f"nightly__c02__{NIGHT}"
SEEN, NOW_IS = "boot-1", "boot-2"
TONIGHT = datetime.now(UTC)


def nova_with(mark: Mark | None = None) -> InMemoryNova:
    """A cloud of one host, c02. ``mark``: why it is disabled."""
    cloud = CloudState()
    cloud.add_host("c02", reason=str(mark) if mark else None, updated_at=None)
    return InMemoryNova(cloud)


def c02(nova: InMemoryNova) -> ComputeService:
    return nova.cloud.services["c02"]


@pytest.fixture(autouse=True)
def policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # All day, and half a day from its end: near it, no host would be started any more.
    ends = f"{TONIGHT - timedelta(hours=12):%H:%M}"
    window = f'window: {{start: "{ends}", end: "{ends}", timezone: UTC}}\n'
    write_policy(tmp_path, monkeypatch, window)


@pytest.fixture
def host_is_in_another_boot(monkeypatch: pytest.MonkeyPatch) -> None:
    class Host:
        async def boot_id(self) -> str:
            return NOW_IS

    @asynccontextmanager
    async def on_host(self: HostOperator) -> AsyncIterator[Host]:
        yield Host()

    monkeypatch.setattr(HostOperator, "on_host", on_host)


def disable(nova: InMemoryNova, reason: str = "night") -> Any:
    step = DisableServiceOperator(task_id="disable_service")
    step.__dict__["nova"] = nova
    params = {"host": "c02", "reason": reason}
    found = {"check_host": {"address": "c02.example.com"}}
    return step.execute(context_of(CHILD_DAG, run_id=CHILD_RUN, params=params, results=found))


@pytest.mark.usefixtures("host_is_in_another_boot")
def test_a_host_that_another_night_rebooted_after_the_check_is_not_taken() -> None:
    nova = nova_with()
    write_turn(read_policy(), CHILD_DAG, CHILD_RUN, Turn(SEEN))
    with pytest.raises(StepFailed, match="host c02: was rebooted since this night found it due"):
        disable(nova)
    assert c02(nova).is_enabled


@pytest.mark.usefixtures("host_is_in_another_boot")
@pytest.mark.parametrize("turn", [None, Turn(NOW_IS)])
def test_a_host_in_the_boot_that_was_found_due_is_taken_and_so_is_one_by_hand(
    turn: Turn | None,
) -> None:
    nova = nova_with()
    if turn is not None:
        write_turn(read_policy(), CHILD_DAG, CHILD_RUN, turn)
    assert disable(nova)["took_over"] is None
    assert CHILD_RUN in str(c02(nova).disabled_reason)


@pytest.mark.parametrize("reason", [CLOSED, f"{FAILED_AT} reboot: no", "[closed] x", "[failed] x"])
def test_a_host_is_out_and_at_work_whatever_the_runs_reason_reads_like(reason: str) -> None:
    nova = nova_with()
    disable(nova, reason)
    assert c02(nova).out_by is not None
    assert not c02(nova).is_closed
    assert not c02(nova).out_by.has_failed
    disabled = c02(nova)
    assert close_only_did(nova) == []  # and no night opens it
    assert c02(nova) == disabled


def close_only_did(nova: InMemoryNova, run_id: str = NIGHT) -> list[str]:
    """What a night does to the host, while another one's turn has come."""
    before = len(nova.orders)
    close_only(nova, ["c02"], "c01", NIGHT_DAG, run_id)  # type: ignore[arg-type]
    return [each.detail or each.call for each in nova.orders[before:]]


def test_a_night_closes_under_a_mark_that_says_so_and_not_where_none_can_be_read_back() -> None:
    (written,) = close_only_did(nova_with())
    mark = find_mark(written)
    assert mark is not None
    assert mark.is_closed
    assert close_only_did(nova_with(), "r" * 250) == []


TURNS = ["null", "1", "[1]", '{"boot_id": 5}', '{"destinations": []}', '{"destinations": {"i": 1}}']


@pytest.mark.parametrize("text", [*TURNS, "[" * 9000, '{"boot', "\\xff"])
def test_a_turn_that_cannot_be_read_is_named_and_its_host_is_not_taken(
    tmp_path: Path, text: str
) -> None:
    """Without it, a host that another night has rebooted would be rebooted again."""
    nova = nova_with()
    write_turn(read_policy(), CHILD_DAG, CHILD_RUN, Turn(SEEN))
    (note,) = (tmp_path / "records" / CHILD_DAG / "notes").iterdir()
    note.write_text(text)
    with pytest.raises(StepFailed, match=re.escape(note.name)):
        disable(nova)
    assert c02(nova).is_enabled


@pytest.mark.usefixtures("host_is_in_another_boot")
def test_what_a_newer_release_tells_beside_it_is_left_aside(tmp_path: Path) -> None:
    write_turn(read_policy(), CHILD_DAG, CHILD_RUN, Turn(NOW_IS))
    (note,) = (tmp_path / "records" / CHILD_DAG / "notes").iterdir()
    note.write_text(json.dumps({"boot_id": NOW_IS, "destinations": {}, "soak": 5}))
    assert disable(nova_with())["took_over"] is None


def test_a_run_that_has_its_host_keeps_it_whatever_the_boot() -> None:
    nova = nova_with(Mark(CHILD_DAG, CHILD_RUN, "failed at assert_amqp: no line", kind="failed"))
    write_turn(read_policy(), CHILD_DAG, CHILD_RUN, Turn(SEEN))
    disable(nova)  # and does not ask the host
    assert "failed at" not in str(c02(nova).disabled_reason)


def maintain(
    nova: InMemoryNova, monkeypatch: pytest.MonkeyPatch, *, booted: datetime, child: str | None
) -> Any:
    """The host's turn in the night; returns what it asks of Airflow."""
    found = [Candidate(c02(nova), booted=booted, boot_id=NOW_IS)]
    monkeypatch.setattr(maintain_host, "find_candidates", lambda *args, **kwargs: found)
    now = timedelta(0)
    planned = PlannedHost(host="c02", zone="nova", starts=now, ends=now, moves=())
    monkeypatch.setattr(MaintainHostOperator, "_planned_now", lambda self, out: planned)
    step = MaintainHostOperator(
        task_id="maintain_host", planned={"host": "c02", "seconds": 300, "destinations": {}}
    )
    step.__dict__["nova"] = nova

    given = context_of(
        NIGHT_DAG,
        run_id=NIGHT,
        dag_run={"logical_date": datetime(2026, 3, 1, tzinfo=UTC), "run_after": TONIGHT},
        runs={CHILD_RUN: child} if child else {},
    )
    with pytest.raises((DagRunTriggerException, AirflowSkipException)) as raised:
        step.execute(given)
    return raised.value


def test_a_hosts_run_that_was_refused_does_not_go_on_when_another_night_has_done_the_host(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    end = maintain(nova_with(), monkeypatch, booted=TONIGHT, child="failed")
    assert isinstance(end, AirflowSkipException)
    assert "was rebooted since this night's window began" in str(end)


@pytest.mark.parametrize(
    ("mark", "child", "again"),
    [
        (None, None, False),
        (None, "failed", True),  # refused, and fixed since
        (Mark(CHILD_DAG, CHILD_RUN, "failed at reboot: no", kind="failed"), "failed", True),
    ],
)
def test_a_host_that_is_due_has_its_run(
    mark: Mark | None, child: str | None, again: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    booted = datetime(2026, 1, 1, tzinfo=UTC)
    end = maintain(nova_with(mark), monkeypatch, booted=booted, child=child)
    assert isinstance(end, DagRunTriggerException)
    assert (end.dag_run_id, end.reset_dag_run) == (CHILD_RUN, again)


@pytest.mark.parametrize(
    ("kind", "waits"),
    [("out", True), ("failed", False)],  # who failed stays out until a person has fixed it
)
def test_a_turn_waits_for_hosts_that_come_back_and_for_no_others(
    kind: str, waits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = Mark(CHILD_DAG, "another run", "failed at reboot: no", kind=kind)  # type: ignore[arg-type]
    cloud = CloudState()
    cloud.add_host("c01", reason=str(mark))
    step = MaintainHostOperator(
        task_id="maintain_host", planned={"host": "c02", "seconds": 300, "destinations": {}}
    )
    step.__dict__["nova"] = InMemoryNova(cloud)
    step._context = context_of(NIGHT_DAG, run_id=NIGHT, runs={"another run": "running"})
    if waits:
        assert step._turn() is None
    else:
        with pytest.raises(AirflowSkipException, match="c01 stay out, and max_hosts_out is 1"):
            step._turn()
