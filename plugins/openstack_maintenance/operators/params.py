"""What the forms of all DAGs that change something share in the Airflow UI."""

from __future__ import annotations

from airflow.sdk import Param


def reason_param(where: str) -> Param:
    """Why a run is started. ``where``: what it is written into."""
    return Param(
        "",
        type=["string", "null"],
        title="Reason",
        description=f"Why this is done. It is written into {where}.",
        maxLength=150,
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
