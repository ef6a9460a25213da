"""What every check of a night shares: its time, what it hands on, and how it fails."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from openstack_maintenance.domain.checks.finding import (
    Finding,
    faults_in_words,
    read_finding,
    worst,
)
from openstack_maintenance.domain.checks.night import checks_deadline, past_night
from openstack_maintenance.domain.errors import CheckFailed
from openstack_maintenance.operators.base import MaintenanceOperator
from openstack_maintenance.operators.clock import utc_now

if TYPE_CHECKING:
    from openstack_maintenance.domain.checks.night import Span

FOUND_KEY = "found"
_LONGEST = timedelta(minutes=5)


class StillOut(BaseException):
    """A check's time is over; no library may take this for an error of its own."""


class CheckOperator(MaintenanceOperator):
    """One check of a run: look, judge, and fail where something is bad; changes nothing.

    What was found goes into the XCom ``found`` before that, so that the report has all of it.
    A run about a past night does not look at today: such a check is skipped, unless it says
    in ``look_back`` what can be known. Silence is what a check is there to find: it is not waited
    for until it passes.
    """

    asks_again = False

    def perform(self) -> str:
        """Look within the time there is, hand on what was found, and judge it."""
        night = self.night
        with self._time_limit():
            found = self.look() if night is None else self.look_back(night)
        self.tell(FOUND_KEY, found)
        findings = [read_finding(each) for each in found["findings"]]
        for finding in findings:
            self.log.info("%s", finding)
        if faults := faults_in_words(findings):
            raise CheckFailed(self.subject(), faults, self.remedy())
        return worst(findings)

    def look(self) -> dict[str, Any]:
        """What is now, as plain JSON; ``findings`` are judged. Raises: MaintenanceError."""
        raise NotImplementedError(f"{type(self).__name__} must say what it looks at in look()")

    def look_back(self, night: Span) -> dict[str, Any]:
        """What can be proven about a past night; nothing, as long as nobody keeps a history."""
        raise AirflowSkipException(
            f"Unknown for a past night ({night[0].isoformat()} to {night[1].isoformat()}): "
            "today's answer says nothing about it."
        )

    def subject(self) -> str:
        """What the check is about, for its error."""
        return self.task_id

    def remedy(self) -> str:
        """What to do when it fails."""
        return "See include/runbooks/controller_checks.md."

    @cached_property
    def night(self) -> Span | None:
        """The past night that the run is about; None where it is about now."""
        dag_run = self._context["dag_run"]
        is_backfill = str(getattr(dag_run.run_type, "value", dag_run.run_type)) == "backfill"
        return past_night(self.policy.window, dag_run.logical_date, is_backfill, utc_now())

    @contextmanager
    def _time_limit(self) -> Iterator[None]:
        """End the look when the window's end is near, or when it took too long."""
        deadline = self._deadline()
        left = (deadline - utc_now()).total_seconds() if deadline else _LONGEST.total_seconds()
        if left <= 0:
            raise self._late(deadline)
        former = signal.signal(signal.SIGALRM, _ring)
        signal.setitimer(signal.ITIMER_REAL, min(left, _LONGEST.total_seconds()))
        try:
            yield
        except StillOut:
            raise self._late(deadline) from None
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, former)

    def _deadline(self) -> datetime | None:
        began = self._context["dag_run"].start_date
        if began is None or self.night is not None:
            return None
        return checks_deadline(self.policy.window, began)

    def _late(self, deadline: datetime | None) -> CheckFailed:
        when = f"when the window {self.policy.window} was about to end" if deadline else ""
        return CheckFailed(
            self.subject(),
            f"still running {when}".rstrip() if when else f"no answer within {_LONGEST}",
            "Find out what is slow, then run the checks again.",
        )

    def controllers_found(self) -> list[dict[str, Any]]:
        """What check_controller handed on, of every controller that could be read."""
        found = self._context["ti"].xcom_pull(task_ids="check_controller", key=FOUND_KEY)
        if isinstance(found, Mapping):  # of a single one Airflow gives the value itself
            found = [found]
        return [dict(each) for each in found or [] if each]


def _ring(signum: int, frame: object) -> None:
    raise StillOut


def plain_finding(finding: Finding) -> dict[str, Any]:
    """A finding as plain JSON."""
    return {**asdict(finding), "journal": list(finding.journal)}
