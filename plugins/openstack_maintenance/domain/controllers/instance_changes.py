"""Whether instances noticed: every one of them before and after, and what that tells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from openstack_maintenance.domain.cloud import POWER_NAMES, Instance

_LOOKED_AT = ("host", "status", "power_state")
_KEYS = frozenset({"id", "name", *_LOOKED_AT, "task_state"})


@dataclass(frozen=True)
class InstanceChanges:
    """``findings``: changes that a maintenance must not cause. ``told``: what others did."""

    findings: tuple[str, ...]
    told: tuple[str, ...]


def picture_of(instance: Instance) -> dict[str, Any]:
    """One instance as far as it is compared, as plain JSON."""
    return {
        "id": instance.id,
        "name": instance.name,
        "host": instance.host,
        "status": instance.status,
        "power_state": POWER_NAMES.get(instance.power_state, str(instance.power_state)),
        "task_state": instance.task_state,
    }


def is_picture_list(value: object) -> bool:
    """Whether it is a list of what `picture_of` gives."""
    return isinstance(value, list) and all(
        isinstance(each, Mapping) and each.keys() >= _KEYS and isinstance(each["id"], str)
        for each in value
    )


def compare_instances(
    before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]
) -> InstanceChanges:
    """Compare two pictures of all instances; new ones are not compared with anything."""
    now = {each["id"]: each for each in after}
    findings: list[str] = []
    told: list[str] = []
    for was in before:
        is_now = now.get(was["id"])
        if is_now is None:
            told.append(f"{_label(was)} was deleted")
        elif changed := _changed(was, is_now):
            # Somebody was at work on it: the end of that is no surprise, unless it is a failure.
            is_theirs = _is_in_transition(was) and is_now["status"] != "ERROR"
            (told if is_theirs else findings).append(f"{_label(was)}: {changed}")
        elif is_now["task_state"] != was["task_state"]:
            told.append(f"{_label(was)} is being worked on ({is_now['task_state'] or 'done'})")
    return InstanceChanges(tuple(findings), tuple(told))


def _changed(was: Mapping[str, Any], is_now: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{key} was {was[key]}, is {is_now[key]}" for key in _LOOKED_AT if was[key] != is_now[key]
    )


def _is_in_transition(was: Mapping[str, Any]) -> bool:
    return was["task_state"] is not None or was["status"] == "BUILD"


def _label(was: Mapping[str, Any]) -> str:
    return f"{was['name']} ({was['id']})"
