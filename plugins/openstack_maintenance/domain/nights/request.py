"""What a run of nightly_compute_maintenance was asked to do, and which night it is about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from openstack_maintenance.domain.blocker import Blocker
from openstack_maintenance.domain.params import (
    bad_flags,
    bad_reason,
    missing_reason,
    text_of,
    unknown_params,
)
from openstack_maintenance.domain.window import Window

_KEYS = ("reason", "dry_run", "ignore_window")
_FLAGS = ("dry_run", "ignore_window")


@dataclass(frozen=True)
class NightRequest:
    """The params of one run."""

    reason: str = ""
    dry_run: bool = False
    ignore_window: bool = False


def read_night_request(params: Mapping[str, Any]) -> NightRequest:
    """Params as a request; what is not as it must be is for `check_night_params` to say."""
    return NightRequest(
        reason=text_of(params, "reason"),
        dry_run=params.get("dry_run") is True,
        ignore_window=params.get("ignore_window") is True,
    )


def check_night_params(params: Mapping[str, Any], request: NightRequest) -> list[Blocker]:
    """Everything wrong with the params themselves."""
    return [
        *unknown_params(params, _KEYS),
        *bad_flags(params, _FLAGS),
        *bad_reason(params),
        *missing_reason(request),
    ]


def night_began(window: Window, logical_date: datetime | None, began: datetime) -> datetime:
    """When the window of a run's night began: who has rebooted since then is done.

    ``began``: when the run began; it counts for a run by hand outside of any window.
    """
    moment = logical_date or began
    span = window.current(moment)
    return span[0] if span else moment
