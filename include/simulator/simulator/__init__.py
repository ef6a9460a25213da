"""A cloud, its hosts and an Airflow in virtual time, on which the real plugin runs unaware."""
