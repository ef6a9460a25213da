"""What a run of compute_host_maintenance was asked to do, and whether that makes sense."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from openstack_maintenance.domain.blocker import Blocker
from openstack_maintenance.domain.drain.movability import OnBlocked
from openstack_maintenance.domain.foreign_text import quoted
from openstack_maintenance.domain.params import (
    HOST_NAME,
    bad_flags,
    bad_reason,
    bad_texts,
    missing_reason,
    not_one_of,
    text_of,
    unknown_params,
    unknown_script,
)

_KEYS = (
    "host",
    "destination",
    "block_migration",
    "reason",
    "reboot",
    "script",
    "dry_run",
    "ignore_window",
    "on_blocked",
)
_FLAGS = ("reboot", "dry_run", "ignore_window")
_TEXTS = ("host", "destination", "script", "on_blocked")


@dataclass(frozen=True)
class Request:
    """The params of one run, as the contract names them."""

    host: str
    destination: str | None = None
    block_migration: Literal["auto", "true", "false"] = "auto"
    reason: str = ""
    reboot: bool = True
    script: str | None = None
    dry_run: bool = False
    ignore_window: bool = False
    on_blocked: OnBlocked = "fail"


def read_request(params: Mapping[str, Any], default_on_blocked: OnBlocked) -> Request:
    """Params as a request; an empty text means that nothing was given.

    What is not as it must be is for `check_params` to say.
    """
    return Request(
        host=text_of(params, "host"),
        destination=text_of(params, "destination") or None,
        block_migration=_block_migration(params.get("block_migration")),
        reason=text_of(params, "reason"),
        reboot=params.get("reboot") is not False,
        script=text_of(params, "script") or None,
        dry_run=params.get("dry_run") is True,
        ignore_window=params.get("ignore_window") is True,
        on_blocked=text_of(params, "on_blocked") or default_on_blocked,  # type: ignore[arg-type]
    )


def _block_migration(value: Any) -> Any:
    """A YAML or JSON caller may well write true instead of "true"."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return value.lower()
    return "auto" if value is None else value


def check_params(
    params: Mapping[str, Any], request: Request, scripts: Sequence[str]
) -> list[Blocker]:
    """Everything wrong with the params themselves, before anything is read from the cloud."""
    blockers = unknown_params(params, _KEYS)
    mistyped = bad_texts(params, _TEXTS)
    blockers += mistyped
    names = {"host": request.host, "destination": request.destination}
    told = {each.subject for each in mistyped}
    for param, name in names.items():
        if name is not None and f"param {param}" not in told and not re.fullmatch(HOST_NAME, name):
            blockers.append(_bad_name(param, name))
    if request.block_migration not in ("auto", "true", "false"):
        blockers.append(not_one_of("block_migration", request.block_migration, "auto, true, false"))
    if request.on_blocked not in ("fail", "leave", "stop"):
        blockers.append(not_one_of("on_blocked", request.on_blocked, "fail, leave, stop"))
    blockers += bad_flags(params, _FLAGS)
    blockers += unknown_script(request.script, scripts)
    return blockers + bad_reason(params) + missing_reason(request)


def _bad_name(param: str, value: str) -> Blocker:
    return Blocker(
        f"param {param}",
        f"{quoted(value)} is not a host name" if value else "is empty",
        "Write it as `openstack compute service list` shows it: letters, digits, '.', '_' and '-'.",
    )
