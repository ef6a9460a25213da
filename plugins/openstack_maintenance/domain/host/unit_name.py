"""The full name of a systemd unit."""

from __future__ import annotations

import re

from openstack_maintenance.domain.errors import HostError
from openstack_maintenance.domain.foreign_text import brief

_UNIT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,200}")


def service_unit(name: str) -> str:
    """A unit's full name: systemd fills in ``.service``, its cgroup carries it.

    Raises:
        HostError: not a unit's name.
    """
    if not _UNIT.fullmatch(name):
        raise HostError(
            f"unit {brief(name, 100)!r}",
            "this is not a valid unit name",
            "Use letters, digits, _.@-",
        )
    return name if name.endswith((".service", ".target")) else f"{name}.service"
