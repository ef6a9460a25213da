"""What a running Airflow of this project uses: CPU and memory, of each of its parts."""
