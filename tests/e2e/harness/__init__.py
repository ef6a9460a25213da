"""What the end-to-end tests stand on: a real Airflow, and the lab as it is between two tests."""

from harness.airflow_server import AirflowServer, Run
from harness.backfill import backfill
from harness.stage import Stage
from harness.witness import BootWitness

__all__ = [
    "AirflowServer",
    "BootWitness",
    "Run",
    "Stage",
    "backfill",
]
