"""The end of every night: its record, and one sentence where a host's maintenance failed."""

from __future__ import annotations

from typing import Any

from openstack_maintenance.domain.nights.record import build_night_record
from openstack_maintenance.operators.base import plain
from openstack_maintenance.operators.clock import utc_now
from openstack_maintenance.operators.facts_of_run import errors_of, other_tasks, run_facts
from openstack_maintenance.operators.nights.base import (
    APPROVE,
    LEFT_KEY,
    MAINTAIN,
    NIGHT_KEY,
    PLAN,
    SELECT,
    NightlyOperator,
)
from openstack_maintenance.operators.reporting import Reporting
from openstack_maintenance.records.last_maintenance import write_left


class NightReportOperator(Reporting, NightlyOperator):
    """Write the night's record, good or bad. Fails when a task of the run failed."""

    def perform(self) -> dict[str, Any]:
        """Gather and write."""
        tasks = other_tasks(self, self._context)
        ti = self._context["ti"]
        night = dict(ti.xcom_pull(task_ids=PLAN, key=NIGHT_KEY) or {})
        planned = night.get("planned", [])
        record = build_night_record(
            run=run_facts(self, self._context),
            tasks=tasks,
            found={
                "due": self.result_of(SELECT) or [],
                "planned": planned,
                "night": night,
                "done": self._done(),
                "skipped": self._skipped(tasks, planned),
                "no_window": ti.xcom_pull(task_ids=SELECT, key=LEFT_KEY),
            },
            errors=errors_of(self._context, tasks),
            now=utc_now(),
        )
        for each in record["left"]:
            self.log.info("left: %s: %s", each["host"], each["reason"])
        return self.stored(record, lambda: self._write(record, bool(night)))

    def _write(self, record: dict[str, Any], was_planned: bool) -> str:
        where = self.kept(record)
        if was_planned and not self.request.dry_run:
            self._note_left(record)
        return where

    def _note_left(self, record: dict[str, Any]) -> None:
        """For the next night, where they come first."""
        due = {each["host"] for each in record["due"]}
        left = {each["host"] for each in record["left"]} & due
        write_left(self.policy, left, {each["host"] for each in record["done"]}, utc_now())

    def _done(self) -> list[dict[str, Any]]:
        found = self.result_of(MAINTAIN)
        if isinstance(found, dict):  # of a single one Airflow gives the value itself
            found = [found]
        return [plain(each) for each in found or [] if each]

    def _skipped(
        self, tasks: list[dict[str, Any]], planned: list[dict[str, Any]]
    ) -> list[dict[str, Any]]:
        """Hosts that were planned and not started, and why."""
        ti = self._context["ti"]
        if rejected := ti.xcom_pull(task_ids=APPROVE, key=LEFT_KEY):
            return [{"host": each["host"], "reason": rejected} for each in planned]
        places = [
            task["map_index"]
            for task in tasks
            if task["task_id"] == MAINTAIN and task["state"] == "skipped" and task["map_index"] >= 0
        ]
        return [
            {
                "host": planned[place]["host"],
                "reason": ti.xcom_pull(task_ids=MAINTAIN, map_indexes=place, key=LEFT_KEY)
                or "was not started",
            }
            for place in places
        ]
