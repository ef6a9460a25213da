"""What the last step of every run has in common, whatever the run was about."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from openstack_maintenance.domain.errors import PolicyError
from openstack_maintenance.operators.base import MaintenanceOperator, StepFailed
from openstack_maintenance.operators.run_record import find_record

if TYPE_CHECKING:
    from airflow.sdk import Context


class RunFailed(StepFailed):
    """The run did not do what was asked, or found something bad: the sentence says what to do."""


class ReportingOperator(MaintenanceOperator):
    """A step that runs at every end, good or bad, and ends in the same way as its run.

    ``perform`` returns outcome, problem (the sentence, or None) and record (where it is).
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(trigger_rule="all_done", **kwargs)

    def execute(self, context: Context) -> Any:
        """Tell how it ended, then end in the same way: no run looks green because of this."""
        result = super().execute(context)
        if result["problem"]:
            self.log.error("%s", result["problem"])
            raise RunFailed(result["problem"])
        return result

    def with_earlier(self, record: dict[str, Any]) -> dict[str, Any]:
        """The record of a rerun that found its work done: what the run did then is kept.

        Raises: PolicyError.
        """
        if record["outcome"] != "already_done":
            return record
        earlier = find_record(self.policy, self.dag_id_of_run, self.run_id)
        return {**(earlier or record), "outcome": "already_done"}

    def stored(self, record: dict[str, Any], store: Callable[[], str]) -> dict[str, Any]:
        """The step's result, once ``store`` has kept the record and said where.

        Where the policy cannot be read and the record says so, that is the result. Raises:
        PolicyError.
        """
        try:
            where = store()
        except PolicyError:
            if record["problem"]:
                return {"outcome": "failed", "problem": record["problem"], "record": None}
            raise
        self.log.info("%s; record: %s", record["outcome"], where)
        return {"outcome": record["outcome"], "problem": record["problem"], "record": where}
