"""A host that is out by a run that has ended without saying so is not waited for, and is named."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from builders import service
from openstack_maintenance.domain.cloud import ComputeService
from openstack_maintenance.domain.mark import HOST_DAG, LONGEST_RUN_ID, NIGHT_DAG, Mark
from openstack_maintenance.operators.nights import select_hosts
from openstack_maintenance.operators.nights.maintain_host import MaintainHostOperator
from openstack_maintenance.operators.nights.select_hosts import SelectHostsOperator

OTHER, NIGHT = "manual__2026-03-09", "night-1"
HELD = Mark(HOST_DAG, OTHER, "kernel")


class Nova:
    """A cloud whose c01 is out; ``then``: what a second look at it finds."""

    def __init__(self, mark: Mark | None, then: ComputeService | None = None) -> None:
        self.c01 = service("c01", str(mark) if mark else None)
        self.then = then
        self.written: list[str] = []

    def services(self, binary: str) -> list[ComputeService]:
        found = [self.c01, service("c02", None)]
        if self.then is not None:
            self.c01 = self.then
        return found

    def find_service(self, host: str) -> ComputeService:
        return self.services("nova-compute")[0]

    def disable(self, given: ComputeService, reason: str) -> None:
        assert given.host == "c01"
        self.written.append(reason)
        self.c01 = replace(given, is_enabled=False, disabled_reason=reason)


class TaskInstance:
    """``state``: of the run that has c01; None where it was deleted."""

    dag_id = NIGHT_DAG

    def __init__(self, state: str | None) -> None:
        self.state = state
        self.said: dict[str, Any] = {}

    def get_dr_count(self, dag_id: str, run_ids: list[str], states: list[str]) -> int:
        return int((dag_id, run_ids) == (HOST_DAG, [HELD.run_id]) and self.state in states)

    def get_task_breadcrumbs(self, dag_id: str, run_id: str) -> list[Any]:
        return []

    def xcom_push(self, key: str, value: Any) -> None:
        self.said[key] = value


@pytest.fixture(autouse=True)
def policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(f"deployment: lab\nrecords: file://{tmp_path}/records\n")
    monkeypatch.setenv("OPENSTACK_MAINTENANCE_POLICY", str(file))


def at_turn(nova: Nova, state: str | None) -> MaintainHostOperator:
    planned = {"host": "c02", "seconds": 300, "destinations": {}}
    step = MaintainHostOperator(task_id="maintain_host", planned=planned)
    step.__dict__["nova"] = nova
    given: Any = {
        "ti": TaskInstance(state),
        "params": {"ignore_window": True, "reason": "r"},
        "run_id": NIGHT,
    }
    step._context = given
    return step


@pytest.mark.parametrize("state", ["running", "queued"])
def test_a_host_whose_run_goes_on_is_waited_for_and_its_mark_is_left_alone(state: str) -> None:
    nova = Nova(HELD)
    assert at_turn(nova, state)._turn() is None
    assert nova.written == []


@pytest.mark.parametrize("state", ["failed", "success", None])
def test_a_host_whose_run_is_dead_is_not_waited_for(state: str | None) -> None:
    nova = Nova(HELD)
    step = at_turn(nova, state)
    with pytest.raises(AirflowSkipException) as left:
        step._turn()

    said = str(left.value)
    assert "c01 stay out, and max_hosts_out is 1" in said
    assert f"host c01 is out by run {OTHER} of {HOST_DAG}, which has ended without a report" in said
    assert "Clear the failed tasks of that run" in said
    assert f"trigger {HOST_DAG} with host=c01: it takes the host over" in said
    (written,) = nova.written
    assert nova.c01.mark is not None
    assert nova.c01.mark.has_failed
    assert nova.c01.mark.same_run(HELD)
    assert "failed at an unknown step: its run has ended without a report" in written

    with pytest.raises(AirflowSkipException, match="which has ended without a report"):
        step._turn()  # the next host's turn says so, too, and writes nothing again
    assert len(nova.written) == 1


def test_a_run_that_gave_its_host_back_meanwhile_is_not_dead(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The list of services is older than the answer that no such run goes on."""
    nova = Nova(HELD, then=service("c01", None))
    seen: list[Any] = []
    monkeypatch.setattr(
        MaintainHostOperator, "_turn_now", lambda self, out: seen.append(out) or "turn"
    )
    assert at_turn(nova, "success")._turn() == "turn"  # type: ignore[comparison-overlap]
    assert (seen, nova.written) == ([{}], [])


def test_one_that_another_run_took_meanwhile_is_left_alone() -> None:
    nova = Nova(HELD, then=service("c01", str(Mark(HOST_DAG, "another", "kernel"))))
    assert at_turn(nova, None)._turn() is None
    assert nova.written == []


@pytest.mark.parametrize("kind", ["failed", "closed"])
def test_what_has_failed_or_is_only_closed_is_as_before(kind: Any) -> None:
    nova = Nova(replace(HELD, kind=kind))
    from openstack_maintenance.operators.nights.dead_runs import judge_marks

    judged = judge_marks(at_turn(nova, None), nova.services("nova-compute"))
    assert judged.dead == {}


def test_the_mark_of_the_longest_run_id_says_failed_as_well() -> None:
    held = Mark(HOST_DAG, "r" * LONGEST_RUN_ID, "kernel")
    nova = Nova(held)
    with pytest.raises(AirflowSkipException, match="which has ended without a report"):
        at_turn(nova, None)._turn()
    assert nova.c01.mark is not None
    assert nova.c01.mark.has_failed
    assert nova.c01.mark.same_run(held)


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_night_that_begins_sets_the_mark_right_but_a_dry_run_only_says_so(
    dry_run: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    nova = Nova(HELD)
    monkeypatch.setattr(select_hosts, "find_candidates", lambda *args: [])
    step = SelectHostsOperator(task_id="select_hosts")
    step.__dict__["nova"] = nova
    run = SimpleNamespace(logical_date=None, run_after=datetime.now(UTC))
    given: Any = {
        "ti": TaskInstance("failed"),
        "params": {"dry_run": dry_run},
        "run_id": NIGHT,
        "dag_run": run,
    }
    step._context = given
    assert step.select() == []
    assert len(nova.written) == (0 if dry_run else 1)
    assert "host c01 is out by run" in capsys.readouterr().out
