"""Moments that others wrote, in records or in answers: read without raising, whatever they are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def read_moment(text: object) -> datetime | None:
    """The moment in UTC that a text says; None where it says none, whatever it looks like."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else None
    except (ValueError, OverflowError):  # 2026-13-01; 9999-12-31T23:59:59-14:00
        return None


def is_in_calendar(moment: datetime) -> bool:
    """Whether a moment can be moved to another time zone, or by a few days, without overflow."""
    return 2 <= moment.year <= 9990


def parse_iso(text: str) -> datetime | None:
    """A moment in ISO 8601 that can be calculated with, or None."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if is_in_calendar(moment) else None


def moment_after_epoch(microseconds: int) -> datetime | None:
    """The moment so long after 1970, or None where no calendar has it."""
    try:
        moment = _EPOCH + timedelta(microseconds=microseconds)
    except OverflowError:
        return None
    return moment if is_in_calendar(moment) else None
