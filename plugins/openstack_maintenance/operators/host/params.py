"""The form of compute_host_maintenance in the Airflow UI."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Param

from openstack_maintenance.domain.params import HOST_NAME
from openstack_maintenance.operators.params import last_params, reason_param, script_param


def compute_host_params() -> dict[str, Param]:
    """The params of compute_host_maintenance, in the order of the form."""
    return {
        "host": Param(
            type="string",
            title="Compute host",
            description="As `openstack compute service list` shows it. Required.",
            pattern=f"^{HOST_NAME}$",
        ),
        "reason": reason_param("Nova's disabled_reason and into the record"),
        "destination": _optional_host(
            "Destination",
            "One host for all instances. Empty: Nova's scheduler chooses for each.",
        ),
        "block_migration": _block_migration(),
        "on_blocked": _on_blocked(),
        "reboot": Param(True, type="boolean", title="Reboot", description="Reboot the host."),
        "script": script_param("none"),
        **last_params(),
    }


def _block_migration() -> Param:
    return Param(
        "auto",
        type=["string", "boolean"],
        # JSON callers may well write true instead of "true"; the form offers the examples.
        anyOf=[{"enum": ["auto", "true", "false"]}, {"type": "boolean"}],
        examples=["auto", "true", "false"],
        title="Block migration",
        description="Copy the disks, too (true), use shared storage (false), or let Nova "
        "find out (auto).",
    )


def _on_blocked() -> Param:
    return Param(
        None,
        enum=[None, "fail", "leave", "stop"],
        values_display={
            "null": "as the policy says",
            "fail": "fail: change nothing",
            "leave": "leave: instances that do not run may stay",
            "stop": "stop: stop a running one, cold-migrate it, start it again",
        },
        title="Instances that cannot move",
        description="What happens when an instance of the host can be migrated neither live "
        "nor cold.",
    )


def _optional_host(title: str, description: str) -> Param:
    any_of: list[dict[str, Any]] = [
        {"type": "null"},
        {"type": "string", "pattern": f"^({HOST_NAME})?$"},
    ]
    return Param(None, type=["null", "string"], anyOf=any_of, title=title, description=description)
