"""The window at the door of every step that changes something."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from airflow.providers.standard.triggers.temporal import DateTimeTrigger

from openstack_maintenance.domain.blocker import Blocker
from openstack_maintenance.domain.errors import CheckFailed
from openstack_maintenance.domain.policy import Policy
from openstack_maintenance.operators.clock import utc_now

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator


_ASKS_EVERY = timedelta(minutes=2)


class HeldToWindow(Protocol):
    """What a run was asked, as far as the window goes."""

    @property
    def ignore_window(self) -> bool: ...


def wait_for_window(
    step: BaseOperator,
    policy: Policy,
    request: HeldToWindow,
    may_wait: Callable[[], None] | None = None,
) -> None:
    """Defer a step until the window opens; nothing where it is open, or is to be ignored.

    It waits only for an opening within the policy's ``window_patience``. ``may_wait`` is asked
    every two minutes, and raises where it must not. Raises: CheckFailed.
    """
    if opening := awaited_opening(policy, request):
        step.log.info("The window is closed; waiting until %s.", opening.isoformat())
        if may_wait:
            may_wait()
            opening = min(opening, utc_now() + _ASKS_EVERY)
        step.defer(trigger=DateTimeTrigger(opening), method_name="execute_in_window")


def awaited_opening(policy: Policy, request: HeldToWindow) -> datetime | None:
    """When a step may begin that must wait for the window; None where it need not.

    Raises: CheckFailed, where the window does not open within the policy's ``window_patience``.
    """
    now = utc_now()
    if blocker := closed_blocker(policy, request, now):
        raise CheckFailed(blocker.subject, blocker.reason, blocker.remedy)
    opening = opens_at(policy, request, now)
    # A second later: never a moment too early.
    return opening + timedelta(seconds=1) if opening else None


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
    patience = policy.length("window_patience")
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
