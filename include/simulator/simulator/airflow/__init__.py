"""A small model of Airflow 3.3: real DAG objects, operators and triggers, in virtual time.

What a task does is done by Airflow's own task runner; what its API server, its schedulers and its
triggerers do with it is modelled here, and proven against a real Airflow (tests/simulator,
tests/e2e/apart/test_model_of_airflow.py).
"""

from simulator.airflow.errors import BadRequest
from simulator.airflow.model import Airflow
from simulator.airflow.settings import Settings

__all__ = ["Airflow", "BadRequest", "Settings"]
