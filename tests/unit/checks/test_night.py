"""Which night a run is about, and by when it must be over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from openstack_maintenance.domain.checks.night import checks_deadline, past_night
from openstack_maintenance.domain.window import Window

WINDOW = Window()
BERLIN = Window(timezone="Europe/Berlin")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}+00:00")


TICK = utc("2026-11-20T01:00")
NIGHT = (TICK, utc("2026-11-20T02:00"))


@pytest.mark.parametrize(
    ("now", "is_backfill", "night"),
    [
        ("2026-11-20T01:00:20", False, None),  # on time
        ("2026-11-20T10:42", False, None),  # late, on its own day: what is now, and said so
        ("2026-11-20T01:30", True, None),  # the night is not over
        ("2026-11-20T02:00", True, NIGHT),
        ("2026-11-20T10:42", True, NIGHT),
        ("2026-11-21T00:10", False, NIGHT),  # a run of yesterday that starts only now
        ("2026-11-24T12:00", True, NIGHT),
        ("2026-11-24T12:00", False, NIGHT),
    ],
)
def test_a_night_that_is_over_is_looked_back_at(
    now: str, is_backfill: bool, night: tuple[datetime, datetime] | None
) -> None:
    assert past_night(WINDOW, TICK, is_backfill, utc(now)) == night


def test_a_run_by_hand_is_about_now() -> None:
    assert past_night(WINDOW, None, False, utc("2026-11-20T10:00")) is None


def test_the_day_is_that_of_the_windows_zone() -> None:
    tick = utc("2026-11-20T00:00")  # 01:00 in Berlin
    assert past_night(BERLIN, tick, False, utc("2026-11-20T22:59")) is None
    assert past_night(BERLIN, tick, False, utc("2026-11-20T23:00")) == (
        tick,
        utc("2026-11-20T01:00"),
    )


def test_a_night_without_a_window_is_the_hour_after_the_tick() -> None:
    window = Window(exclude=("2026-11-20",))
    assert past_night(window, TICK, True, utc("2026-11-22T00:00")) == NIGHT


def test_a_window_across_midnight_is_the_night() -> None:
    window = Window(start="23:00", end="03:00")
    assert past_night(window, TICK, True, utc("2026-11-22T00:00")) == (
        utc("2026-11-19T23:00"),
        utc("2026-11-20T03:00"),
    )


def test_checks_within_the_window_are_over_before_its_end() -> None:
    assert checks_deadline(WINDOW, utc("2026-11-20T01:00:05")) == utc("2026-11-20T01:58")
    assert checks_deadline(WINDOW, utc("2026-11-20T10:00")) is None


def test_a_short_window_leaves_less_for_the_report() -> None:
    window = Window(end="01:01")
    began = datetime(2026, 11, 20, 1, 0, 5, tzinfo=UTC)
    assert checks_deadline(window, began) == utc("2026-11-20T01:01") - timedelta(seconds=6)


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "America/New_York"])
@pytest.mark.parametrize("date", [datetime.min, datetime.max])
def test_a_night_at_the_ends_of_the_calendar_is_no_night_to_look_back_at(
    zone: str, date: datetime
) -> None:
    past_night(Window(timezone=zone), date.replace(tzinfo=UTC), True, utc("2026-11-20T10:42"))
