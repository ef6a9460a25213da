"""What a run of compute_host_maintenance was asked to do, and whether that makes sense."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from openstack_maintenance.domain.blocker import Blocker
from openstack_maintenance.domain.movability import OnBlocked
from openstack_maintenance.domain.params import (
    bad_flags,
    missing_reason,
    not_one_of,
    unknown_params,
)

HOST_NAME = r"[A-Za-z0-9]([A-Za-z0-9._-]{0,253}[A-Za-z0-9])?"
SCRIPT_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
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
    """Params as a request; an empty text means that nothing was given."""
    given = {key: params.get(key) for key in _KEYS}
    block_migration = given["block_migration"]
    if block_migration is None:
        block_migration = "auto"
    return Request(
        host=str(given["host"] or ""),
        destination=given["destination"] or None,
        # A YAML or JSON caller may well write true instead of "true".
        block_migration=str(block_migration).lower(),  # type: ignore[arg-type]  # checked below
        reason=given["reason"] or "",
        reboot=given["reboot"] is not False,
        script=given["script"] or None,
        dry_run=given["dry_run"] is True,
        ignore_window=given["ignore_window"] is True,
        on_blocked=given["on_blocked"] or default_on_blocked,
    )


def check_params(
    params: Mapping[str, Any], request: Request, scripts: Sequence[str]
) -> list[Blocker]:
    """Everything wrong with the params themselves, before anything is read from the cloud."""
    blockers = unknown_params(params, _KEYS)
    if not re.fullmatch(HOST_NAME, request.host):
        blockers.append(_bad_name("host", request.host))
    if request.destination is not None and not re.fullmatch(HOST_NAME, request.destination):
        blockers.append(_bad_name("destination", request.destination))
    if request.block_migration not in ("auto", "true", "false"):
        blockers.append(not_one_of("block_migration", request.block_migration, "auto, true, false"))
    if request.on_blocked not in ("fail", "leave", "stop"):
        blockers.append(not_one_of("on_blocked", request.on_blocked, "fail, leave, stop"))
    blockers += bad_flags(params, _FLAGS)
    if request.script is not None and request.script not in scripts:
        known = ", ".join(scripts) or "none"
        blockers.append(
            Blocker(
                "param script",
                f"{request.script!r} is not in include/scripts (there: {known})",
                "Name one of these, or put the script there.",
            )
        )
    return blockers + missing_reason(request)


def _bad_name(param: str, value: str) -> Blocker:
    return Blocker(
        f"param {param}",
        f"{value!r} is not a host name" if value else "is empty",
        "Write it as openstack compute service list shows it: letters, digits, '.', '_' and '-'.",
    )
