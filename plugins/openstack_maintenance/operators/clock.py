"""The worker's clock. What a step compares with a host's or the cloud's is read there."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_now() -> datetime:
    """Now."""
    return datetime.now(UTC)
