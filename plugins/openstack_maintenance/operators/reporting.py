"""What the last step of every run has in common, whatever the run was about."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from openstack_maintenance.domain.errors import PolicyError, RecordUnreadable
from openstack_maintenance.operators.base import StepFailed
from openstack_maintenance.records.page import page_of
from openstack_maintenance.records.store import find_record, write_page, write_record

if TYPE_CHECKING:
    from airflow.sdk import Context

    from openstack_maintenance.operators.base import MaintenanceOperator as _Step
else:
    _Step = object  # no operator of its own: whose step it is, the chapter says


class RunFailed(StepFailed):
    """The run did not do what was asked, or found something bad: the sentence says what to do."""


class Reporting(_Step):
    """Mixed into a chapter's step: it runs at every end, good or bad, and ends as its run does.

    ``perform`` returns outcome, problem (the sentence, or None) and record (where it is).
    """

    runs_when = "all_done"

    def execute(self, context: Context) -> Any:
        """Tell how it ended, then end in the same way: no run looks green because of this."""
        result = super().execute(context)
        if result["problem"]:
            self.log.error("%s", result["problem"])
            raise RunFailed(result["problem"])
        return result

    def with_earlier(self, record: dict[str, Any]) -> dict[str, Any]:
        """The record of a rerun that found its work done: what the run did then is kept.

        Raises: RecordUnreadable; PolicyError.
        """
        if record["outcome"] != "already_done":
            return record
        earlier = find_record(self.policy, self.dag_id_of_run, self.run_id) or {}
        now = {"outcome": "already_done", "problem": record["problem"]}
        return {**record, **earlier, **now}

    def kept(self, record: dict[str, Any]) -> str:
        """Store the record, then its page: no fault of a page may cost the record or the run.

        Returns where. Raises: RecordUnreadable; PolicyError.
        """
        where = write_record(self.policy, record)
        try:
            write_page(self.policy, record, page_of(record))
        except Exception:  # whatever it is: the JSON has all, and the run's end must be told
            self.log.exception("record %s is written, but its page could not be made", where)
        return where

    def in_one_line(self, record: dict[str, Any]) -> str:
        """How the run ended, for the log."""
        return str(record["outcome"])

    def stored(self, record: dict[str, Any], store: Callable[[], str]) -> dict[str, Any]:
        """The step's result, once ``store`` has kept the record and said where.

        Where it cannot be kept and the run has failed anyway, for this or for another reason,
        that is the result. Raises: RecordUnreadable; PolicyError.
        """
        try:
            where = store()
        except (PolicyError, RecordUnreadable) as error:
            if record["problem"]:
                self.log.error("the record could not be written: %s", error)
                return {"outcome": "failed", "problem": record["problem"], "record": None}
            raise
        self.log.info("%s; record: %s", self.in_one_line(record), where)
        return {"outcome": record["outcome"], "problem": record["problem"], "record": where}
