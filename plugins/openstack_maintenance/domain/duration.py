"""Lengths of time as people write them in a policy: 90s, 15min, 2h, 1d."""

from __future__ import annotations

import re
from datetime import timedelta

_UNITS = {"s": "seconds", "min": "minutes", "h": "hours", "d": "days"}
_SHAPE = re.compile(r"(?P<count>\d+)\s*(?P<unit>s|min|h|d)")


def parse_duration(text: str) -> timedelta:
    """Read a duration such as ``90s``, ``15min``, ``2h`` or ``1d``.

    Raises: ValueError with the accepted forms; mend the text.
    """
    found = _SHAPE.fullmatch(text.strip())
    try:
        if found is not None:
            return timedelta(**{_UNITS[found["unit"]]: int(found["count"])})
    except OverflowError:
        pass  # longer than time itself: no duration either
    raise ValueError(f"{text!r} is not a duration; write for example 90s, 15min, 2h or 1d")
