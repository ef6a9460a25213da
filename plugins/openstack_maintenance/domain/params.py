"""Params as every DAG of the project reads them: what is wrong with one, and what to write."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from types import NoneType
from typing import Any, Protocol

from openstack_maintenance.domain.blocker import Blocker
from openstack_maintenance.domain.foreign_text import is_one_line, quoted, shortened

# So many mistakes of one kind are named; of the rest, how many there are.
NAMED = 20
_LONGEST_NAME = 255
# A host as Nova and DNS write it.
HOST_NAME = r"[A-Za-z0-9]([A-Za-z0-9._-]{0,253}[A-Za-z0-9])?"
# As the forms of the DAGs allow.
_LONGEST_REASON = 150


class Windowed(Protocol):
    """A request that can ignore the window, with a reason."""

    @property
    def ignore_window(self) -> bool: ...

    @property
    def reason(self) -> str: ...


def unknown_params(params: Mapping[str, Any], known: Sequence[str]) -> list[Blocker]:
    """Every param that the DAG does not have."""
    unknown = [key for key in params if key not in known]
    blockers = [
        Blocker(
            f"param {in_short(key)}",
            f"this DAG has no such param{did_you_mean(key, known)}",
            f"Known are {', '.join(known)}.",
        )
        for key in unknown[:NAMED]
    ]
    return blockers + and_more("params", len(unknown) - NAMED, f"Known are {', '.join(known)}.")


def and_more(subject: str, count: int, remedy: str) -> list[Blocker]:
    """How many mistakes of a kind are not named one by one."""
    return [Blocker(subject, f"{count} more of them are wrong", remedy)] if count > 0 else []


def text_of(params: Mapping[str, Any], key: str) -> str:
    """A param that is a text; empty where nothing was given, or no text (see `bad_texts`)."""
    value = params.get(key)
    return value if isinstance(value, str) else ""


def bad_texts(params: Mapping[str, Any], keys: Iterable[str]) -> list[Blocker]:
    """Every param that must be a text and is none."""
    return [
        Blocker(
            f"param {key}", f"{quoted(params[key])} is not a string", "Write it in quotation marks."
        )
        for key in keys
        if not isinstance(params.get(key), (str, NoneType))
    ]


def bad_reason(params: Mapping[str, Any]) -> list[Blocker]:
    """The reason stands in logs, in records, and in Nova's disabled_reason beside the run's id."""
    reason = text_of(params, "reason")
    blockers = bad_texts(params, ["reason"])
    if not is_one_line(reason):
        found = f"{quoted(reason)} holds a line break or another control character"
        blockers.append(Blocker("param reason", found, "Write it on one line."))
    if len(reason) > _LONGEST_REASON:
        found = f"has {len(reason)} characters, more than {_LONGEST_REASON}"
        blockers.append(Blocker("param reason", found, "Shorten it."))
    return blockers


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


def unknown_script(
    script: str | None, scripts: Sequence[str], subject: str = "param script"
) -> list[Blocker]:
    """A maintenance script that there is not. ``scripts``: those that there are."""
    if script is None or script in scripts:
        return []
    known = ", ".join(scripts) or "none"
    return [
        Blocker(
            subject,
            f"{quoted(script)} is not in include/scripts (there: {known})",
            "Name one of these, or put the script there.",
        )
    ]


def not_one_of(param: str, value: object, choices: str) -> Blocker:
    """A param whose value is none of its choices."""
    found = f"{quoted(value)} is not a choice"
    return Blocker(f"param {param}", found, f"Write one of {choices}.")


def in_short(name: object) -> str:
    """A name as a message repeats it."""
    return (
        shortened(str(name), 100) if isinstance(name, str) and is_one_line(name) else quoted(name)
    )


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint for a misspelt name; empty when nothing is close."""
    if len(name) > _LONGEST_NAME:
        return ""  # comparing takes time, and nothing is close to that
    names = list(known)
    # c01.example.com for c01, and the other way round.
    close = [each for each in names if each.partition(".")[0] == name.partition(".")[0]]
    close = close or get_close_matches(name, names, n=3, cutoff=0.55)
    return f" (did you mean {', '.join(close)}?)" if close else ""
