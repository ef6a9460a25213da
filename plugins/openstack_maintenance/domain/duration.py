"""Lengths of time as people write them in a policy: 90s, 15min, 2h, 1d."""

from __future__ import annotations

import re
from datetime import timedelta

from openstack_maintenance.domain.foreign_text import quoted

_UNITS = {"s": "seconds", "min": "minutes", "h": "hours", "d": "days"}
_SHAPE = re.compile(r"(?P<count>[0-9]{1,9})\s*(?P<unit>s|min|h|d)")
# Added to any moment of ours, this is still a date.
_LONGEST = timedelta(days=366)


def parse_duration(text: str) -> timedelta:
    """Read a duration such as ``90s``, ``15min``, ``2h`` or ``1d``.

    Raises: ValueError with the accepted forms; fix the text.
    """
    found = _SHAPE.fullmatch(text.strip())
    if found is None:
        raise ValueError(
            f"{quoted(text)} is not a duration; write for example 90s, 15min, 2h or 1d"
        )
    try:
        length = timedelta(**{_UNITS[found["unit"]]: int(found["count"])})
    except OverflowError:
        length = timedelta.max
    if length > _LONGEST:
        raise ValueError(f"{quoted(text)} is too long; write at most {_LONGEST.days}d")
    return length
