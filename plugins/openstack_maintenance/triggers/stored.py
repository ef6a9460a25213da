"""What a trigger was stored with, read back before it is used: another release may have stored it.

Each reader gives the value, or raises ValueError with words that fit after "its stored arguments
cannot be read: ".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from openstack_maintenance.domain.deployment import NovaCompute
from openstack_maintenance.domain.errors import CheckFailed
from openstack_maintenance.domain.foreign_text import brief
from openstack_maintenance.domain.moment import parse_iso

Reader = Callable[[Any, str], Any]

_LONGEST_SECONDS = 10 * 366 * 24 * 3600
_PORTS = "broker_ports"
_LISTS = ("log_paths", "engines", "guest_processes")


def text(value: Any, name: str) -> str:
    """A text that is not empty, and no NUL in it."""
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError(f"{name} is {_kind(value)}, not a string")
    return value


def moment(value: Any, name: str) -> datetime:
    """A moment in ISO 8601 with its UTC offset."""
    found = parse_iso(value) if isinstance(value, str) else None
    if found is None or found.tzinfo is None:
        raise ValueError(f"{name} is {_kind(value)}, not a time with its UTC offset")
    return found


def seconds(value: Any, name: str) -> float | None:
    """A length of time, or none."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name} is {_kind(value)}, not a number of seconds")
    if not 0 <= value <= _LONGEST_SECONDS:
        raise ValueError(f"{name} is not a number of seconds that can be waited")
    return float(value)


def word_of(*allowed: str) -> Reader:
    """One of a few words."""

    def read(value: Any, name: str) -> str:
        if value not in allowed:
            raise ValueError(f"{name} is {_kind(value)}, not one of {', '.join(allowed)}")
        return str(value)

    return read


def list_of(reader: Reader) -> Reader:
    """A list of what the reader reads."""

    def read(value: Any, name: str) -> list[Any]:
        if not isinstance(value, list | tuple):
            raise ValueError(f"{name} is {_kind(value)}, not a list")
        return [reader(each, f"one of {name}") for each in value]

    return read


def pair(value: Any, name: str) -> tuple[str, str]:
    """Two texts."""
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise ValueError(f"{name} is {_kind(value)}, not a pair")
    return text(value[0], name), text(value[1], name)


def place(value: Any, name: str) -> Mapping[str, str]:
    """A host and its address."""
    found = fields(value, name)
    return {key: text(found.get(key), f"the {key} in {name}") for key in ("host", "address")}


def fields(value: Any, name: str) -> Mapping[str, Any]:
    """Values by their names."""
    if not isinstance(value, Mapping):
        raise ValueError(f"{name} is {_kind(value)}, not names with values")
    return value


def nova_compute(value: Any, name: str = "nova_compute") -> NovaCompute:
    """The deployment's nova_compute from its plain form."""
    found = fields(value, name)
    parts: dict[str, Any] = {
        key: tuple(list_of(text)(each, key)) if key in _LISTS else _maybe_text(each, key)
        for key, each in found.items()
        if key != _PORTS
    }
    if _PORTS in found:
        parts[_PORTS] = tuple(list_of(_port)(found[_PORTS], _PORTS))
    try:
        return NovaCompute(**parts)
    except TypeError as error:  # a name that is missing, or one that another release knows
        raise ValueError(f"{name} has other fields than this release knows: {error}") from error


def unreadable(subject: str, error: ValueError) -> CheckFailed:
    """The sentence that ends a wait which cannot begin."""
    return CheckFailed(
        subject,
        f"the stored arguments of its wait cannot be read: {brief(error)}",
        "Clear this task with Downstream: it starts again, with arguments of this release.",
    )


def _port(value: Any, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{name} is {_kind(value)}, not a port's number")
    return value


def _maybe_text(value: Any, name: str) -> str:
    return value if value == "" and isinstance(value, str) else text(value, name)


def _kind(value: Any) -> str:
    if value is None:
        return "missing"
    return f"{brief(value, 100)!r}" if isinstance(value, str) else f"a {type(value).__name__}"
