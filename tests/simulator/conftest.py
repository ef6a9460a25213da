"""What the tests on the simulated cloud share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from simulated_stage import Stage, a_stage


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Four empty hosts, an Airflow, and every judge."""
    with a_stage(tmp_path) as found:
        yield found
