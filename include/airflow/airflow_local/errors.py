"""What can go wrong with the local Airflow, in a sentence that says what to do."""

from __future__ import annotations


class AirflowLocalError(Exception):
    """The local Airflow cannot do what was asked; the message is for the person who asked."""
