"""What the forms of all DAGs that change something share in the Airflow UI."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.sdk import Param

from openstack_maintenance.adapters.policy_file import scripts


def reason_param(where: str) -> Param:
    """Why a run is started. ``where``: what it is written into."""
    return Param(
        "",
        type=["string", "null"],
        title="Reason",
        description=f"Why this is done. It is written into {where}.",
        maxLength=150,
    )


def script_param(nothing: str) -> Param:
    """A script for the host's own maintenance. ``nothing``: what it means that none is given."""
    return Param(
        None,
        enum=[None, *(path.name for path in scripts())],
        values_display={"null": nothing},
        title="Maintenance script",
        description="A file of include/scripts. It runs as root on the host, after "
        "nova-compute is stopped and before the reboot.",
    )


def names_param(title: str, description: str, pattern: str, known: Sequence[str] = ()) -> Param:
    """A list of names. ``known``: what the form offers, as it was when the file was parsed."""
    items: dict[str, Any] = {"type": "string", "pattern": pattern}
    offered: dict[str, Any] = {"examples": list(known)} if known else {}
    return Param(
        [], type=["array", "null"], items=items, title=title, description=description, **offered
    )


def last_params() -> dict[str, Param]:
    """What stands last in the form of every DAG that changes something."""
    return {
        "dry_run": Param(
            False,
            type="boolean",
            title="Dry run",
            description="Check everything and say what would be done; change nothing.",
        ),
        "ignore_window": Param(
            False,
            type="boolean",
            title="Ignore the maintenance window",
            description="Start at once, whatever the policy's window. Needs a reason.",
        ),
    }
