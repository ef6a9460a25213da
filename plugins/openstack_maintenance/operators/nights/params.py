"""The form of nightly_compute_maintenance in the Airflow UI."""

from __future__ import annotations

from airflow.sdk import Param

from openstack_maintenance.operators.params import last_params, reason_param


def nightly_params() -> dict[str, Param]:
    """The params of nightly_compute_maintenance."""
    return {
        "reason": reason_param("Nova's disabled_reason and into the record"),
        **last_params(),
    }
