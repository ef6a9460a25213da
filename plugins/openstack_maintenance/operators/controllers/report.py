"""The end of every run of controller_maintenance: its record, and one sentence."""

from __future__ import annotations

from typing import Any

from openstack_maintenance.domain.controllers.record import STEPS, build_controller_record
from openstack_maintenance.domain.errors import PolicyError, RecordUnreadable
from openstack_maintenance.operators.base import plain
from openstack_maintenance.operators.clock import utc_now
from openstack_maintenance.operators.controllers.base import CHECK, GROUP, ControllersOperator
from openstack_maintenance.operators.controllers.check_controllers import PLAN_KEY
from openstack_maintenance.operators.controllers.notes import is_note
from openstack_maintenance.operators.facts_of_run import errors_of, other_tasks, run_facts
from openstack_maintenance.operators.reporting import Reporting
from openstack_maintenance.records.store import find_note


class ControllersReportOperator(Reporting, ControllersOperator):
    """Write the run's record, good or bad. Fails when a task of the run failed."""

    def perform(self) -> dict[str, Any]:
        """Gather and write."""
        tasks = other_tasks(self, self._context)
        told = self._context["ti"].xcom_pull(task_ids=CHECK, key=PLAN_KEY)
        plan = None if told is None else {each.pop("host"): each for each in map(dict, told)}
        record = build_controller_record(
            run=run_facts(self, self._context),
            tasks=tasks,
            plan=plan,
            controllers=[self._controller(place, host) for place, host in enumerate(plan or {})],
            errors=errors_of(self._context, tasks),
            now=utc_now(),
        )
        return self.stored(record, lambda: self._write(record))

    def _write(self, record: dict[str, Any]) -> str:
        return self.kept(self.with_earlier(record))

    def _controller(self, place: int, host: str) -> dict[str, Any]:
        """The evidence of one controller, and all instances before and after it."""
        ti = self._context["ti"]
        pulled = {
            step: plain(ti.xcom_pull(task_ids=f"{GROUP}.{step}", map_indexes=place))
            for step in STEPS
        }
        return {
            "host": host,
            "evidence": {step: result for step, result in pulled.items() if result},
            "before": self._instances("before", host),
            "after": self._instances("after", host),
        }

    def _instances(self, which: str, host: str) -> dict[str, Any] | None:
        try:
            found = find_note(self.policy, self.dag_id_of_run, self.run_id, f"{which}-{host}")
        except (PolicyError, RecordUnreadable):
            return None
        return {key: found[key] for key in ("at", "instances")} if is_note(found) else None
