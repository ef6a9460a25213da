"""A fleet in a file: `make plan SAVE=FILE` writes it, `make rehearse SNAPSHOT=FILE` plays it."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Collection
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from openstack_maintenance.adapters.secrets_in_text import cleaned
from openstack_maintenance.domain.errors import CheckFailed
from openstack_maintenance.domain.foreign_text import storable
from openstack_maintenance.domain.nights.snapshot import read_snapshot, snapshot_of
from openstack_maintenance.domain.nights.tonight import Tonight

# A fleet of ten thousand hosts has a tenth of that.
_MOST_BYTES = 1024 * 1024 * 1024
_SAVE_AGAIN = "Save the fleet with `make plan SAVE=FILE`, and name that file."


def save(tonight: Tonight, path: Path, taken_at: datetime, secrets: Collection[str]) -> None:
    """Write the snapshot, whole or not at all, for its owner to read. Raises: CheckFailed."""
    told = storable(snapshot_of(without_secrets(tonight, secrets), taken_at))
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        try:
            file = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(file, "w", encoding="utf-8") as opened:
                opened.write(json.dumps(told, indent=1) + "\n")
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
    except (OSError, ValueError) as error:
        raise CheckFailed(
            f"snapshot {path}",
            f"it cannot be written: {_why(error)}",
            "Name a file in a folder that you may write to: `make plan SAVE=FILE`.",
        ) from error


def load(path: Path) -> Tonight:
    """Read a snapshot. Raises: CheckFailed, whatever else lies there."""
    try:
        if path.exists() and not path.is_file():
            raise ValueError("it is not a regular file")
        with path.open("rb") as opened:
            content = opened.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise ValueError("it is too large")
        return read_snapshot(_json(content))
    except (OSError, ValueError) as error:
        raise CheckFailed(f"snapshot {path}", _why(error), _SAVE_AGAIN) from error


def _json(content: bytes) -> object:
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:  # not UTF-8, cut short, nested without end
        raise ValueError(f"it is not JSON: {error}") from error


def without_secrets(tonight: Tonight, secrets: Collection[str]) -> Tonight:
    """The same fleet: what people, hosts and Nova wrote of it holds no secret any more."""

    def clean(text: str) -> str:
        return cleaned(text, secrets)

    hosts = tuple(
        replace(each, keeps_out=clean(each.keeps_out) if each.keeps_out else each.keeps_out)
        for each in tonight.fleet.hosts
    )
    return replace(
        tonight,
        fleet=replace(tonight.fleet, hosts=hosts),
        verdicts=tuple(replace(each, reason=clean(each.reason)) for each in tonight.verdicts),
        blocking=tuple(
            replace(
                each,
                instance=clean(each.instance),
                reason=clean(each.reason),
                remedy=clean(each.remedy),
            )
            for each in tonight.blocking
        ),
    )


def _why(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
