"""What two nights that run at a time do with one host: it is never done twice."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException, DagRunTriggerException

from builders import service
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


class Nova:
    """A cloud of one host."""

    def __init__(self, mark: Mark | None = None) -> None:
        self.service = service("c02", updated_at=None)
        if mark is not None:
            self.disable(self.service, str(mark))

    def services(self, binary: str) -> list[ComputeService]:
        return [self.service]

    def get_service(self, host: str) -> ComputeService:
        return self.service

    find_service = get_service

    def disable(self, service: ComputeService, reason: str) -> None:
        self.service = replace(self.service, is_enabled=False, disabled_reason=reason)


class TaskInstance:
    """What the steps ask of their task instance; ``child`` is the state of the host's run."""

    def __init__(self, dag_id: str, child: str | None = None) -> None:
        self.dag_id = dag_id
        self.child = child
        self.xcoms: dict[str, Any] = {}

    def get_dr_count(self, dag_id: str, run_ids: list[str], states: Any = None) -> int:
        return int(self.child is not None and states is None)

    def get_dagrun_state(self, dag_id: str, run_id: str) -> str | None:
        return self.child

    def get_task_breadcrumbs(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        return []

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms[key] = json.loads(json.dumps(value))

    def xcom_pull(self, task_ids: str, **asked: Any) -> Any:
        return {"check_host": {"address": "c02.example.com"}}.get(task_ids)


@pytest.fixture(autouse=True)
def policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "policy.yaml"
    # All day, and half a day from its end: near it, no host would be started any more.
    ends = f"{TONIGHT - timedelta(hours=12):%H:%M}"
    window = f'window: {{start: "{ends}", end: "{ends}", timezone: UTC}}\n'
    file.write_text(f"deployment: lab\n{window}records: file://{tmp_path}/records\n")
    monkeypatch.setenv("OPENSTACK_MAINTENANCE_POLICY", str(file))


@pytest.fixture
def host_is_in_another_boot(monkeypatch: pytest.MonkeyPatch) -> None:
    class Host:
        async def boot_id(self) -> str:
            return NOW_IS

    @asynccontextmanager
    async def on_host(self: HostOperator) -> AsyncIterator[Host]:
        yield Host()

    monkeypatch.setattr(HostOperator, "on_host", on_host)


def disable(nova: Nova, reason: str = "night") -> Any:
    step = DisableServiceOperator(task_id="disable_service")
    step.__dict__["nova"] = nova
    context: Any = {
        "ti": TaskInstance(CHILD_DAG),
        "params": {"host": "c02", "reason": reason},
        "run_id": CHILD_RUN,
    }
    return step.execute(context)


@pytest.mark.usefixtures("host_is_in_another_boot")
def test_a_host_that_another_night_rebooted_after_the_check_is_not_taken() -> None:
    nova = Nova()
    write_turn(read_policy(), CHILD_DAG, CHILD_RUN, Turn(SEEN))
    with pytest.raises(StepFailed, match="host c02: was rebooted since this night found it due"):
        disable(nova)
    assert nova.service.is_enabled


@pytest.mark.usefixtures("host_is_in_another_boot")
@pytest.mark.parametrize("turn", [None, Turn(NOW_IS)])
def test_a_host_in_the_boot_that_was_found_due_is_taken_and_so_is_one_by_hand(
    turn: Turn | None,
) -> None:
    nova = Nova()
    if turn is not None:
        write_turn(read_policy(), CHILD_DAG, CHILD_RUN, turn)
    assert disable(nova)["took_over"] is None
    assert CHILD_RUN in str(nova.service.disabled_reason)


@pytest.mark.parametrize("reason", [CLOSED, f"{FAILED_AT} reboot: no", "[closed] x", "[failed] x"])
def test_a_host_is_out_and_at_work_whatever_the_runs_reason_reads_like(reason: str) -> None:
    nova = Nova()
    disable(nova, reason)
    assert nova.service.out_by is not None
    assert not nova.service.is_closed
    assert not nova.service.out_by.has_failed
    disabled = nova.service
    assert close_only_did(nova) == []  # and no night opens it
    assert nova.service == disabled


def close_only_did(nova: Nova, run_id: str = NIGHT) -> list[str]:
    """What a night does to the host, while another one's turn has come."""
    did: list[str] = []
    spied: Any = SimpleNamespace(
        services=nova.services,
        enable=lambda service: did.append("enable"),
        disable=lambda service, reason: did.append(reason),
    )
    close_only(spied, ["c02"], "c01", NIGHT_DAG, run_id)
    return did


def test_a_night_closes_under_a_mark_that_says_so_and_not_where_none_can_be_read_back() -> None:
    (written,) = close_only_did(Nova())
    mark = find_mark(written)
    assert mark is not None
    assert mark.is_closed
    assert close_only_did(Nova(), "r" * 250) == []


TURNS = ["null", "1", "[1]", '{"boot_id": 5}', '{"destinations": []}', '{"destinations": {"i": 1}}']


@pytest.mark.parametrize("text", [*TURNS, "[" * 9000, '{"boot', "\\xff"])
def test_a_turn_that_cannot_be_read_is_named_and_its_host_is_not_taken(
    tmp_path: Path, text: str
) -> None:
    """Without it, a host that another night has rebooted would be rebooted again."""
    nova = Nova()
    write_turn(read_policy(), CHILD_DAG, CHILD_RUN, Turn(SEEN))
    (note,) = (tmp_path / "records" / CHILD_DAG / "notes").iterdir()
    note.write_text(text)
    with pytest.raises(StepFailed, match=re.escape(note.name)):
        disable(nova)
    assert nova.service.is_enabled


@pytest.mark.usefixtures("host_is_in_another_boot")
def test_what_a_newer_release_tells_beside_it_is_left_aside(tmp_path: Path) -> None:
    write_turn(read_policy(), CHILD_DAG, CHILD_RUN, Turn(NOW_IS))
    (note,) = (tmp_path / "records" / CHILD_DAG / "notes").iterdir()
    note.write_text(json.dumps({"boot_id": NOW_IS, "destinations": {}, "soak": 5}))
    assert disable(Nova())["took_over"] is None


def test_a_run_that_has_its_host_keeps_it_whatever_the_boot() -> None:
    nova = Nova(Mark(CHILD_DAG, CHILD_RUN, "failed at assert_amqp: no line", kind="failed"))
    write_turn(read_policy(), CHILD_DAG, CHILD_RUN, Turn(SEEN))
    disable(nova)  # and does not ask the host
    assert "failed at" not in str(nova.service.disabled_reason)


def maintain(
    nova: Nova, monkeypatch: pytest.MonkeyPatch, *, booted: datetime, child: str | None
) -> Any:
    """The host's turn in the night; returns what it asks of Airflow."""
    found = [Candidate(nova.service, booted=booted, boot_id=NOW_IS)]
    monkeypatch.setattr(maintain_host, "find_candidates", lambda *args, **kwargs: found)
    planned = PlannedHost("c02", "nova", *([TONIGHT - TONIGHT] * 2), ())
    monkeypatch.setattr(MaintainHostOperator, "_planned_now", lambda self, out: planned)
    step = MaintainHostOperator(
        task_id="maintain_host", planned={"host": "c02", "seconds": 300, "destinations": {}}
    )
    step.__dict__["nova"] = nova

    class Run:
        logical_date = datetime(2026, 3, 1, tzinfo=UTC)
        run_after = TONIGHT

    context: Any = {
        "ti": TaskInstance(NIGHT_DAG, child),
        "params": {},
        "run_id": NIGHT,
        "dag_run": Run,
    }
    with pytest.raises((DagRunTriggerException, AirflowSkipException)) as raised:
        step.execute(context)
    return raised.value


def test_a_hosts_run_that_was_refused_does_not_go_on_when_another_night_has_done_the_host(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    end = maintain(Nova(), monkeypatch, booted=TONIGHT, child="failed")
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
    end = maintain(Nova(mark), monkeypatch, booted=booted, child=child)
    assert isinstance(end, DagRunTriggerException)
    assert (end.dag_run_id, end.reset_dag_run) == (CHILD_RUN, again)


@pytest.mark.parametrize(
    ("kind", "waits"),
    [("out", True), ("failed", False)],  # who failed stays out until a person has fixed it
)
def test_a_turn_waits_for_hosts_that_come_back_and_for_no_others(
    kind: str, waits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = Nova(Mark(CHILD_DAG, "another run", "failed at reboot: no", kind=kind))  # type: ignore[arg-type]
    out.service = replace(out.service, host="c01")
    step = MaintainHostOperator(
        task_id="maintain_host", planned={"host": "c02", "seconds": 300, "destinations": {}}
    )
    step.__dict__["nova"] = out
    ti: Any = TaskInstance(NIGHT_DAG)
    ti.get_dr_count = lambda **asked: 1  # its run goes on
    step._context = {"ti": ti, "params": {}, "run_id": NIGHT}  # type: ignore[typeddict-item]
    if waits:
        assert step._turn() is None
    else:
        with pytest.raises(AirflowSkipException, match="c01 stay out, and max_hosts_out is 1"):
            step._turn()
