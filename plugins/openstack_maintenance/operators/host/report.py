"""The end of every run: its record, and the reason on a host that stays disabled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from openstack_maintenance.domain.errors import MaintenanceError, PolicyError, RecordUnreadable
from openstack_maintenance.domain.host.record import build_record
from openstack_maintenance.domain.host.record_in_words import summary
from openstack_maintenance.domain.mark import FAILED_AT, Mark
from openstack_maintenance.domain.nights.pace import durations_of
from openstack_maintenance.domain.nights.past_run import failed_before
from openstack_maintenance.domain.ownership import silent_cell
from openstack_maintenance.operators.base import plain
from openstack_maintenance.operators.clock import utc_now
from openstack_maintenance.operators.facts_of_run import errors_of, other_tasks, run_facts
from openstack_maintenance.operators.host.base import HostOperator
from openstack_maintenance.operators.host.debts import Payer
from openstack_maintenance.operators.reporting import Reporting
from openstack_maintenance.records.last_maintenance import write_last_maintenance
from openstack_maintenance.records.store import find_record

DISABLE = "disable_service"


class ReportOperator(Reporting, HostOperator):
    """Write the run's record, good or bad; on a bad end also into Nova's disabled_reason.

    Fails when a task of the run failed: a run must not look green because its report worked.
    """

    def perform(self) -> dict[str, Any]:
        """Gather, write, and mark the host."""
        tasks = other_tasks(self, self._context)
        task_ids = sorted({task["task_id"] for task in tasks})
        mapped = {task["task_id"] for task in tasks if task["map_index"] >= 0}
        record = build_record(
            run=run_facts(self, self._context),
            tasks=tasks,
            results={task_id: self._result(task_id, task_id in mapped) for task_id in task_ids},
            errors=errors_of(self._context, tasks),
            now=utc_now(),
        )
        record["notes"] = self._pay_debts(tasks) + self._mark_host(record["problem"], tasks)
        for note in record["notes"]:
            self.log.warning("%s", note)
        record = self.with_earlier({**record, "failed_before": self._failed_before(record)})
        return self.stored(record, lambda: self._write(record))

    def _write(self, record: dict[str, Any]) -> str:
        where = self.kept(record)
        if record["outcome"] == "done":
            write_last_maintenance(self.policy, record["host"], durations_of(record))
        return where

    def in_one_line(self, record: dict[str, Any]) -> str:
        """How it ended, how long it took, and what was proven."""
        return summary(record)

    def _may_hold_host(self, tasks: Sequence[dict[str, Any]]) -> bool:
        """Whether this run has begun to disable the host, at this try or at an earlier one."""
        states = [task["state"] for task in tasks if task["task_id"] == DISABLE]
        if any(state in ("success", "failed") for state in states):
            return True
        if self.result_of(DISABLE) is not None:
            return True  # of its try before somebody cleared the whole run
        try:
            earlier = find_record(self.policy, self.dag_id_of_run, self.run_id) or {}
        except (PolicyError, RecordUnreadable):
            return True  # not known: then Nova is asked
        evidence = earlier.get("evidence") or {}
        # Of another shape it says nothing, and Nova is asked.
        was_disabled = evidence.get("disabled") if isinstance(evidence, dict) else True
        return bool(was_disabled or earlier.get("notes"))

    def _failed_before(self, record: dict[str, Any]) -> list[dict[str, Any]]:
        """Where this run failed at earlier tries, from the record that this one replaces."""
        try:
            earlier = find_record(self.policy, self.dag_id_of_run, self.run_id)
        except (PolicyError, RecordUnreadable):
            return []  # writing this one says it
        return failed_before(earlier, record)

    def _result(self, task_id: str, is_mapped: bool) -> Any:
        found = self.result_of(task_id)
        # A mapped task's results come as a lazy sequence, but a single one comes by itself.
        if isinstance(found, dict) and is_mapped:
            return [found]
        if found is None or isinstance(found, (dict, str)):
            return found
        return [plain(each) for each in found]

    def _pay_debts(self, tasks: Sequence[dict[str, Any]]) -> list[str]:
        """No end of a run leaves a guest off that it has shut down; or it says so."""
        if self.request.dry_run:
            return []
        host = self.request.host if self._may_hold_host(tasks) else None
        return Payer(lambda: self.nova, self.policy).pay(host, self.mark)

    def _mark_host(self, problem: str | None, tasks: Sequence[dict[str, Any]]) -> list[str]:
        """On a bad end, write the reason where every operator looks. What fails is a note."""
        if problem is None or not self._may_hold_host(tasks):
            return []
        failed = next((task["task_id"] for task in tasks if task["state"] == "failed"), "?")
        text = f"{FAILED_AT} {failed}: {problem}"
        mark = Mark(self.dag_id_of_run, self.run_id, text, kind="failed")
        try:
            service = self.nova.find_service(self.request.host)
            if service is not None and service.is_unknown:
                raise silent_cell(service)
            if service is None or not mark.same_run(service.mark):
                return []
            self.nova.disable(service, str(mark))
        except MaintenanceError as error:
            self.ask_again_later(error)  # a mark that says nothing would let others wait
            return [f"the reason could not be written into Nova: {error}"]
        return [f"host {self.request.host} stays disabled: {mark}"]
