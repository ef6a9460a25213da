"""Clouds that answer over HTTP what was recorded, for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from answering_cloud import AnsweringCloud, Clouds, served


@pytest.fixture
def start() -> Iterator[Clouds]:
    """Starts clouds on the loopback interface, and ends them after the test."""
    with ExitStack() as running:

        def start(release: str = "newest", **given: Any) -> AnsweringCloud:
            cloud = AnsweringCloud(release, is_strict=True, **given)
            return running.enter_context(served(cloud))

        yield start


@pytest.fixture(params=["newest", "queens"])
def cloud(request: pytest.FixtureRequest, start: Clouds) -> AnsweringCloud:
    """The same of each release that was recorded."""
    return start(request.param)
