"""The project's own Airflow on one machine, for the demo, the tests and development.

Four processes, as `airflow standalone` starts them, but each on its own: so that one of them can
be stopped, killed and started again while the others go on.
"""

from airflow_local.errors import AirflowLocalError
from airflow_local.home import Home
from airflow_local.rest import AirflowApi, TaskInstance
from airflow_local.server import COMPONENTS, LocalAirflow

__all__ = ["COMPONENTS", "AirflowApi", "AirflowLocalError", "Home", "LocalAirflow", "TaskInstance"]
