"""The time zone of a host: its logs are in it."""

from __future__ import annotations

import re
from datetime import datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from openstack_maintenance.domain.errors import HostError

_ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+-]{0,40}(?:/[A-Za-z0-9_+-]{1,40}){0,3}")


def local_zone(zone_name: str, clock: datetime) -> tzinfo:
    """The host's time zone: by name where that agrees with its clock, else the clock's offset."""
    try:
        # The name comes from the host: nothing else than a zone's name is looked up by it.
        zone = ZoneInfo(zone_name) if _ZONE.fullmatch(zone_name) else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        zone = None
    if zone is not None and clock.astimezone(zone).utcoffset() == clock.utcoffset():
        return zone
    if clock.tzinfo is None:
        raise HostError("host clock", "it has no UTC offset", "Read the host again.")
    return clock.tzinfo
