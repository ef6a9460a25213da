"""Moments as they are kept in records: ISO texts with their offset."""

from __future__ import annotations

from datetime import UTC, datetime


def read_moment(text: object) -> datetime | None:
    """The moment in UTC that a text says; None where it says none, whatever it looks like."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else None
    except (ValueError, OverflowError):  # 2026-13-01; 9999-12-31T23:59:59-14:00
        return None
