"""The campaign on the lab: drawn stories of trouble, with a real OpenStack and a real Airflow."""
