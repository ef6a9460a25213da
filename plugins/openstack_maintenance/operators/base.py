"""What every step shares: the policy, the cloud, the window, and how it tells what went wrong."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.triggers.temporal import DateTimeTrigger
from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from openstack_maintenance.adapters.policy_file import read_deployment, read_policy
from openstack_maintenance.domain.blocker import Blocker, in_words
from openstack_maintenance.domain.errors import (
    Blocked,
    MaintenanceError,
    PolicyError,
    error_payload,
)
from openstack_maintenance.domain.foreign_text import storable
from openstack_maintenance.domain.moment import read_moment
from openstack_maintenance.hooks.cloud_hook import CLOUD_CONN_ID, CloudHook
from openstack_maintenance.operators.clock import utc_now
from openstack_maintenance.operators.giving_way import check_nobody_is_urgent
from openstack_maintenance.operators.silence import Silence, gives_no_answer, is_passing
from openstack_maintenance.operators.window_gate import HeldToWindow, wait_for_window

if TYPE_CHECKING:
    from airflow.sdk import Context

    from openstack_maintenance.adapters.nova import Nova
    from openstack_maintenance.domain.deployment import Deployment
    from openstack_maintenance.domain.policy import Policy

SSH_CONN_ID = "openstack_ssh"
ERROR_KEY = "error"
# What a move did before it failed: a list for the record.
STEPS_KEY = "steps"
_LONGEST_NAME = 200


class StepFailed(AirflowFailException):
    """A step ended for good: the sentence says why and what to do; a retry would not help."""


class MaintenanceOperator(BaseOperator):
    """One step of a run. Subclasses say in ``perform`` what it does, and raise MaintenanceError.

    The error's sentence goes into the log, into the XCom ``error`` (for the record) and, by the
    report, into Nova's disabled_reason. A cloud or a host that does not answer is asked again, from
    the step's beginning, for the policy's ``api_patience``; everything else ends the task. So each
    step must be one that may be begun again: it looks before it acts.

    ``unchanged``: what a pre-check promises at the end of each of its errors.
    ``waits_for_window``: the step changes something; outside the window it waits, in no slot.
    ``gives_way``: only one run of its DAG goes on at a time, so while it waits for the window it
    keeps none waiting that ignores it.
    ``asks_again``: false where silence is itself what the step is to report, or is left to the
    task's ``retries``.
    ``runs_when``: its trigger rule.
    """

    unchanged = ""
    waits_for_window = False
    gives_way = False
    asks_again = True
    runs_when = "all_success"
    _silence: Silence | None = None  # one that has gone on since an earlier look
    request: HeldToWindow  # what the run was asked; each chapter has its own

    def __init__(
        self,
        *,
        cloud_conn_id: str = CLOUD_CONN_ID,
        ssh_conn_id: str = SSH_CONN_ID,
        retries: int = 1,
        retry_delay: timedelta = timedelta(seconds=5),
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("doc_md", inspect.getdoc(type(self)))
        kwargs.setdefault("trigger_rule", self.runs_when)
        # One retry at least: a deferral that ends at once can be mistaken for a lost task.
        super().__init__(retries=retries, retry_delay=retry_delay, **kwargs)
        self.cloud_conn_id = cloud_conn_id
        self.ssh_conn_id = ssh_conn_id

    def execute(self, context: Context) -> Any:
        """Do the step once; Airflow calls this."""
        self._context = context
        return self._carried_out(self.begin)

    def execute_complete(self, context: Context, event: Mapping[str, Any]) -> Any:
        """Go on after a trigger: with what it found, or with what went wrong."""
        self._context = context
        return self._carried_out(lambda: self._resumed(event))

    def _resumed(self, event: Mapping[str, Any]) -> Any:
        if ERROR_KEY in event:
            raise error_of(event[ERROR_KEY])
        return self.resume(event)

    def _carried_out(self, step: Callable[[], Any]) -> Any:
        try:
            return storable(step())
        except MaintenanceError as error:
            self.ask_again_later(error)
            raise self._told(error) from None
        finally:
            self._silence = None

    def ask_again_later(self, error: MaintenanceError) -> None:
        """Leave the step until later, when nobody answered and ``api_patience`` is not over.

        Afterwards the step begins again. Nothing, where asking again would not help, or has not:
        then the error says since when nobody answers.
        """
        if not (self.asks_again and gives_no_answer(error)):
            return
        try:
            patience = self.policy.length("api_patience")
        except PolicyError:
            return
        silence = self._silence or self.begun_silence()
        if silence.is_over(patience, utc_now()):
            error.found = silence.in_words(error.found, self.policy.api_patience, utc_now())
            if "clear" not in error.remedy.casefold():
                error.remedy = f"{error.remedy} Then clear this task."
            return
        self.log.warning("%s", silence.plan_in_words(error, patience))
        self.wait_in_silence(silence, error)

    def begun_silence(self) -> Silence:
        """The silence that this look may be a part of; by default it begins now."""
        return Silence(utc_now())

    def wait_in_silence(self, silence: Silence, error: MaintenanceError) -> None:
        """Wait a little, in no worker slot, and begin again."""
        self.defer(
            trigger=DateTimeTrigger(silence.next_look(utc_now())),
            method_name="ask_again",
            kwargs={"silent_since": silence.since.isoformat()},
        )

    def ask_again(
        self, context: Context, event: Any = None, silent_since: str = "", **later: Any
    ) -> Any:
        """Begin again after nobody had answered. ``silent_since``: ISO 8601, since when."""
        since = read_moment(silent_since)
        self._silence = Silence(since) if since else None
        return self.execute(context)

    def begin(self) -> Any:
        """Wait for what must be waited for, then perform. Raises: MaintenanceError."""
        if self.waits_for_window:
            self.wait_for_window()
        self.wait_for_others()
        return self.perform()

    def wait_for_others(self) -> None:
        """Wait, in no worker slot, for what other runs do; by default for nothing."""

    def wait_for_window(self) -> None:
        """Wait, in no worker slot, while the window is closed. Raises: CheckFailed."""
        may_wait = partial(check_nobody_is_urgent, self._context) if self.gives_way else None
        wait_for_window(self, self.policy, self.request, may_wait)

    def look_again(self, context: Context, event: Mapping[str, Any] | None = None) -> Any:
        """Some time has passed, or the window has opened: from the beginning."""
        return self.execute(context)

    # The name with which a task is stored that waits for its window: older releases know it, too.
    execute_in_window = look_again

    def perform(self) -> Any:
        """The step itself; the run's context is in ``self``. Raises: MaintenanceError."""
        raise NotImplementedError(f"{type(self).__name__} must say what it does in perform()")

    def resume(self, event: Mapping[str, Any]) -> Any:
        """Go on after a trigger's event that is not an error; by default its result counts."""
        return event.get("result")

    def _told(self, error: MaintenanceError) -> BaseException:
        promised = self.unchanged.casefold().rstrip(".")
        if promised not in str(error).casefold():
            error.remedy = f"{error.remedy} {self.unchanged}"
        self.log.error("%s", error)
        self.tell(ERROR_KEY, error_payload(error))
        # After a silence that was waited for, a retry would only wait once more.
        is_worth_a_retry = is_passing(error) and not (self.asks_again and gives_no_answer(error))
        return error if is_worth_a_retry else StepFailed(str(error))

    def tell(self, key: str, value: Any) -> None:
        """Hand something on to later steps beside the result, as every database takes it."""
        self._context["ti"].xcom_push(key=key, value=storable(value))

    @cached_property
    def policy(self) -> Policy:
        """The policy in force when the step runs."""
        return read_policy()

    @cached_property
    def deployment(self) -> Deployment:
        """The flavour that the policy names."""
        return read_deployment(self.policy)

    @property
    def params_given(self) -> dict[str, Any]:
        """The run's params as they came, unknown keys included."""
        return dict(self._context["params"])

    @cached_property
    def nova(self) -> Nova:
        """The cloud."""
        return CloudHook(self.cloud_conn_id).get_conn()

    @property
    def run_id(self) -> str:
        """The DAG run's id."""
        return str(self._context["run_id"])

    @property
    def dag_id_of_run(self) -> str:
        """The DAG's id."""
        return str(self._context["ti"].dag_id)

    def refuse(self, subject: str, blockers: Iterable[Blocker], then: str) -> None:
        """End with every blocker there is; ``then`` says what was not changed.

        Raises: Blocked, unless there is none.
        """
        found = list(dict.fromkeys(blockers))
        if len(found) == 1:
            only = found[0]
            raise Blocked(only.subject, only.reason, f"{only.remedy} {then}")
        if found:
            listed = in_words(found)
            error = Blocked(
                subject,
                f"{then.rstrip('.')}, for {len(found)} reasons",
                f"Remove them, then run again:\n{listed}",
            )
            if listed not in error.remedy:  # an error has a limit, the log has none
                self.log.error("All %s reasons:\n%s", len(found), listed)
            raise error

    def result_of(self, task_id: str) -> Any:
        """What an earlier task of this run returned."""
        return plain(self._context["ti"].xcom_pull(task_ids=task_id))


def map_name(expression: str) -> str:
    """A map_index_template: a mapped task's name in the UI, as long as Airflow's database takes it.

    That is 250 characters (TaskInstance.rendered_map_index). A name that is longer would cost the
    task its end, and what it said.
    """
    return f"{{{{ ({expression}) | string | truncate({_LONGEST_NAME}, True, '...', 0) }}}}"


def plain(value: Any) -> Any:
    """An XCom as it was meant. What a trigger's TaskSuccessEvent hands over is stored by Airflow
    3.3 as JSON within JSON (models/trigger.py pushes it through XComModel.serialize_value).
    """
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):  # a text that only begins like JSON
            return value
    return value


def error_of(said: Any) -> MaintenanceError:
    """What a trigger or a task said went wrong, whatever release wrote it."""
    parts = said if isinstance(said, Mapping) else {"found": said}
    return MaintenanceError(
        str(parts.get("subject") or "this step"),
        str(parts.get("found") or "its wait ended without an error message"),
        str(parts.get("remedy") or "See the triggerer's log, then clear it with Downstream."),
    )
