"""Which night a run is about, and by when it must be over."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from openstack_maintenance.domain.window import Window

Span = tuple[datetime, datetime]

# Where the window says nothing about a night (an excluded date), the runbook's hour counts.
_HOUR = timedelta(hours=1)
_LONGEST_MARGIN = timedelta(minutes=2)


def past_night(
    window: Window, logical_date: datetime | None, is_backfill: bool, now: datetime
) -> Span | None:
    """The night that a run looks back at; None where it is to look at what is now.

    A scheduled run that starts late on its own day looks at what is now, and its record says
    when that was; a run of an earlier day, and a backfill of a night that is over, look back.
    """
    if logical_date is None:
        return None
    try:
        opens, closes = window.current(logical_date) or (logical_date, logical_date + _HOUR)
        zone = ZoneInfo(window.timezone)
        earlier_day = logical_date.astimezone(zone).date() < now.astimezone(zone).date()
    except OverflowError:  # of the calendar's last hours, or its first
        return None
    return (opens, closes) if closes <= now and (is_backfill or earlier_day) else None


def checks_deadline(window: Window, began: datetime) -> datetime | None:
    """When the checks of a run that began within the window must be over; None outside of it.

    A little before the window's end, so that the report is still written within it.
    """
    span = window.current(began)
    if span is None:
        return None
    return span[1] - min(_LONGEST_MARGIN, (span[1] - span[0]) / 10)
