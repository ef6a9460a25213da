"""Small DAGs and what people and faults do to them, for the model of Airflow and for a real one."""
