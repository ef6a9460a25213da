"""Clouds that answer over HTTP, and a host over SSH, for the tests of this folder."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from answering_cloud import AnsweringCloud, Clouds, served
from host_over_ssh import FakeHost


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


@pytest.fixture
async def fake(tmp_path: Path) -> AsyncIterator[FakeHost]:
    host = FakeHost(tmp_path)
    allowed = tmp_path / "authorized_keys"
    allowed.write_bytes(host.user_key.export_public_key())
    server = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_host_keys=[host.host_key],
        authorized_client_keys=str(allowed),
        process_factory=host.serve,
        encoding=None,
    )
    host.port = server.get_port()
    yield host
    server.close()
    await server.wait_closed()
    for child in host.children:
        if child.returncode is None:  # what a dropped connection or a time-out left behind
            os.killpg(child.pid, signal.SIGKILL)
            await child.wait()
