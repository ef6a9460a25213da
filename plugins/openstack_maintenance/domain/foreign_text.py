"""What others wrote, hosts above all, made fit to be kept, shown and counted. Total: never raises.

PostgreSQL takes no NUL, UTF-8 takes no lone surrogate (JSON may hold both, escaped), and a
message is for a person: nothing in it is longer than a person reads.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WHOLE_NUMBER = re.compile(r"[0-9]{1,18}")  # what a database's bigint takes


def storable(text: str) -> str:
    """The text with U+FFFD for what PostgreSQL or UTF-8 cannot take."""
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def brief(text: object, most: int = 500) -> str:
    """Words for a message: storable, and cut where they are too long to be read."""
    said = storable(str(text))
    return said if len(said) <= most else f"{said[:most]} ..."


def brief_list(items: Sequence[object], most: int = 20, longest: int = 150) -> tuple[str, ...]:
    """The first of the items, each in brief, and how many more there are."""
    shown = tuple(brief(item, longest) for item in items[:most])
    more = len(items) - len(shown)
    return (*shown, f"and {more} more") if more else shown


def whole_number(text: str) -> int | None:
    """A decimal number of ASCII digits, or None: "²" and 5,000 digits are none."""
    return int(text) if _WHOLE_NUMBER.fullmatch(text) else None


def is_in_calendar(moment: datetime) -> bool:
    """Whether a moment can be moved to another time zone, or by a few days, without overflow."""
    return 2 <= moment.year <= 9990


def parse_iso(text: str) -> datetime | None:
    """A moment in ISO 8601 that can be reckoned with, or None."""
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
