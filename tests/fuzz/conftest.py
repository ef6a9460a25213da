"""How many inputs each target gets: FUZZ says it; else a small, fixed share, in `make test`."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from judged import watched

_TEST_INPUTS = 40
_INPUTS = int(os.environ.get("FUZZ") or 0)
_SLOWEST_SHOWN = 12

settings.register_profile(
    "fuzz",
    max_examples=_INPUTS or _TEST_INPUTS,
    # In `make test` the same inputs each time: a red run must be the change's own fault.
    derandomize=not _INPUTS,
    database=None,
    deadline=None,  # how long an input takes is measured, and judged as a ratio
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
settings.load_profile("fuzz")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # What stays for the process's life is not searched again and again for garbage: it would be
    # counted as time that an input takes.
    gc.collect()
    gc.freeze()
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.timeout(3600) if _INPUTS else pytest.mark.thorough)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    try:
        return (yield)
    finally:
        longest = max(
            (spent for name, spent in watched.longest.items() if name == item.nodeid), default=None
        )
        if longest is not None:
            item.user_properties.append(("longest_ms", round(longest * 1000, 2)))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Which targets took longest for one input: CPU time, the hostile megabytes included."""
    if not _INPUTS:
        return
    spent = [
        (dict(report.user_properties)["longest_ms"], report.nodeid)
        for report in terminalreporter.stats.get("passed", [])
        if "longest_ms" in dict(report.user_properties)
    ]
    terminalreporter.section(f"{len(spent)} targets, {_INPUTS} inputs each")
    for longest, name in sorted(spent, reverse=True)[:_SLOWEST_SHOWN]:
        terminalreporter.write_line(f"{longest:9.1f} ms at most  {name.rpartition('/')[2]}")
