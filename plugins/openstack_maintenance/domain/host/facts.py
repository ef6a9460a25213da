"""What is read from a host over SSH, and the parsers of the answers. Nothing here does I/O.

A host answers every question with lines ``key=value``, keys may repeat, the last line is
``end=ok``: an answer without it was cut off and is not an answer. Only "\n" ends a line: what
else Python takes for a line's end can stand in a stranger's text, and must not forge a line.

What cannot be read counts in the safe direction: a guest's line without a readable pid is still
a guest, a process whose pid cannot be read is still there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from openstack_maintenance.domain.blocker import Blocker
from openstack_maintenance.domain.foreign_text import brief, brief_list, whole_number
from openstack_maintenance.domain.host.amqp_log import LogFile
from openstack_maintenance.domain.host.reboot_reasons import (
    debian_marker,
    needs_restarting,
    newer_kernel,
)
from openstack_maintenance.domain.moment import parse_iso

UnitKind = Literal["systemd", "docker", "podman", "absent"]
ScriptStatus = Literal["absent", "running", "succeeded", "failed"]
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
_BROKER_PORTS = ("5671", "5672")
_GUEST_NAME = re.compile(r"\bguest=(?P<name>[^,\s]{1,200})")
_SYSTEMD_TIME = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}) ([0-9]{2}:[0-9]{2}:[0-9]{2}) UTC$")
_CONTAINER_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.[0-9]+)? ?"
    r"(Z|[+-][0-9]{2}:?[0-9]{2})"
)
_BOOT_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# Of a process that is there, but whose number cannot be read.
_UNREADABLE_PID = 0


@dataclass(frozen=True)
class UnitState:
    """nova-compute as the host's service manager sees it, and the processes that it has.

    ``kind`` says who manages it ("absent": nobody here knows it; ``look_alikes`` then names what
    is similar). ``pids`` are all live processes of its cgroup, 0 for one whose number cannot be
    read. ``starts_at_boot`` is what the manager says: "enabled", "disabled", "masked", or a
    container's restart policy.
    """

    name: str
    kind: UnitKind
    active_state: str = ""
    sub_state: str = ""
    main_pid: int = 0
    pids: tuple[int, ...] = ()
    n_restarts: int = 0
    active_enter: datetime | None = None
    starts_at_boot: str = ""
    look_alikes: tuple[str, ...] = ()

    @property
    def is_active(self) -> bool:
        return self.active_state == "active" and bool(self.main_pid or any(self.pids))

    @property
    def is_gone(self) -> bool:
        """No process is left and none is about to come: "failed" is as gone as "inactive"."""
        idle = self.active_state in ("inactive", "failed")
        return self.kind != "absent" and idle and not self.main_pid and not self.pids

    @property
    def is_back_after_boot(self) -> bool:
        """Whether the manager starts it at boot; a container that was stopped by hand is not."""
        return self.starts_at_boot in ("enabled", "enabled-runtime", "static", "always", "linked")

    def __str__(self) -> str:
        if self.kind == "absent":
            return f"{self.name}: no such unit or container"
        shown = brief_list([pid or "with an unreadable number" for pid in self.pids])
        pids = f", processes {', '.join(shown)}" if self.pids else ", no process"
        return f"{self.name} ({self.kind}): {self.active_state}/{self.sub_state}{pids}"


@dataclass(frozen=True)
class GuestProcess:
    """A process of a guest on the host; ``guest`` is libvirt's name where it can be read.

    ``pid`` is 0 where it could not be read: a guest is there all the same.
    """

    pid: int
    name: str
    guest: str = ""

    def __str__(self) -> str:
        return f"{self.guest or self.name} (process {self.pid or 'unreadable'})"


@dataclass(frozen=True)
class HostFacts:
    """What one look at a host found; all times are the host's own clock.

    ``log_error`` and ``sudo_missing`` are empty where the log can be read and every command
    that maintenance needs may be run without a password. ``script_refused``: the login's forced
    command does not let the script that was asked about through. ``reboot_reasons``: why it wants a
    reboot, for people; ``reboot_unread``: why that could not be read in full, if it could not.
    """

    hostname: str
    fqdn: str
    boot_id: str
    booted: datetime | None
    clock: datetime
    zone_name: str
    nova_compute: UnitState
    log_path: str
    log_error: str
    sudo_missing: tuple[str, ...]
    guests: tuple[GuestProcess, ...]
    script_refused: bool = False
    reboot_reasons: tuple[str, ...] = ()
    reboot_unread: str = ""

    @property
    def reboot_required(self) -> bool:
        return bool(self.reboot_reasons)


@dataclass(frozen=True)
class BrokerSocket:
    """An established TCP connection of a nova-compute process to a broker's port."""

    pid: int
    local: str
    peer: str


@dataclass(frozen=True)
class AmqpEvidence:
    """What a host shows of nova-compute's tie to the broker: its log and its sockets.

    ``log_error`` and ``sockets_error`` say why one of the two could not be read.
    """

    boot_id: str
    clock: datetime
    zone_name: str
    nova_compute: UnitState
    log_path: str
    log_error: str
    log: LogFile
    sockets: tuple[BrokerSocket, ...]
    sockets_error: str


@dataclass(frozen=True)
class RebootAnswer:
    """What the host said when asked to reboot; only a changed boot_id proves a reboot.

    ``asked``: systemd took the order. ``already_rebooted``: its boot_id was not the expected one,
    nothing was done. ``unknown``: the connection broke before an answer came.
    ``clock`` is the host's time just before the order.
    """

    outcome: Literal["asked", "already_rebooted", "unknown"]
    boot_id: str = ""
    clock: datetime | None = None


@dataclass(frozen=True)
class ScriptState:
    """A maintenance script that runs, or ran, as a transient unit since the host's boot."""

    unit: str
    status: ScriptStatus
    exit_code: int | None = None
    result: str = ""
    started: datetime | None = None
    ended: datetime | None = None
    output: tuple[str, ...] = ()


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
        raise ValueError(f"its clock carries no UTC offset: it says {brief(text, 100)!r}")
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
    return UnitState(name, "absent", look_alikes=brief_list(answers.get("look_alike", ())))


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


def parse_sockets(lines: Iterable[str], pids: Iterable[int]) -> tuple[BrokerSocket, ...]:
    """Parse lines of ``ss -tnp``: established, held by one of ``pids``, to a broker's port."""
    wanted = {pid for pid in pids if pid != _UNREADABLE_PID}
    sockets = []
    for line in lines:
        match = _SOCKET.fullmatch(line.strip())
        if match is None or match["peer"].rpartition(":")[2] not in _BROKER_PORTS:
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


def find_wrong_host(facts: HostFacts, service_host: str, hypervisor: str) -> Blocker | None:
    """Say why the SSH target is not the Nova host, or None where it is.

    A full name must equal one of Nova's two names. A short name is enough only while the domains
    do not contradict each other: c01.east is not c01.west.
    """
    ours = {name.lower().rstrip(".") for name in (facts.hostname, facts.fqdn) if _is_name(name)}
    novas = {name.lower().rstrip(".") for name in (service_host, hypervisor) if _is_name(name)}
    if ours & novas:
        return None
    same_short = {_short(name) for name in ours} & {_short(name) for name in novas}
    our_domains, nova_domains = _domains(ours), _domains(novas)
    if same_short and (not our_domains or not nova_domains or our_domains & nova_domains):
        return None
    return Blocker(
        service_host,
        f"the SSH address leads to {facts.fqdn or facts.hostname} (hostname {facts.hostname}), "
        f"not to Nova's host {service_host} (hypervisor {hypervisor or 'unknown'})",
        f"Set `addresses: {{{service_host}: ADDRESS}}` in the policy to this host's SSH address; "
        "if the address is right, make `hostname -f` on the host give the name that Nova uses.",
    )


def _is_name(name: str) -> bool:
    return bool(name) and not name.lower().startswith("localhost")


def _short(name: str) -> str:
    return name.partition(".")[0]


def _domains(names: Iterable[str]) -> set[str]:
    return {name.partition(".")[2] for name in names if "." in name}


def _number(text: str) -> int:
    return whole_number(text) or 0
