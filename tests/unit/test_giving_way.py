"""A run that waits for its window keeps none waiting that ignores it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from openstack_maintenance.domain.errors import CheckFailed
from openstack_maintenance.operators import giving_way
from openstack_maintenance.operators.giving_way import check_nobody_is_urgent

URGENT = {"ignore_window": True}


def check(monkeypatch: pytest.MonkeyPatch, states: dict[str, Any], **runs: Any) -> list[str]:
    """``states``: of each run's report. ``runs``: state and conf. Returns whose conf was read."""
    read: list[str] = []

    def run(dag_id: str, run_id: str) -> Any:
        read.append(run_id)
        state, conf = runs[run_id]
        return SimpleNamespace(state=state, conf=conf)

    monkeypatch.setattr(giving_way, "run_of", run)
    rows = {run_id: {"report": state} for run_id, state in states.items()}
    ti = SimpleNamespace(dag_id="controller_maintenance", get_task_states=lambda **asked: rows)
    context: Any = {"ti": ti, "run_id": "own"}
    check_nobody_is_urgent(context)
    return read


def test_it_gives_way_to_a_run_that_is_queued_and_ignores_the_window(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(CheckFailed, match="gave way to the run r2") as said:
        check(monkeypatch, {"own": None, "r1": "success", "r2": None}, r2=("queued", URGENT))
    assert "Clear the failed task" in str(said.value)


@pytest.mark.parametrize(
    ("state", "conf"),
    [
        ("running", URGENT),
        ("queued", {}),
        ("queued", None),
        ("queued", {"ignore_window": False}),
        ("queued", {"ignore_window": True, "dry_run": True}),
    ],
    ids=["it runs already", "nothing was asked", "no conf", "it waits, too", "a dry run"],
)
def test_nobody_else_is_urgent(monkeypatch: pytest.MonkeyPatch, state: str, conf: Any) -> None:
    assert check(monkeypatch, {"own": None, "r2": None}, r2=(state, conf)) == ["r2"]


def test_runs_that_have_ended_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    assert check(monkeypatch, {"own": None, "r0": "success", "r1": "failed"}) == []
