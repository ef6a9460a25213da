"""The window at the door of a step: who passes, who waits, and who ends."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from openstack_maintenance.domain.errors import CheckFailed
from openstack_maintenance.domain.policy import Policy
from openstack_maintenance.domain.window import Window
from openstack_maintenance.operators import window_gate
from openstack_maintenance.operators.window_gate import (
    closed_blocker,
    opens_at,
    wait_for_window,
    window_argument,
)


@dataclass(frozen=True)
class Request:
    ignore_window: bool = False


def at(hour: int, minute: int = 0, day: int = 10) -> datetime:
    return datetime(2026, 3, day, hour, minute, tzinfo=UTC)


DAILY = Window("01:00", "02:00")
NEVER = Window(
    exclude=tuple(str((at(0, day=9) + timedelta(days=each)).date()) for each in range(370))
)
LATER = "01:00-02:00 UTC is closed and opens next at 2026-03-11T01:00:00+00:00, later than"
IN_NO_YEAR = "01:00-02:00 UTC is closed and does not open within a year, later than"

# The case, the window, now, whether it is ignored; when the window opens for whoever waits, and
# what is said to who must not wait.
GATES: list[tuple[str, Window, datetime, bool, datetime | None, str | None]] = [
    ("open", DAILY, at(1, 30), False, None, None),
    ("its first moment", DAILY, at(1), False, None, None),
    ("its end", DAILY, at(2), False, at(1, day=11), LATER),
    ("opens within the patience", DAILY, at(0), False, at(1), None),
    ("opens when the patience ends", DAILY, at(21, day=9), False, at(1), None),
    ("opens after the patience", DAILY, at(20, 59), False, at(1, day=11), LATER),
    ("opens never", NEVER, at(1, 30), False, None, IN_NO_YEAR),
    ("closed, ignored", DAILY, at(12), True, None, None),
    ("opens soon, ignored", DAILY, at(0), True, None, None),
    ("opens never, ignored", NEVER, at(1, 30), True, None, None),
]


def table(*columns: str) -> pytest.MarkDecorator:
    """The gates, as columns of these names."""
    names = ("window", "now", "ignore_window", "opens", "said")
    rows = [dict(zip(names, row[1:], strict=True)) for row in GATES]
    return pytest.mark.parametrize(
        columns,
        [
            pytest.param(*(row[name] for name in columns), id=gate[0])
            for gate, row in zip(GATES, rows, strict=True)
        ],
    )


@table("window", "now", "ignore_window", "opens")
def test_when_a_closed_window_opens(
    window: Window, now: datetime, ignore_window: bool, opens: datetime | None
) -> None:
    assert opens_at(Policy(window=window), Request(ignore_window), now) == opens


@table("window", "now", "ignore_window", "said")
def test_only_a_window_that_opens_beyond_the_patience_is_a_blocker(
    window: Window, now: datetime, ignore_window: bool, said: str | None
) -> None:
    policy = Policy(window=window, window_patience="4h")
    blocker = closed_blocker(policy, Request(ignore_window), now)
    if said is None:
        assert blocker is None
    else:
        assert blocker is not None
        assert blocker.subject == "maintenance window"
        assert blocker.reason == f"{said} window_patience (4h) allows"


@dataclass
class Step:
    """What the gate asks of a step."""

    log = logging.getLogger("step")
    waits_until: datetime | None = None

    def defer(self, trigger: Any, method_name: str) -> None:
        assert method_name == "execute_in_window"
        self.waits_until = trigger.moment


@table("window", "now", "ignore_window", "opens", "said")
def test_a_step_waits_for_its_window_or_ends(
    monkeypatch: pytest.MonkeyPatch,
    window: Window,
    now: datetime,
    ignore_window: bool,
    opens: datetime | None,
    said: str | None,
) -> None:
    monkeypatch.setattr(window_gate, "utc_now", lambda: now)
    policy = Policy(window=window, window_patience="4h")
    step: Any = Step()
    if said is None:
        wait_for_window(step, policy, Request(ignore_window))
        # A second later: never a moment too early.
        assert step.waits_until == (opens + timedelta(seconds=1) if opens else None)
    else:
        with pytest.raises(CheckFailed) as refused:
            wait_for_window(step, policy, Request(ignore_window))
        assert said in str(refused.value)
        assert step.waits_until is None


def test_a_step_that_may_have_to_give_way_is_asked_every_two_minutes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = datetime(2026, 3, 10, 0, 55, tzinfo=UTC)
    monkeypatch.setattr(window_gate, "utc_now", lambda: now)
    step: Any = Step()
    asked: list[int] = []
    wait_for_window(step, Policy(), Request(False), lambda: asked.append(1))
    assert asked == [1]
    assert step.waits_until == now + timedelta(minutes=2)
    step.waits_until = None
    wait_for_window(step, Policy(), Request(True), lambda: asked.append(2))
    assert (asked, step.waits_until) == ([1], None)


@pytest.mark.parametrize(
    ("ignore_window", "argument"),
    [
        (
            False,
            {"start": "23:00", "end": "01:30", "timezone": "UTC", "exclude": ["2026-03-11"]},
        ),
        (True, None),
    ],
)
def test_a_trigger_gets_the_window_as_plain_json(
    ignore_window: bool, argument: dict[str, Any] | None
) -> None:
    policy = Policy(window=Window("23:00", "01:30", exclude=("2026-03-11",)))
    assert window_argument(policy, Request(ignore_window)) == argument
