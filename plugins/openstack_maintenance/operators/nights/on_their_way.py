"""Hosts of a night that have been given their turn, and that Nova does not show as out yet.

Where several hosts may be out at a time, several tasks may look in the same second; each would see
nobody out, and send its instances to the other's host. So a turn is written down before it is
taken, and then it is looked whose turns the others have written: of any two, one sees the other.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from openstack_maintenance.operators.clock import utc_now
from openstack_maintenance.operators.night_link import CHILD_DAG
from openstack_maintenance.records.turn import find_turn

if TYPE_CHECKING:
    from openstack_maintenance.operators.nights.maintain_host import MaintainHostOperator

# Of a task that is about to start its host's run; it may be tried again.
_IS_STARTING = frozenset({"queued", "running", "restarting", "up_for_retry", "up_for_reschedule"})
_MAY_HAVE_A_RUN = _IS_STARTING | {"deferred", "failed"}
# So long after its turn was written a task may still start its run. Later it has died before.
_STARTS_WITHIN = timedelta(minutes=2)


def on_their_way(step: MaintainHostOperator, out: Collection[str]) -> list[str]:
    """Their names. ``out``: hosts that Nova shows as out."""
    if step.policy.max_hosts_out == 1:
        return []  # no other task of the night is at work
    states = _states(step)
    found = {
        host: states.get(f"{step.task_id}_{place}")
        for place, host in enumerate(step.all_planned())
        if host != step.host and host not in out
    }
    return [
        host
        for host, state in found.items()
        if state in _MAY_HAVE_A_RUN and _is_on_its_way(step, host, state)
    ]


def _states(step: MaintainHostOperator) -> dict[str, Any]:
    ti: Any = step._context["ti"]  # the protocol of the SDK leaves this method out
    asked = {"dag_id": ti.dag_id, "task_ids": [step.task_id], "run_ids": [step.run_id]}
    found: dict[str, Any] = ti.get_task_states(**asked).get(step.run_id, {})
    return found


def _is_on_its_way(step: MaintainHostOperator, host: str, state: str) -> bool:
    run_id = step.child_run_id(host)
    given_at = find_turn(step.policy, CHILD_DAG, run_id).given_at
    if given_at is None:
        return False
    if step.state_of(run_id) in ("queued", "running"):
        return True
    return state in _IS_STARTING and utc_now() - given_at < _STARTS_WITHIN
