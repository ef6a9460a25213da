"""What Airflow must know of the package beyond its DAGs. Wiring only."""

from typing import Any

from airflow.plugins_manager import AirflowPlugin

from openstack_maintenance.operators.night_link import NightLink


class OpenStackMaintenancePlugin(AirflowPlugin):
    """The links of operators: Airflow shows those that a plugin names."""

    name = "openstack_maintenance"
    operator_extra_links: list[Any] = [NightLink()]  # noqa: RUF012 - as Airflow declares it
