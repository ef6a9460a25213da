"""What a client sees, in words that two clouds can share: names by the order in which they came."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

Entry = dict[str, Any]

_KINDS = {
    "request": r"req-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "id": r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\b[0-9a-f]{32}\b",
    "host id": r"\b[0-9a-f]{56}\b",
    "time": r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|\+00:00)?",
    "guest": r"\binstance-[0-9a-f]{8}\b",
    "reservation": r"\br-[0-9a-z]{8}\b",
    "host": r"\bc0[1-9]\b",
    "migration": r"(?<=/migrations/)\d+|(?<=Migration )\d+|(?<=migration )\d+",
    "root": r"https?://[^/\s\"]+(?:/compute)?(?=/)",
}
_PATTERN = re.compile("|".join(f"(?P<{k.replace(' ', '_')}>{v})" for k, v in _KINDS.items()))
# What is each cloud's own: how far a copy has come, what its machines are called and hold.
_OWN = {
    "adminPass",
    "cpu_info",
    "generation",
    "host_ip",
    "dest_host",
    "memory_processed_bytes",
    "memory_remaining_bytes",
    "memory_total_bytes",  # 0 until the hypervisor has told
    "consumer_generation",
    "resource_provider_generation",
    "uptime",
    "hypervisor_version",
    "old_instance_type_id",
    "new_instance_type_id",
    "traceback",  # of which source line
    "disk_available_least",  # 0 with the lab's hypervisor
    "OS-EXT-SRV-ATTR:root_device_name",  # the hypervisor's word
}


# Whose ids may have any form.
_OWNERS = {"user_id": "user", "project_id": "project", "tenant_id": "project"}


# Lists in the order in which each cloud's hosts have registered.
_UNORDERED = {"services": "host"}


class Names:
    """Ids, hosts and requests of one transcript, numbered as they come."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], str] = {}

    def of(self, value: Any, key: str = "") -> Any:
        """The same without what is each cloud's own."""
        if isinstance(value, dict):
            return {self._text(name): self._of_member(value, name) for name in value}
        if isinstance(value, list):
            return [self.of(each, key) for each in value]
        if key in _OWN:
            return value if value is None else "<own>"
        return self._text(value) if isinstance(value, str) else value

    def _of_member(self, holder: dict[str, Any], name: str) -> Any:
        value = holder[name]
        if name in _OWN:
            return None if value is None else "<own>"
        if name in _OWNERS and isinstance(value, str):
            return self._named(_OWNERS[name], value)
        if name == "details" and "created" in holder:  # of a fault: a traceback
            return "<own>"
        if name in _UNORDERED and isinstance(value, list):
            rows = sorted(value, key=lambda row: self._text(row[_UNORDERED[name]]))
            return self.of(rows, name)
        if name == "members":  # of a server group: a set
            return sorted(self.of(each) for each in value)
        if name == "id" and isinstance(value, int):
            kind = "migration" if "source_compute" in holder else "number"
            return self._named(kind, str(value))
        return self.of(value, name)

    def _text(self, text: str) -> str:
        return _PATTERN.sub(lambda found: self._replaced(found), text)

    def _replaced(self, found: re.Match[str]) -> str:
        kind = (found.lastgroup or "").replace("_", " ")
        if kind == "root":
            return ""
        return "<time>" if kind == "time" else self._named(kind, found.group())

    def _named(self, kind: str, what: str) -> str:
        key = (kind, what)
        if key not in self._known:
            count = sum(1 for known, _ in self._known if known == kind)
            self._known[key] = f"<{kind} {count + 1}>"
        return self._known[key]


# -- comparing

# States that end by themselves: whoever polls may come too late for them. All others stay until
# somebody asks for something, and are seen.
_PASSING = {
    *("accepted", "queued", "preparing", "running", "post-migrating"),
    *("pre-migrating", "migrating", "confirming", "reverting"),
    *("server BUILD", "server DELETED"),
}


def is_passing(state: Sequence[Any]) -> bool:
    """Of a server: whether it has a task, or comes or goes; of a migration: if it is under way."""
    what = state[0]
    if not what.startswith("server"):
        return what in _PASSING
    is_found_off = what == "server ACTIVE" and state[3] == 4  # the power sync stops it at once
    return what in _PASSING or state[2] is not None or is_found_off


def lasting(states: Iterable[Sequence[Any]]) -> list[Any]:
    """The states that everybody sees, one after the other."""
    found: list[Any] = []
    for each in states:
        if not is_passing(each) and (not found or found[-1] != list(each)):
            found.append(list(each))
    return found


def differences(real: list[Entry], simulated: list[Entry]) -> list[str]:
    """Where two transcripts differ, first things first; empty: nowhere."""
    found = []
    for number, (one, other) in enumerate(zip(real, simulated, strict=False), 1):
        where = f"{number}. {one.get('asked') or one.get('watched')}"
        if "watched" in one and "watched" in other:
            found += [f"{where}: {each}" for each in _of_tracks(one, other)]
        else:
            found += [f"{where}: {each}" for each in _of_values(one, other, "")]
    if len(real) != len(simulated):
        found.append(f"{len(real)} answers of the real one, {len(simulated)} of the other")
    return found


def _of_tracks(one: Entry, other: Entry) -> list[str]:
    if one["watched"] != other["watched"] or set(one["seen"]) != set(other["seen"]):
        return [f"real {one}, simulated {other}"]
    found = []
    for what, real in one["seen"].items():
        simulated = other["seen"][what]
        if lasting(real) != lasting(simulated):
            found.append(f"{what}: real {real}, simulated {simulated}")
        elif not _is_within(real, simulated):
            found.append(f"{what}: only the real one shows some of {real}; simulated {simulated}")
    return found


def _is_within(few: list[Any], many: list[Any]) -> bool:
    rest = iter(many)
    return all(any(each == other for other in rest) for each in few)


def _of_values(one: Any, other: Any, where: str) -> list[str]:
    if isinstance(one, dict) and isinstance(other, dict):
        found = [f"{where}.{name} only real: {one[name]}" for name in one if name not in other]
        found += [
            f"{where}.{name} only simulated: {other[name]}" for name in other if name not in one
        ]
        for name in one:
            if name in other:
                found += _of_values(one[name], other[name], f"{where}.{name}")
        return found
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        found = []
        for number, (left, right) in enumerate(zip(one, other, strict=True)):
            found += _of_values(left, right, f"{where}[{number}]")
        return found
    return [] if one == other else [f"{where}: real {one!r}, simulated {other!r}"]


def same_recording(one: list[Entry], other: list[Entry]) -> bool:
    """Whether two transcripts of the real one are the same, but for what polling may miss."""
    return [_fixed(each) for each in one] == [_fixed(each) for each in other]


def _fixed(entry: Entry) -> Entry:
    if "watched" not in entry:
        return entry
    return {**entry, "seen": {what: lasting(each) for what, each in entry["seen"].items()}}


def read(file: Path) -> list[Entry]:
    """A recorded transcript: one entry a line."""
    return [json.loads(line) for line in file.read_text().splitlines()]


def write(file: Path, entries: list[Entry]) -> None:
    """Record a transcript."""
    file.write_text("".join(f"{json.dumps(each)}\n" for each in entries))
