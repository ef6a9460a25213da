"""What every test may use."""

from __future__ import annotations

import signal
import sys
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


@pytest.fixture(autouse=True)
def no_secrets_of_other_tests() -> Iterator[None]:
    """Airflow masks every secret it ever saw, in one pattern that each new one compiles again.

    Where the tests' pasted keys stay in it, a connection costs a tenth of a second.
    """
    yield
    if masker := sys.modules.get("airflow.sdk._shared.secrets_masker"):
        masker.reset_secrets_masker()
