"""What a run of nightly_compute_maintenance was asked to do, and which night it is about."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import NoneType
from typing import Any

from openstack_maintenance.domain.blocker import Blocker
from openstack_maintenance.domain.foreign_text import quoted
from openstack_maintenance.domain.nights.limit import Limit
from openstack_maintenance.domain.params import (
    HOST_NAME,
    NAMED,
    and_more,
    bad_flags,
    bad_reason,
    bad_texts,
    missing_reason,
    text_of,
    unknown_params,
    unknown_script,
)
from openstack_maintenance.domain.window import Window

_KEYS = (
    "reason",
    "hosts",
    "zone",
    "aggregate",
    "at_most",
    "script",
    "dry_run",
    "ignore_window",
)
_FLAGS = ("dry_run", "ignore_window")
_TEXTS = ("zone", "aggregate", "script")
_MOST_HOSTS = 100_000


@dataclass(frozen=True)
class NightRequest:
    """The params of one run. ``at_most``: so many hosts; ``script``: for each of them."""

    reason: str = ""
    limit: Limit = field(default_factory=Limit)
    at_most: int | None = None
    script: str | None = None
    dry_run: bool = False
    ignore_window: bool = False


def read_night_request(params: Mapping[str, Any]) -> NightRequest:
    """Params as a request; what is not as it must be is for `check_night_params` to say."""
    return NightRequest(
        reason=text_of(params, "reason"),
        limit=Limit(
            tuple(each for each in _hosts(params) if isinstance(each, str)),
            text_of(params, "zone") or None,
            text_of(params, "aggregate") or None,
        ),
        at_most=params["at_most"] if _is_count(params.get("at_most")) else None,
        script=text_of(params, "script") or None,
        dry_run=params.get("dry_run") is True,
        ignore_window=params.get("ignore_window") is True,
    )


def _hosts(params: Mapping[str, Any]) -> list[Any]:
    found = params.get("hosts")
    return found if isinstance(found, list) else []


def _is_count(value: Any) -> bool:
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return is_number and 1 <= value <= _MOST_HOSTS


def check_night_params(
    params: Mapping[str, Any], request: NightRequest, scripts: Sequence[str]
) -> list[Blocker]:
    """Everything wrong with the params themselves. ``scripts``: those that there are."""
    return [
        *unknown_params(params, _KEYS),
        *bad_texts(params, _TEXTS),
        *_bad_limits(params),
        *unknown_script(request.script, scripts),
        *bad_flags(params, _FLAGS),
        *bad_reason(params),
        *missing_reason(request),
    ]


def _bad_limits(params: Mapping[str, Any]) -> Iterator[Blocker]:
    hosts, at_most = params.get("hosts"), params.get("at_most")
    if not isinstance(hosts, (list, NoneType)):
        yield Blocker("param hosts", f"{quoted(hosts)} is not a list", 'Write ["c01", "c02"].')
    bad = [
        each
        for each in _hosts(params)
        if not isinstance(each, str) or not re.fullmatch(HOST_NAME, each)
    ]
    remedy = "Write it as `openstack compute service list` shows it."
    for each in bad[:NAMED]:
        yield Blocker("param hosts", f"{quoted(each)} is not a host name", remedy)
    yield from and_more("param hosts", len(bad) - NAMED, remedy)
    if at_most is not None and not _is_count(at_most):
        yield Blocker(
            "param at_most",
            f"{quoted(at_most)} is no number of hosts",
            f"Write a whole number from 1 to {_MOST_HOSTS}, or leave it out.",
        )


def night_began(window: Window, logical_date: datetime | None, began: datetime) -> datetime:
    """When the window of a run's night began: who has rebooted since then is done.

    ``began``: when the run began; it counts for a run by hand outside of any window.
    """
    moment = logical_date or began
    span = window.current(moment)
    return span[0] if span else moment
