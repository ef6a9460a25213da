"""What `make bench` does: the same drain by the DAG, by the runbook's loop and by Nova alone."""
