"""What every test may use."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from types import FrameType

import os_service_types
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


@pytest.fixture(scope="session", autouse=True)
def table_of_services_as_it_is() -> Iterator[None]:
    """openstacksdk looks it up some ten times a question, and copies it whole each time.

    That alone is a sixth of what the tests with clouds take. Nobody changes what he is given.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            os_service_types.ServiceTypes,
            "all_types_by_service_type",
            property(lambda types: types._service_types_data["all_types_by_service_type"]),
        )
        yield


@pytest.fixture(autouse=True)
def no_secrets_of_other_tests() -> Iterator[None]:
    """Airflow masks every secret it ever saw, in one pattern that each new one compiles again.

    Where the tests' pasted keys stay in it, a connection costs a tenth of a second.
    """
    yield
    if masker := sys.modules.get("airflow.sdk._shared.secrets_masker"):
        masker.reset_secrets_masker()
