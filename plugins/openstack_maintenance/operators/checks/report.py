"""The end of a night's checks: the runbook's printed form, the record, and one sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from openstack_maintenance.domain.checks.record import build_checks_record, in_runbook_form
from openstack_maintenance.domain.errors import PolicyError
from openstack_maintenance.operators.checks.base import FOUND_KEY, CheckOperator
from openstack_maintenance.operators.clock import utc_now
from openstack_maintenance.operators.facts_of_run import errors_of, other_tasks, run_facts
from openstack_maintenance.operators.reporting import Reporting
from openstack_maintenance.records.last_check import write_last_checks

if TYPE_CHECKING:
    from openstack_maintenance.domain.checks.night import Span


class ChecksReportOperator(Reporting, CheckOperator):
    """Print every service as the runbook does, write the record, and fail if anything is bad."""

    def perform(self) -> Any:
        """Gather, print, write."""
        tasks = other_tasks(self, self._context)
        record = build_checks_record(
            run=run_facts(self, self._context),
            tasks=tasks,
            found=self._all_found([task["task_id"] for task in tasks]),
            errors=errors_of(self._context, tasks),
            now=utc_now(),
            night=self._night_if_known(),
        )
        try:
            return self.stored(record, lambda: self._write(record))
        finally:  # the record first; what is printed for people comes after it
            self.log.info("\n%s", in_runbook_form(record))

    def _write(self, record: dict[str, Any]) -> str:
        where = self.kept(record)
        self._remember(record)
        return where

    def _all_found(self, task_ids: list[str]) -> dict[str, Any]:
        ti = self._context["ti"]
        found = {
            task_id: ti.xcom_pull(task_ids=task_id, key=FOUND_KEY)
            for task_id in set(task_ids)
            if task_id != "check_controller"
        }
        return {**found, "check_controller": self.controllers_found()}

    def _night_if_known(self) -> Span | None:
        try:
            return self.night
        except PolicyError:
            return None

    def _remember(self, record: dict[str, Any]) -> None:
        """Only what is now is compared with next time."""
        if record["night"] is None:
            seen = {
                each["host"]: {key: each[key] for key in ("boot_id", "clock", "restarts")}
                for each in record["controllers"]
            }
            write_last_checks(self.policy, seen)
