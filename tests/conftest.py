"""What every test may use."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from types import FrameType

import pytest


def _stop(number: int, frame: FrameType | None) -> None:
    """Treat a request to end like Ctrl-C, so that fixtures take down what they brought up."""
    raise KeyboardInterrupt(f"signal {number}")


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Iterator[None]:
    former = signal.signal(signal.SIGTERM, _stop)
    try:
        return (yield)
    finally:
        signal.signal(signal.SIGTERM, former)
