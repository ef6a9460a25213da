"""The form of nightly_compute_maintenance in the Airflow UI."""

from __future__ import annotations

from airflow.sdk import Param

from openstack_maintenance.operators.params import last_params


def nightly_params() -> dict[str, Param]:
    """The params of nightly_compute_maintenance."""
    return {
        "reason": Param(
            "",
            type=["string", "null"],
            title="Reason",
            description="Why this is done. It is written into Nova's disabled_reason and into "
            "the record.",
            maxLength=150,
        ),
        **last_params(),
    }
