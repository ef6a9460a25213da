"""A heartbeat that stands still: the proof that Nova hears nothing more of a nova-compute."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from openstack_maintenance.domain.errors import CheckFailed

# Nova's report_interval is 10 s by default: in so long one heartbeat at least would have come.
STILL_SECONDS = 15.0
HEARTBEAT_GOES_ON = "its heartbeat in Nova goes on"


def still_heartbeat(last: datetime | None) -> dict[str, Any]:
    """The proof that Nova hears nothing more of a nova-compute, as plain JSON."""
    return {"last": last.isoformat() if last else None, "still_for_seconds": STILL_SECONDS}


def heartbeat_goes_on(host: str, found: str) -> CheckFailed:
    """nova-compute's unit is stopped, and a nova-compute reports as this host all the same."""
    return CheckFailed(
        f"host {host}",
        f"nova-compute's unit is stopped, but {found.removeprefix('still there: ')}",
        f"Another nova-compute reports as {host}. Find it (`pgrep -a nova-compute`, `docker ps`, "
        "`systemctl list-units '*nova*'` on the host; on other hosts a nova.conf with the same "
        "`host`), set the right deployment in the policy, then clear stop_nova_compute with "
        "Downstream.",
    )
