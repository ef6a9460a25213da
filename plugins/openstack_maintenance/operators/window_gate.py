"""The window at the door of every step that changes something."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, Protocol

from airflow.providers.standard.triggers.temporal import DateTimeTrigger

from openstack_maintenance.domain.blocker import Blocker
from openstack_maintenance.domain.errors import CheckFailed
from openstack_maintenance.domain.policy import Policy
from openstack_maintenance.operators.base import MaintenanceOperator, utc_now


class HeldToWindow(Protocol):
    """What a run was asked, as far as the window goes."""

    @property
    def ignore_window(self) -> bool: ...


class ChangingOperator(MaintenanceOperator):
    """A step that changes something: outside the window it waits, without a worker slot.

    It waits only for an opening within the policy's ``window_patience``, else it ends saying so.
    Subclasses say in ``change`` what they do; it runs only while the window is open.
    """

    def perform(self) -> Any:
        """Wait for the window if need be, then change."""
        blocker = closed_blocker(self.policy, self.held, utc_now())
        if blocker is not None:
            raise CheckFailed(blocker.subject, blocker.reason, blocker.remedy)
        opening = opens_at(self.policy, self.held, utc_now())
        if opening is not None:
            self.log.info("The window is closed; waiting until %s.", opening.isoformat())
            self.defer(
                trigger=DateTimeTrigger(opening + timedelta(seconds=1)),
                method_name="execute_in_window",
            )
        return self.change()

    @property
    def held(self) -> HeldToWindow:
        """The run's request."""
        return self.request

    def execute_in_window(self, context: Any, event: Mapping[str, Any] | None = None) -> Any:
        """The window has opened: look again, then change."""
        return self.execute(context)

    def change(self) -> Any:
        """The change itself. Raises: MaintenanceError."""
        raise NotImplementedError(f"{type(self).__name__} must say what it does in change()")


def opens_at(policy: Policy, request: HeldToWindow, now: datetime) -> datetime | None:
    """When a closed window opens; None while changes are allowed."""
    if request.ignore_window or policy.window.current(now) is not None:
        return None
    return policy.window.next_opening(now)


def closed_blocker(policy: Policy, request: HeldToWindow, now: datetime) -> Blocker | None:
    """The window as a blocker: it is closed and does not open within the patience."""
    if request.ignore_window or policy.window.current(now) is not None:
        return None
    opening = policy.window.next_opening(now)
    patience = timedelta(seconds=policy.seconds("window_patience"))
    if opening is not None and opening - now <= patience:
        return None
    when = f"opens next at {opening.isoformat()}" if opening else "does not open within a year"
    return Blocker(
        "maintenance window",
        f"{policy.window} is closed and {when}, later than window_patience "
        f"({policy.window_patience}) allows",
        "Run again within the window, or with ignore_window=true and a reason.",
    )


def window_argument(policy: Policy, request: HeldToWindow) -> dict[str, Any] | None:
    """The window as a trigger's argument; None when the run ignores it."""
    if request.ignore_window:
        return None
    return {**asdict(policy.window), "exclude": list(policy.window.exclude)}
