"""What a person is told who asks for what cannot be."""

from __future__ import annotations


class BadRequest(Exception):
    """Airflow's API refused it (400, 404, 409), and nothing was changed."""
