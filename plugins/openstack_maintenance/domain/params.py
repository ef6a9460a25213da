"""Params as every DAG of the project reads them: what is wrong with one, and what to write."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from types import NoneType
from typing import Any, Protocol

from openstack_maintenance.domain.blocker import Blocker


class Windowed(Protocol):
    """A request that can ignore the window, with a reason."""

    @property
    def ignore_window(self) -> bool: ...

    @property
    def reason(self) -> str: ...


def unknown_params(params: Mapping[str, Any], known: Sequence[str]) -> list[Blocker]:
    """Every param that the DAG does not have."""
    return [
        Blocker(
            f"param {key}",
            f"this DAG has no such param{did_you_mean(key, known)}",
            f"Known are {', '.join(known)}.",
        )
        for key in params
        if key not in known
    ]


def bad_flags(params: Mapping[str, Any], flags: Iterable[str]) -> list[Blocker]:
    """Every flag that is neither true nor false.

    Read loosely, "false" would reboot, and a dry run asked for as "true" would be none.
    """
    return [
        not_one_of(key, params[key], "true, false")
        for key in flags
        if not isinstance(params.get(key), (bool, NoneType))
    ]


def missing_reason(request: Windowed) -> list[Blocker]:
    """Who ignores the window must say why."""
    if not request.ignore_window or request.reason.strip():
        return []
    return [
        Blocker(
            "param ignore_window",
            "is set without a reason",
            "Say in reason why this cannot wait for the window.",
        )
    ]


def not_one_of(param: str, value: object, choices: str) -> Blocker:
    """A param whose value is none of its choices."""
    return Blocker(f"param {param}", f"{value!r} is not a choice", f"Write one of {choices}.")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint for a misspelt name; empty when nothing is close."""
    names = list(known)
    # c01.example.com for c01, and the other way round.
    close = [each for each in names if each.partition(".")[0] == name.partition(".")[0]]
    close = close or get_close_matches(name, names, n=3, cutoff=0.55)
    return f" (did you mean {', '.join(close)}?)" if close else ""
