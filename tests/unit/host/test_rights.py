"""What a plan needs to be allowed, and with which instance that is asked."""

from __future__ import annotations

import pytest

from builders import instance
from openstack_maintenance.domain.drain.movability import DrainPlan, Method, Movement
from openstack_maintenance.domain.host import rights
from openstack_maintenance.domain.host.rights import Right, denied_rule, rights_needed

ALWAYS = {rights.UPDATE_SERVICE, rights.LIST_MIGRATIONS}
MOVES = {*ALWAYS, rights.SHOW, rights.LIST_GROUPS}
LIVE = {*MOVES, rights.LIVE, rights.ABORT}
COLD = {*MOVES, rights.COLD_TO_HOST, rights.CONFIRM}


def move(method: Method, vm_state: str, task_state: str | None = None) -> Movement:
    name = f"{method}-{vm_state}"
    return Movement(instance(name, "?", vm_state=vm_state, task_state=task_state), method)


def needed(
    *moves: Movement,
    named: bool = False,
    anywhere: bool = True,
    force: bool = False,
    stop: bool = False,
) -> dict[Right, str | None]:
    plan = DrainPlan(moves=moves, left=(), blockers=())
    found = rights_needed(
        plan, to_named_host=named, to_any_host=anywhere, may_force=force, may_stop=stop
    )
    assert len({each.right for each in found}) == len(found)  # one question a right
    return {each.right: each.instance_id for each in found}


@pytest.mark.parametrize(
    ("moves", "wanted"),
    [
        ((), ALWAYS),
        ((move("live", "active"),), LIVE),
        ((move("live", "active"), move("live", "paused")), LIVE),
        ((move("cold", "stopped"),), COLD),
        ((move("stop", "active"),), COLD),
        ((move("live", "active"), move("cold", "stopped")), LIVE | COLD),
    ],
)
def test_only_what_the_plan_does_is_asked_for(
    moves: tuple[Movement, ...], wanted: set[Right]
) -> None:
    assert needed(*moves).keys() == wanted


def test_where_instances_are_sent_decides_which_right_to_migrate_is_asked_for() -> None:
    one = move("live", "active")
    assert needed(one, named=True, anywhere=False).keys() == LIVE - {rights.LIVE} | {
        rights.LIVE_TO_HOST
    }
    assert needed(one, named=True).keys() == LIVE | {rights.LIVE_TO_HOST}
    assert needed(one, force=True).keys() == LIVE | {rights.FORCE_COMPLETE}


def test_what_may_be_stopped_must_move_cold_and_be_started_again() -> None:
    wanted = {rights.START, rights.COLD_TO_HOST, rights.CONFIRM}
    assert needed(move("live", "active"), stop=True).keys() == LIVE | wanted
    assert needed(move("stop", "active"), stop=True).keys() == MOVES | wanted
    assert needed(move("cold", "stopped"), stop=True).keys() == COLD


def test_each_right_is_asked_for_with_an_instance_that_moves_that_way() -> None:
    asked = needed(move("cold", "stopped"), move("live", "active"))
    assert asked[rights.LIVE] == asked[rights.ABORT] == "live-active"
    assert asked[rights.COLD_TO_HOST] == "cold-stopped"
    # Whether it may be started again is asked while it runs.
    asked = needed(move("cold", "stopped"), move("stop", "active"), stop=True)
    assert asked[rights.START] == "stop-active"


def test_a_confirmation_is_asked_for_with_an_instance_that_cannot_wait_for_one() -> None:
    asked = needed(move("cold", "stopped"), move("live", "active"), move("live", "paused"))
    assert asked[rights.CONFIRM] == "live-paused"
    # One that has a task may be about to be resized: then this is not asked for.
    assert needed(move("cold", "stopped", "resize_prep")).keys() == COLD - {rights.CONFIRM}


@pytest.mark.parametrize(
    ("said", "rule"),
    [
        (
            "Policy doesn't allow os_compute_api:os-x:update to be performed.",
            "os_compute_api:os-x:update",
        ),
        ("Policy does not allow placement:traits:list to be performed", "placement:traits:list"),
        ("Policy doesn't allow it", None),
        ("Quota exceeded for instances", None),
        ("", None),
    ],
)
def test_the_rule_is_read_from_the_refusal(said: str, rule: str | None) -> None:
    assert denied_rule(said) == rule
