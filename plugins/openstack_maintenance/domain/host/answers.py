"""The parsers of what a host answers over SSH. Nothing here does I/O.

A host answers every question with lines ``key=value``, keys may repeat, the last line is
``end=ok``: an answer without it was cut off and is not an answer. Only "\n" ends a line: what
else Python takes for a line's end can stand in a stranger's text, and must not forge a line.

What cannot be read counts in the safe direction: a guest's line without a readable pid is still
a guest, a process whose pid cannot be read is still there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from openstack_maintenance.domain.deployment import BROKER_PORTS
from openstack_maintenance.domain.foreign_text import brief, brief_list, whole_number
from openstack_maintenance.domain.host.facts import (
    BrokerSocket,
    GuestProcess,
    ScriptState,
    ScriptStatus,
    UnitKind,
    UnitState,
)
from openstack_maintenance.domain.host.reboot_reasons import (
    debian_marker,
    needs_restarting,
    newer_kernel,
)
from openstack_maintenance.domain.moment import parse_iso

Answers = Mapping[str, tuple[str, ...]]

# More than this no script of ours says: see the limits in adapters/remote.
MOST_LINES = 50_000
LONGEST_LINE = 8_192
_LONGEST_VALUE = 1_000
_MOST_OUTPUT = 100

# Entries and nothing between them: a process's name, 15 bytes, may end an entry, or begin one, but
# not both.
_SOCKET = re.compile(
    r"ESTAB\s+\d+\s+\d+\s+(?P<local>\S+)\s+(?P<peer>\S+)\s+"
    r'users:\((?P<users>(?:\("[^"]*",pid=[0-9]+,fd=[0-9]+\),?)+)\)'
)
_HOLDER = re.compile(r'",pid=(?P<pid>[0-9]+),fd=')
_GUEST_NAME = re.compile(r"\bguest=(?P<name>[^,\s]{1,200})")
_SYSTEMD_TIME = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}) ([0-9]{2}:[0-9]{2}:[0-9]{2}) UTC$")
_CONTAINER_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.[0-9]+)? ?"
    r"(Z|[+-][0-9]{2}:?[0-9]{2})"
)
_BOOT_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# Of a process that is there, but whose number cannot be read.
_UNREADABLE_PID = 0


def parse_answers(text: str) -> dict[str, tuple[str, ...]] | None:
    """Give all values by key, or None where the answer was cut off.

    Raises:
        ValueError: more than any script of ours says; the text tells which limit.
    """
    if text.count("\n") > MOST_LINES:
        raise ValueError(f"it has more than {MOST_LINES} lines")
    lines = [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]
    if len(max(lines, key=len)) > LONGEST_LINE:
        raise ValueError(f"one of its lines is longer than {LONGEST_LINE} characters")
    if lines[-1] != "end=ok":
        return None
    answers: dict[str, list[str]] = {}
    for line in lines:
        key, separator, value = line.partition("=")
        if separator:
            answers.setdefault(key, []).append(value)
    return {key: tuple(values) for key, values in answers.items()}


def one(answers: Answers, key: str) -> str:
    """The single value of a key; empty where the host gave none."""
    values = answers.get(key, ())
    return values[-1][:_LONGEST_VALUE].strip() if values else ""


def words(answers: Answers, key: str) -> str:
    """The single value of a key, as words for a person: short enough for a message."""
    return brief(one(answers, key))


def is_boot_id(text: str) -> bool:
    """Whether it is one: anything else says nothing of the boot, least of all that it changed."""
    return bool(_BOOT_ID.fullmatch(text))


def parse_clock(text: str) -> datetime:
    """Parse ``date +%Y-%m-%dT%H:%M:%S.%N%z``.

    Raises:
        ValueError: no aware time; the caller treats the host as unread.
    """
    clock = parse_iso(text)
    if clock is None:
        raise ValueError(f"its clock cannot be read: it says {brief(text, 100)!r}")
    if clock.tzinfo is None:
        raise ValueError(f"its clock has no UTC offset: it says {brief(text, 100)!r}")
    return clock


def parse_systemd_time(text: str) -> datetime | None:
    """Parse a time of ``TZ=UTC systemctl show``; systemd leaves it empty (or n/a) for never."""
    match = _SYSTEMD_TIME.search(text)
    return parse_iso(f"{match[1]}T{match[2]}+00:00") if match else None


def parse_container_time(text: str) -> datetime | None:
    """Parse Docker's RFC 3339 and Podman's ``2026-01-01 00:00:00.1 +0000 UTC``; year 1 is never."""
    match = _CONTAINER_TIME.match(text)
    moment = parse_iso(f"{match[1]}T{match[2]}{match[3]}") if match else None
    return moment.astimezone(UTC) if moment else None


def parse_unit(answers: Answers, name: str) -> UnitState:
    """nova-compute's state from ``unit.*`` (systemctl show) and ``container`` (inspect)."""
    pids = {whole_number(pid) or _UNREADABLE_PID for pid in answers.get("pid", ())}
    state = _unit_state(answers, name, pids)
    return replace(
        state,
        look_alikes=brief_list(answers.get("look_alike", ())),
        strays=tuple(map(_stray, brief_list(answers.get("stray", ()), longest=250))),
    )


def _unit_state(answers: Answers, name: str, pids: set[int]) -> UnitState:
    if one(answers, "unit.LoadState") not in ("", "not-found"):
        main_pid = one(answers, "unit.MainPID")
        return UnitState(
            name=one(answers, "unit.Id") or name,
            kind="systemd",
            active_state=one(answers, "unit.ActiveState"),
            sub_state=one(answers, "unit.SubState"),
            main_pid=_number(main_pid),
            pids=_processes(pids, main_pid),
            n_restarts=_number(one(answers, "unit.NRestarts")),
            active_enter=parse_systemd_time(one(answers, "unit.ActiveEnterTimestamp")),
            starts_at_boot=one(answers, "unit.UnitFileState"),
        )
    if container := one(answers, "container"):
        return _parse_container(container, one(answers, "engine"), pids)
    return UnitState(name, "absent")


def _stray(line: str) -> str:
    """A process and where it runs: systemd's cgroup is the last part of the line."""
    pid, _, cgroup = line.partition(" ")
    return f"{pid} {cgroup.rpartition(':')[2]}".strip()


def _parse_container(inspected: str, engine: str, pids: set[int]) -> UnitState:
    kind: UnitKind = "podman" if engine == "podman" else "docker"
    parts = inspected.split("|")
    if len(parts) != 7:
        said = f"unreadable ({brief(inspected, 100)})"
        return UnitState("its container", kind, "unknown", said, pids=tuple(sorted(pids)))
    _, name, status, pid, restarts, policy, started = parts
    stopped = status in ("exited", "created", "stopped")
    return UnitState(
        name=name.lstrip("/"),
        kind=kind,
        active_state={"running": "active"}.get(status, "inactive" if stopped else status),
        sub_state=status,
        main_pid=_number(pid),
        pids=_processes(pids, pid),
        n_restarts=_number(restarts),
        active_enter=parse_container_time(started),
        starts_at_boot=policy,
    )


def _processes(pids: set[int], main_pid: str) -> tuple[int, ...]:
    """The cgroup's processes; a main process whose number cannot be read is one of them."""
    is_unreadable = bool(main_pid) and whole_number(main_pid) is None
    return tuple(sorted({*pids, _UNREADABLE_PID} if is_unreadable else pids))


def parse_guests(lines: Iterable[str]) -> tuple[GuestProcess, ...]:
    """Parse lines ``PID NAME ARGUMENTS`` of guest processes; libvirt passes ``guest=NAME``."""
    return tuple(map(_guest, lines))


def _guest(line: str) -> GuestProcess:
    pid, _, rest = line.strip().partition(" ")
    if whole_number(pid) is None:
        return GuestProcess(_UNREADABLE_PID, brief(line.strip(), 100) or "a guest")
    name, _, arguments = rest.strip().partition(" ")
    match = _GUEST_NAME.search(arguments)
    return GuestProcess(int(pid), brief(name, 100), match["name"] if match else "")


def parse_reboot_reasons(answers: Answers, booted: datetime | None) -> tuple[tuple[str, ...], str]:
    """Why the host wants a reboot, marker by marker, and why that could not be read in full."""
    files = answers.get("file", ())
    marked = any(line.endswith(" /run/reboot-required") for line in files)
    needs, unread = needs_restarting(
        one(answers, "needs_restarting"), answers.get("needs_restarting_line", ())
    )
    reasons = (
        debian_marker(marked, answers.get("reboot_package", ())),
        needs,
        newer_kernel(one(answers, "kernel"), files, booted),
    )
    return tuple(each for each in reasons if each), unread or ""


def parse_sockets(
    lines: Iterable[str], pids: Iterable[int], ports: Iterable[int] | None = BROKER_PORTS
) -> tuple[BrokerSocket, ...]:
    """Parse lines of ``ss -tnp``: established, held by one of ``pids``, to one of ``ports``.

    ``ports``: None for any.
    """
    accepted = None if ports is None else {str(port) for port in ports}
    wanted = {pid for pid in pids if pid != _UNREADABLE_PID}
    sockets = []
    for line in lines:
        match = _SOCKET.fullmatch(line.strip())
        if match is None:
            continue
        if accepted is not None and match["peer"].rpartition(":")[2] not in accepted:
            continue
        holders = {_number(each["pid"]) for each in _HOLDER.finditer(match["users"])}
        sockets += [
            BrokerSocket(pid, match["local"], match["peer"]) for pid in sorted(holders & wanted)
        ]
    return tuple(sockets)


def parse_script(answers: Answers, unit: str) -> ScriptState:
    """A transient unit's state; "failed" and a non-zero exit are failures, nothing else is."""
    active, sub = one(answers, "unit.ActiveState"), one(answers, "unit.SubState")
    if one(answers, "unit.LoadState") in ("", "not-found"):
        return ScriptState(unit, "absent")
    status: ScriptStatus = "running"
    if active == "failed":
        status = "failed"
    elif (active, sub) == ("active", "exited"):
        status = "succeeded" if one(answers, "unit.Result") == "success" else "failed"
    elif active == "inactive":
        status = "absent"
    ended = parse_systemd_time(one(answers, "unit.ExecMainExitTimestamp"))
    return ScriptState(
        unit,
        status,
        exit_code=None if status == "running" else _number(one(answers, "unit.ExecMainStatus")),
        result=one(answers, "unit.Result"),
        started=parse_systemd_time(one(answers, "unit.ExecMainStartTimestamp")),
        ended=None if status == "running" else ended,
        output=parse_output(answers),
    )


def parse_output(answers: Answers) -> tuple[str, ...]:
    """The last lines that a journal holds."""
    return tuple(brief(line, _LONGEST_VALUE) for line in answers.get("output", ())[-_MOST_OUTPUT:])


def _number(text: str) -> int:
    return whole_number(text) or 0
