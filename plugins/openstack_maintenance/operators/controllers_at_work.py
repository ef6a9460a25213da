"""Whether a run has a controller out of service now: then no compute host is begun.

Guests that are on their way while a nova-conductor or a broker restarts may be stranded.
`controller_maintenance` looks for compute hosts that are out before each controller, and a compute
host's run looks here after it has disabled its host: of any two, one sees the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.sdk import Context

_DAG = "controller_maintenance"
_CHECK, _REPORT = "check_controllers", "report"
_NOT_ENDED = (None, "scheduled", "queued", "running", "deferred", "up_for_retry", "restarting")


def controllers_at_work(context: Context) -> str | None:
    """The id of a run that has begun, and has not ended; None where there is none."""
    ti: Any = context["ti"]  # the protocol of the SDK leaves this method out
    found = ti.get_task_states(dag_id=_DAG, task_ids=[_CHECK, _REPORT])
    for run_id, states in found.items():
        if states.get(_CHECK) == "success" and states.get(_REPORT) in _NOT_ENDED:
            return str(run_id)
    return None
