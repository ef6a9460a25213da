"""A host that is out by a run that has ended without saying so is not waited for, and is named."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException

import airflow_run
from airflow_run import context_of, write_policy
from builders import service
from in_memory_nova import InMemoryNova
from openstack_maintenance.domain.cloud import ComputeService
from openstack_maintenance.domain.mark import HOST_DAG, LONGEST_RUN_ID, NIGHT_DAG, Mark
from openstack_maintenance.operators.nights import select_hosts
from openstack_maintenance.operators.nights.maintain_host import MaintainHostOperator
from openstack_maintenance.operators.nights.select_hosts import SelectHostsOperator

OTHER, NIGHT = "manual__2026-03-09", "night-1"
HELD = Mark(HOST_DAG, OTHER, "kernel")


def nova_with(mark: Mark | None, then: ComputeService | None = None) -> InMemoryNova:
    """A cloud whose c01 is out; ``then``: what a second look at it finds."""
    nova = InMemoryNova()
    nova.cloud.add_host("c01", reason=str(mark) if mark else None)
    nova.cloud.add_host("c02")

    def second_look(*_: Any) -> None:
        if then is not None and nova.calls.total() > 1:
            nova.cloud.services["c01"] = then

    nova.before = second_look
    return nova


def written_to(nova: InMemoryNova) -> list[str | None]:
    """The reasons that were written; only c01 gets any."""
    orders = nova.ordered("disable")
    assert {each.subject for each in orders} <= {"c01"}
    return [each.detail for each in orders]


class TaskInstance(airflow_run.TaskInstance):
    """Of a night, which asks about runs of one host."""

    def get_dr_count(self, dag_id: str, run_ids: list[str], states: list[str] | None = None) -> int:
        assert dag_id == HOST_DAG
        return super().get_dr_count(dag_id, run_ids, states)


def context(state: str | None, **params: Any) -> Any:
    """``state``: of the run that has c01; None where it was deleted."""
    given = context_of(NIGHT_DAG, run_id=NIGHT, params=params)
    runs = {HELD.run_id: state} if state else {}
    given["ti"] = TaskInstance(NIGHT_DAG, runs=runs)
    return given


@pytest.fixture(autouse=True)
def policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_policy(tmp_path, monkeypatch)


def at_turn(nova: InMemoryNova, state: str | None) -> MaintainHostOperator:
    planned = {"host": "c02", "seconds": 300, "destinations": {}}
    step = MaintainHostOperator(task_id="maintain_host", planned=planned)
    step.__dict__["nova"] = nova
    step._context = context(state, ignore_window=True, reason="r")
    return step


@pytest.mark.parametrize("state", ["running", "queued"])
def test_a_host_whose_run_goes_on_is_waited_for_and_its_mark_is_left_alone(state: str) -> None:
    nova = nova_with(HELD)
    assert at_turn(nova, state)._turn() is None
    assert written_to(nova) == []


@pytest.mark.parametrize("state", ["failed", "success", None])
def test_a_host_whose_run_is_dead_is_not_waited_for(state: str | None) -> None:
    nova = nova_with(HELD)
    step = at_turn(nova, state)
    with pytest.raises(AirflowSkipException) as left:
        step._turn()

    said = str(left.value)
    assert "c01 stay out, and max_hosts_out is 1" in said
    assert f"host c01 is out by run {OTHER} of {HOST_DAG}, which has ended without a report" in said
    assert "Clear the failed tasks of that run" in said
    assert f"trigger {HOST_DAG} with host=c01: it takes the host over" in said
    (written,) = written_to(nova)
    assert nova.cloud.services["c01"].mark is not None
    assert nova.cloud.services["c01"].mark.has_failed
    assert nova.cloud.services["c01"].mark.same_run(HELD)
    assert "failed at an unknown step: its run has ended without a report" in written

    with pytest.raises(AirflowSkipException, match="which has ended without a report"):
        step._turn()  # the next host's turn says so, too, and writes nothing again
    assert len(written_to(nova)) == 1


def test_a_run_that_gave_its_host_back_meanwhile_is_not_dead(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The list of services is older than the answer that no such run goes on."""
    nova = nova_with(HELD, then=service("c01", None))
    seen: list[Any] = []
    monkeypatch.setattr(
        MaintainHostOperator, "_turn_now", lambda self, out: seen.append(out) or "turn"
    )
    assert at_turn(nova, "success")._turn() == "turn"  # type: ignore[comparison-overlap]
    assert (seen, written_to(nova)) == ([{}], [])


def test_one_that_another_run_took_meanwhile_is_left_alone() -> None:
    nova = nova_with(HELD, then=service("c01", str(Mark(HOST_DAG, "another", "kernel"))))
    assert at_turn(nova, None)._turn() is None
    assert written_to(nova) == []


@pytest.mark.parametrize("kind", ["failed", "closed"])
def test_what_has_failed_or_is_only_closed_is_as_before(kind: Any) -> None:
    nova = nova_with(replace(HELD, kind=kind))
    from openstack_maintenance.operators.nights.dead_runs import judge_marks

    judged = judge_marks(at_turn(nova, None), nova.services("nova-compute"))
    assert judged.dead == {}


def test_the_mark_of_the_longest_run_id_says_failed_as_well() -> None:
    held = Mark(HOST_DAG, "r" * LONGEST_RUN_ID, "kernel")
    nova = nova_with(held)
    with pytest.raises(AirflowSkipException, match="which has ended without a report"):
        at_turn(nova, None)._turn()
    assert nova.cloud.services["c01"].mark is not None
    assert nova.cloud.services["c01"].mark.has_failed
    assert nova.cloud.services["c01"].mark.same_run(held)


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_night_that_begins_sets_the_mark_right_but_a_dry_run_only_says_so(
    dry_run: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    nova = nova_with(HELD)
    monkeypatch.setattr(select_hosts, "find_candidates", lambda *args, **given: [])
    step = SelectHostsOperator(task_id="select_hosts")
    step.__dict__["nova"] = nova
    step._context = context("failed", dry_run=dry_run)
    step._context["dag_run"].run_after = datetime.now(UTC)
    assert step.select() == []
    assert len(written_to(nova)) == (0 if dry_run else 1)
    assert "host c01 is out by run" in capsys.readouterr().out
