"""A night that follows the run of a host: to its end, or until a person has deleted it."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk.exceptions import TaskDeferred
from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance
from airflow.utils.state import DagRunState

from airflow_run import context_of
from openstack_maintenance.domain.mark import NIGHT_DAG
from openstack_maintenance.operators.base import StepFailed
from openstack_maintenance.operators.nights.maintain_host import MaintainHostOperator
from openstack_maintenance.triggers.run_end import RunEndTrigger

RUN = "nightly__c02__n1"


async def end_of(monkeypatch: pytest.MonkeyPatch, *looks: tuple[int, int]) -> tuple[Any, int]:
    """The event, and the looks it took. ``looks``: how many such runs have ended, and are there."""
    left, asked = list(looks), []

    def count(**given: Any) -> int:
        if given["states"]:
            asked.append(given["run_ids"])
            return left[0][0]
        return left.pop(0)[1]

    monkeypatch.setattr(RuntimeTaskInstance, "get_dr_count", staticmethod(count))
    events = [each async for each in RunEndTrigger("child", RUN, 0.0).run()]
    return events[0].payload["result"], len(asked)


async def test_the_end_of_a_run_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    found = await end_of(monkeypatch, (0, 1), (0, 1), (1, 1))
    assert found == ({"run_id": RUN, "is_there": True}, 3)


async def test_a_run_that_is_deleted_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    found = await end_of(monkeypatch, (0, 1), (0, 0), (0, 1), (0, 0), (0, 0))
    assert found == ({"run_id": RUN, "is_there": False}, 5)


async def test_a_run_that_stays_queued_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    states: list[list[str] | None] = []

    def count(**given: Any) -> int:
        states.append(given["states"])
        return int(given["states"] != ["success", "failed"])

    monkeypatch.setattr(RuntimeTaskInstance, "get_dr_count", staticmethod(count))
    (event,) = [each async for each in RunEndTrigger("child", RUN, 0.01, 0.05).run()]
    assert event.payload["result"] == {"run_id": RUN, "is_there": True, "is_queued": True}
    assert states.count(["queued"]) > 2


def test_its_arguments_are_stored_and_read_again() -> None:
    path, stored = RunEndTrigger("child", RUN, 3.0).serialize()
    assert path == "openstack_maintenance.triggers.run_end.RunEndTrigger"
    assert RunEndTrigger(**stored, later=1).serialize() == (path, stored)


def resumed(state: str | None) -> Any:
    step = MaintainHostOperator(task_id="maintain_host", planned={"host": "c02", "seconds": 60})
    context = context_of(NIGHT_DAG, run_id="n1", params={})
    ti = context["ti"]
    ti.get_dr_count = lambda **_: int(state is not None)
    ti.get_dagrun_state = lambda *_: DagRunState(state)
    # What Airflow's own trigger says, also to a night that an older release deferred.
    trigger = "airflow.providers.standard.triggers.external_task.DagStateTrigger"
    said: Any = (trigger, {"run_ids": [RUN], RUN: state})
    return step.execute_complete(context, said)


@pytest.mark.parametrize("state", ["queued", "running"])
def test_a_run_that_goes_on_is_followed(state: str) -> None:
    with pytest.raises(TaskDeferred) as waits:
        resumed(state)
    assert isinstance(waits.value.trigger, RunEndTrigger) and waits.value.trigger.run_id == RUN


def test_a_deleted_run_is_a_failed_host_and_says_what_to_do() -> None:
    with pytest.raises(StepFailed, match=r"was deleted while .* stays as it is.* trigger compute_"):
        resumed(None)
