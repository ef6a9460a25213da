"""The maintenance window: a daily span of wall-clock time in which hosts may be changed."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from openstack_maintenance.domain.foreign_text import quoted

# No clock is changed by more.
_MOST_BELL_HOURS = 3


@dataclass(frozen=True)
class Window:
    """From ``start`` to ``end`` every day in ``timezone``, except the dates in ``exclude``.

    A window whose end is not after its start crosses midnight and belongs to the date on which
    it starts. Equal start and end mean the whole day. ``exclude`` holds ISO dates. On a night
    on which daylight saving removes the start, the window starts at the first moment that
    exists; if it removes the whole window, there is none that night. On a doubled hour the
    window runs from the first start to the last end.
    """

    start: str = "01:00"
    end: str = "02:00"
    timezone: str = "UTC"
    exclude: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        for name in ("start", "end"):
            text = getattr(self, name)
            if not _is_time(text):
                raise ValueError(f"{name}: {quoted(text)} is not a time; write HH:MM")
        try:
            ZoneInfo(self.timezone)
        except (KeyError, ValueError, OSError):
            raise ValueError(
                f"timezone: {quoted(self.timezone)} is unknown; "
                "write an IANA name such as Europe/Berlin"
            ) from None
        for day in self.exclude:
            if not _is_date(day):
                raise ValueError(f"exclude: {quoted(day)} is not a date; write YYYY-MM-DD")

    def night(self, day: date) -> tuple[datetime, datetime] | None:
        """The span of the window that starts on ``day``, in UTC; None when there is none."""
        if day.isoformat() in self.exclude:
            return None
        start, end = time.fromisoformat(self.start), time.fromisoformat(self.end)
        last_day = day if end > start else day + timedelta(days=1)
        opens = self._instant(day, start, fold=0)
        closes = self._instant(last_day, end, fold=1)
        return (opens, closes) if opens < closes else None

    def _instant(self, day: date, at: time, fold: int) -> datetime:
        """A wall-clock time as UTC; a time that daylight saving skips is the end of the gap."""
        zone = ZoneInfo(self.timezone)
        local = datetime.combine(day, at, tzinfo=zone).replace(fold=fold)
        instant = local.astimezone(UTC)
        if instant.astimezone(zone).replace(tzinfo=None) == local.replace(tzinfo=None):
            return instant
        # In a gap fold=1 reads the time with the new offset, which lies before the change.
        return _first_change(local.replace(fold=1), local.replace(fold=0), zone)

    def why_none(self, day: date) -> str | None:
        """Why no window starts on ``day``; None where one does."""
        if day.isoformat() in self.exclude:
            return f"{day} is excluded by the policy (window.exclude)"
        if self.night(day) is None:
            return f"daylight saving skips the window {self} on {day}"
        return None

    def bell(self, today: date, most: timedelta) -> tuple[time, timedelta]:
        """When a daily clock is to ring for it, and how long before its start that is.

        Where daylight saving removes or doubles the start, a clock that is set to it rings after
        the window has begun, or once for two: there it rings some whole hours, at ``most`` that
        long, before. For the year around ``today``.
        """
        start = time.fromisoformat(self.start)
        for hours in range(_MOST_BELL_HOURS + 1):
            lead = timedelta(hours=hours)
            at = (datetime.combine(today, start) - lead).time()
            if lead <= most and self._is_plain(at, today):
                return at, lead
        return start, timedelta(0)

    def _is_plain(self, at: time, today: date) -> bool:
        """Whether a wall-clock time comes exactly once on every day."""
        zone = ZoneInfo(self.timezone)
        for days in range(-7, 372):
            local = datetime.combine(today + timedelta(days=days), at, tzinfo=zone)
            if local.utcoffset() != local.replace(fold=1).utcoffset():
                return False
        return True

    def current(self, now: datetime) -> tuple[datetime, datetime] | None:
        """The span that is open at ``now``; None outside the window, and of the calendar."""
        try:
            return self._current(now)
        except OverflowError:  # a run may be about any night: the last of the year 9999, too
            return None

    def _current(self, now: datetime) -> tuple[datetime, datetime] | None:
        today = now.astimezone(ZoneInfo(self.timezone)).date()
        for day in (today - timedelta(days=1), today):
            span = self.night(day)
            if span is not None and span[0] <= now < span[1]:
                return span
        return None

    def next_opening(self, now: datetime) -> datetime | None:
        """When the window opens next; ``now`` itself while it is open; None within a year."""
        try:
            return self._next_opening(now)
        except OverflowError:
            return None

    def _next_opening(self, now: datetime) -> datetime | None:
        if self.current(now) is not None:
            return now
        today = now.astimezone(ZoneInfo(self.timezone)).date()
        for days in range(-1, 367):
            span = self.night(today + timedelta(days=days))
            if span is not None and span[0] > now:
                return span[0]
        return None

    def __str__(self) -> str:
        return f"{self.start}-{self.end} {self.timezone}"


def _is_time(text: str) -> bool:
    # fromisoformat takes more than HH:MM: offsets, which contradict timezone, and hours alone.
    try:
        return bool(re.fullmatch(r"\d\d:\d\d(:\d\d)?", text)) and bool(time.fromisoformat(text))
    except ValueError:
        return False


def _is_date(text: str) -> bool:
    # It also takes 20260310 and 2026-W11-2, which no night would ever be compared with.
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _first_change(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """The UTC moment between two at which the zone's offset changes, to the second."""
    low, high = before.astimezone(UTC), after.astimezone(UTC)
    old = low.astimezone(zone).utcoffset()
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) / 2
        if middle.astimezone(zone).utcoffset() == old:
            low = middle
        else:
            high = middle
    return high.replace(microsecond=0)
