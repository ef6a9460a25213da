"""The form of nightly_compute_maintenance in the Airflow UI."""

from __future__ import annotations

from airflow.sdk import Param

from openstack_maintenance.domain.params import HOST_NAME
from openstack_maintenance.operators.params import (
    last_params,
    names_param,
    reason_param,
    script_param,
)


def nightly_params() -> dict[str, Param]:
    """The params of nightly_compute_maintenance, in the order of the form."""
    return {
        "reason": reason_param("Nova's disabled_reason and into the record"),
        "hosts": names_param(
            "Hosts", "Only these, where they are due. Empty: all that are.", f"^{HOST_NAME}$"
        ),
        "zone": _optional_text("Zone", "Only hosts of this availability zone."),
        "aggregate": _optional_text("Aggregate", "Only hosts of this aggregate."),
        "at_most": Param(
            None,
            type=["null", "integer"],
            minimum=1,
            title="At most",
            description="So many hosts; the others are left for another night.",
        ),
        "script": script_param("as the policy says"),
        **last_params(),
    }


def _optional_text(title: str, description: str) -> Param:
    return Param(None, type=["null", "string"], title=title, description=description)
