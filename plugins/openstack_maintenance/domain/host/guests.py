"""What to say of guests that run on a host which must hold none."""

from __future__ import annotations

from collections.abc import Sequence

from openstack_maintenance.domain.errors import CheckFailed
from openstack_maintenance.domain.foreign_text import brief_list
from openstack_maintenance.domain.host.facts import GuestProcess


def guests_run(host: str, guests: Sequence[GuestProcess], then: str) -> CheckFailed:
    """``then``: what was therefore not done."""
    return CheckFailed(
        f"host {host}",
        f"guests run on it: {', '.join(brief_list(guests))}",
        f"{then}. Move these instances away, or find out why Nova does not list them, then clear "
        "the task.",
    )
