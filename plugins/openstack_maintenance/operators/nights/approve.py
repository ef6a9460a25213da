"""A person's word before a night begins, where the policy wants it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.exceptions import HITLTimeoutError
from airflow.providers.standard.operators.hitl import HITLOperator

from openstack_maintenance.adapters.policy_file import read_policy
from openstack_maintenance.domain.foreign_text import storable
from openstack_maintenance.operators.base import StepFailed, plain
from openstack_maintenance.operators.clock import utc_now
from openstack_maintenance.operators.nights.base import LEFT_KEY, PLAN, WORDS_KEY

if TYPE_CHECKING:
    from airflow.sdk import Context

APPROVE, REJECT = "Approve", "Reject"
# Where the run ignores the window.
_PATIENCE = timedelta(hours=1)


class ApproveNightOperator(HITLOperator):
    """Hand on the planned hosts; where the policy's ``approval`` wants it, when a person says so.

    Returns: what plan returned, or nothing when it was rejected. Raises: StepFailed, when nobody
    has answered by the window's end.
    """

    def __init__(self, **kwargs: Any) -> None:
        # Airflow takes a task for lost that is answered within moments: it asks again then.
        super().__init__(
            subject="Tonight's maintenance of compute hosts",
            options=[APPROVE, REJECT],
            retries=1,
            retry_delay=timedelta(seconds=5),
            **kwargs,
        )

    @property
    def serialized_params(self) -> dict[str, Any]:
        """None: the run's params are not asked for a second time."""
        return {}

    def execute(self, context: Context) -> Any:
        """Ask, unless there is nothing to ask, or nobody wants to be asked."""
        policy, planned = read_policy(), _planned(context)
        if not planned or not policy.approval:
            return planned
        words = context["ti"].xcom_pull(task_ids=PLAN, key=WORDS_KEY)
        self.body = f"```\n{words}\n```"
        span = policy.window.current(utc_now())
        self.response_timeout = span[1] - utc_now() if span else _PATIENCE
        return super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Go on with the answer."""
        try:
            answer = super().execute_complete(context, event)
        except HITLTimeoutError as error:
            raise StepFailed(
                "nightly maintenance: nobody approved the plan in time. Nothing was changed. "
                "Trigger the DAG again, or set approval: false in the policy."
            ) from error
        if APPROVE in answer["chosen_options"]:
            return _planned(context)
        user = (answer["responded_by_user"] or {}).get("name", "a person")
        context["ti"].xcom_push(key=LEFT_KEY, value=storable(f"{user} rejected the plan"))
        return []


def _planned(context: Context) -> list[dict[str, Any]]:
    return [plain(each) for each in context["ti"].xcom_pull(task_ids=PLAN) or []]
