"""What a red run's sentence says, read as an operator reads it: what to type, and how to go on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

_COMMAND = re.compile(r"`openstack ([^`]+)`")
_CLEAR = re.compile(
    r"[Cc]lear (?:the task |task )?(this task|that task|the task|it|reboot|[a-z]+(?:_[a-z]+)+)\b",
    re.S,
)
_ALL_FAILED = re.compile(r"[Cc]lear (?:the failed tasks?|it with)")
_FAILED_OF_RUN = re.compile(r"[Cc]lear the run's failed tasks")
_AGAIN = re.compile(
    r"(?:[Rr]un|[Tt]ry) (?:it |the host )?again|[Tt]rigger (?:a new|another|it)|new run"
)


@dataclass(frozen=True)
class Way:
    """How to go on. ``do``: clear or vouch (for ``task``), clear failed (whatever of the run has
    failed, and nothing else), or again, with these params too.
    """

    do: str
    task: str = ""
    params: dict[str, Any] = field(default_factory=dict)


def commands_in(text: str) -> list[str]:
    """The client's commands in it, without the word openstack."""
    return list(dict.fromkeys(_COMMAND.findall(text)))


def is_patience_asked(text: str) -> bool:
    """Whether it says to wait."""
    return re.search(r"\b[Ww]ait\b", text) is not None


def is_nothing_left(text: str) -> bool:
    """Whether it says that there is nothing to do."""
    return "nothing left to do" in text


def does_it_ask_to_start_nova_compute(text: str) -> bool:
    """Whether a nova-compute that is down is to be started."""
    return bool(re.search("[Ss]tart nova-compute|nova-compute's log|Fix it on the host", text))


def does_it_ask_for_a_reset(text: str) -> bool:
    """Whether somebody is to look at a host that does not answer."""
    return bool(re.search("console|BMC|nobody answers|Check the host", text))


def way_on(text: str, tasks: Sequence[str], failed: Sequence[str]) -> Way | None:
    """How the run goes on. ``tasks``: of its DAG, in their order; ``failed``: those that did.

    None: it does not say.
    """
    names: list[str] = []
    for found in _CLEAR.findall(text):
        names.extend([found] if found in tasks else failed[:1])
    if vouched := re.search(r"mark (\w+) as success", text):
        return Way("vouch", vouched[1])
    if _FAILED_OF_RUN.search(text):
        return Way("clear failed")
    if _ALL_FAILED.search(text):
        names.extend(failed)
    if own := [name for name in dict.fromkeys(names) if name in tasks]:
        return Way("clear", min(own, key=list(tasks).index))
    if failed and re.search(r"\b[Ff]irst\b", text):
        return Way("clear", failed[0])
    if _AGAIN.search(text) or "othing was changed" in text or not failed:
        return Way("again", params=_params_in(text))
    return None


def _params_in(text: str) -> dict[str, Any]:
    params: dict[str, Any] = {}
    if wanted := re.search(r"on_blocked=(\w+)", text):
        params["on_blocked"] = wanted[1]
    if "ignore_window=true" in text:
        params["ignore_window"] = True
    if re.search(r"leave (it|destination) empty", text):
        params["destination"] = None
    return params
