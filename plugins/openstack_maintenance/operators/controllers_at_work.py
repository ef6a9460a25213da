"""Whether a run has a controller out of service now: then no compute host is begun.

Guests that are on their way while a nova-conductor or a broker restarts may be stranded.
`controller_maintenance` looks for compute hosts that are out before each controller, and a compute
host's run looks here after it has disabled its host: of any two, one sees the other.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from openstack_maintenance.domain.errors import PolicyError
from openstack_maintenance.operators.clock import utc_now
from openstack_maintenance.operators.runs import conf_of
from openstack_maintenance.records.store import find_note

if TYPE_CHECKING:
    from openstack_maintenance.operators.base import MaintenanceOperator

_DAG = "controller_maintenance"
_CHECK, _REPORT = "check_controllers", "report"
_NOTED_WITHIN = timedelta(minutes=10)
_NOT_ENDED = (None, "scheduled", "queued", "running", "deferred", "up_for_retry", "restarting")


def controllers_at_work(step: MaintenanceOperator) -> str | None:
    """The id of a run that has begun, and has not ended; None where there is none."""
    ti: Any = step._context["ti"]  # the protocol of the SDK leaves this method out
    found = ti.get_task_states(dag_id=_DAG, task_ids=[_CHECK, _REPORT])
    for run_id, states in found.items():
        has_begun = states.get(_CHECK) == "success" and states.get(_REPORT) in _NOT_ENDED
        if has_begun and not _waits_for_its_window(step, str(run_id)):
            return str(run_id)
    return None


def _waits_for_its_window(step: MaintenanceOperator, run_id: str) -> bool:
    """Whether it has changed nothing, and may not yet: once it may, it looks at the hosts first."""
    now, window = utc_now(), step.policy.window
    # What began in the window's last moment may not be noted yet.
    if window.current(now) is not None or window.current(now - _NOTED_WITHIN) is not None:
        return False
    if conf_of(_DAG, run_id).get("ignore_window") is True:
        return False
    try:
        notes = [
            find_note(step.policy, _DAG, run_id, f"before-{each.host}")
            for each in step.policy.controllers
        ]
    except PolicyError:  # what cannot be read counts as begun
        return False
    return not any(notes)
