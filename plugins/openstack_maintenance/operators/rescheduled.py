"""Waiting that holds neither a worker slot nor a place among the tasks that may run at a time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowRescheduleException
from airflow.sdk.execution_time.context import NEVER_EXPIRE

from openstack_maintenance.domain.moment import read_moment
from openstack_maintenance.operators.clock import utc_now
from openstack_maintenance.operators.silence import LONGEST, Silence

if TYPE_CHECKING:
    from openstack_maintenance.domain.errors import MaintenanceError
    from openstack_maintenance.operators.base import MaintenanceOperator as _Step
else:
    _Step = object  # no operator of its own: whose step it is, the chapter says

# Nobody asks for so long only where another wait has come between: that silence was over.
_GAP = LONGEST + timedelta(minutes=5)


class Rescheduled(_Step):
    """Mixed into a step of which only some may run at a time.

    Airflow counts a deferred task as one that runs (ti_deps/dependencies_states.py): while it
    waited, others could not begin, and nothing would say why. A step that is "up for reschedule"
    is not counted, and begins again later. What it knows of a silence is kept in Airflow's store.
    """

    def begun_silence(self) -> Silence:
        """The silence that the looks before this one have noted."""
        noted = self._context["task_state_store"].get(self._silence_key)
        found = noted if isinstance(noted, Mapping) else {}
        since, asked_at = read_moment(found.get("since")), read_moment(found.get("asked_at"))
        if since is None or asked_at is None or utc_now() - asked_at > _GAP:
            return Silence(utc_now())
        return Silence(since)

    def wait_in_silence(self, silence: Silence, error: MaintenanceError) -> None:
        """Begin again a little later."""
        now = utc_now()
        noted: dict[str, Any] = {"since": silence.since.isoformat(), "asked_at": now.isoformat()}
        self._context["task_state_store"].set(self._silence_key, noted, retention=NEVER_EXPIRE)
        raise AirflowRescheduleException(silence.next_look(now))

    @property
    def _silence_key(self) -> str:
        # Of this try: a step that is cleared has all its patience again.
        return f"silence at try {self._context['ti'].try_number}"
