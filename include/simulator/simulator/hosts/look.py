"""What the scripts read on a host: its units, containers, processes, logs and journal."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC
from fnmatch import fnmatchcase
from typing import NamedTuple

from simulator.hosts.state import Container, Entry, HostState, LogFile, Said, systemd_time
from simulator.hosts.words import Words, cut, one_line

SHOWN = (
    "MainPID",
    "Result",
    "NRestarts",
    "ExecMainStartTimestamp",
    "ExecMainExitTimestamp",
    "ExecMainStatus",
    "Id",
    "LoadState",
    "ActiveState",
    "SubState",
    "UnitFileState",
    "ActiveEnterTimestamp",
)
_TELLING = re.compile(r"AMQP server|Starting compute node|[Cc]onnection failed: ")
_BROKER_PORTS = ("5671", "5672")
_DATED = re.compile(r"[0-9]{4}-")
_GUESTS = ("qemu-system*", "qemu-kvm", "kvm")
# What QEMU does for the host itself, after the program's own name.
_PROBE = re.compile(r" -S -no-user-config -nodefaults .*( -machine none[, ]| -M none )")
_APPLIANCE = re.compile(r" -name (guest=)?guestfs-")
_KERNEL = re.compile(r" -kernel .*/\.guestfs-.*/appliance\.d/kernel")
_NOBODY_MAY = "No journal files were opened due to insufficient permissions."


class Managed(NamedTuple):
    """Whether anything manages nova-compute, and its processes."""

    is_managed: bool
    pids: list[int]


class Look:
    """One look: what it says goes into ``words``. ``now``: seconds since 1970, the world's."""

    def __init__(self, host: HostState, now: Callable[[], float], words: Words) -> None:
        self.host = host
        self.words = words
        self._now = now
        self.engine = ""  # of the container that was found last
        self.container: Container | None = None
        self.error = ""  # what the engine that was asked last said beside its answer

    # The host.

    def clock(self) -> str:
        """``date +%Y-%m-%dT%H:%M:%S.%N%z``"""
        at = self.host.clock.at(self._now())
        return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond:06}000{at:%z}"

    def userspace(self) -> None:
        if not self.host.systemd_is_silent:
            self.words.say("UserspaceTimestamp", systemd_time(self.host.booted))

    # sudo.

    def sudo(self, command: str, done: Callable[[], Said]) -> Said:
        """Run a command as root; what sudo says comes with what the command says on stderr."""
        login = self.host.login
        if refusal := login.why_not(command):
            return Said(1, "", refusal)
        said = done()
        if login.is_root or not login.aside:
            return said
        return Said(said.status, said.out, "\n".join(filter(None, (login.aside, said.err))))

    def needs(self, *command: str) -> None:
        """Name a command that sudo would refuse."""
        if self.host.login.why_not(" ".join(command)):
            self.words.say("sudo_missing", " ".join(command))

    # systemd.

    def is_known(self, unit: str) -> bool:
        if self.host.systemd_is_silent:
            raise self.words.not_now("systemd does not answer (systemctl show gave nothing)")
        return self.host.unit(unit).load != "not-found"

    def show_unit(self, unit: str) -> None:
        if self.host.systemd_is_silent:
            return
        shown = self.host.unit(unit).shown()
        for name in SHOWN:
            if name in shown:
                self.words.say(f"unit.{name}", shown[name])

    # Containers.

    def find_container(self, name: str, engines: str) -> Container | None:
        """A container, from the first engine that has it."""
        self.engine, self.container = "", None
        for engine in engines.split():
            if engine not in self.host.engines:
                continue
            said = self.inspect(engine, [name])
            self.error = said.beside
            if said.status == 0:
                self.engine, self.container = engine, self.host.containers[name]
                return self.container
            if "o such" not in said.err:
                raise self.words.fail(
                    f"{engine} cannot be asked about container {name}: {one_line(said.beside)}"
                )
        return None

    def inspect(self, engine: str, names: Sequence[str]) -> Said:
        """``ENGINE inspect --type container --format ... -- NAMES``"""
        return self.sudo(
            f"{engine} inspect {' '.join(names)}", lambda: self._inspect(engine, names)
        )

    def _inspect(self, engine: str, names: Sequence[str]) -> Said:
        if broken := self.host.broken_engines.get(engine):
            return Said(1, "", broken)
        mine = {key: each for key, each in self.host.containers.items() if each.engine == engine}
        found = [mine[name].inspected() for name in names if name in mine]
        missing = [f"Error: No such container: {name}" for name in names if name not in mine]
        return Said(1 if missing else 0, "\n".join(found), "\n".join(missing))

    def nova_compute(self, unit: str, container: str, engines: str) -> Managed:
        """Who manages it, its state and all its processes."""
        is_managed, pids, identity = self.is_known(unit), list[int](), f"/{unit}"
        if is_managed:
            self.show_unit(unit)
            pids += self.host.pids_in(f"/{unit}")
        if container and (found := self.find_container(container, engines)):
            is_managed = True
            self.words.say("engine", self.engine)
            self.words.say("container", found.inspected())
            identity = found.id
            pids += self.host.pids_in(found.id)
        self.words.each("pid", map(str, pids))
        self._strays(f"/{unit}", identity)
        if not is_managed:
            self.look_alikes(engines)
        return Managed(is_managed, pids)

    def _strays(self, *own: str) -> None:
        """Processes called nova-compute whose control group is none of its own."""
        for each in self.host.processes:
            if each.comm == "nova-compute" and not any(name in each.cgroup for name in own):
                self.words.say("stray", f"{each.pid} {cut(each.cgroup, 200)}")

    def look_alikes(self, engines: str) -> None:
        self.words.each("look_alike", (name for name in self.host.units if "nova" in name))
        for engine in engines.split():
            said = self.sudo(f"{engine} ps -a --format {{{{.Names}}}}", lambda: Said())
            if said.status or engine in self.host.broken_engines:
                continue
            for each in self.host.containers.values():
                if each.engine == engine and "nova" in each.name:
                    self.words.say("look_alike", f"{engine} container {each.name}")

    # Processes.

    def ps(self) -> list[str]:
        """``ps -eo pid=,comm=,args=``, each line at most 1000 bytes."""
        shown = [each for each in self.host.processes if each.pid > 1 or not self._hides()]
        shown = [each for each in shown if not self._hides() or each.comm == "sshd"]
        return [cut(f"{each.pid:7} {each.comm[:15]:15} {each.args}", 1000) for each in shown]

    def _hides(self) -> bool:
        return self.host.hides_processes

    def guests(self, patterns: Sequence[str]) -> list[str]:
        """Each guest's process. Raises: Ended."""
        lines = self.ps()
        if not any(re.match(" *1 ", line) for line in lines):
            raise self.words.fail(
                "guest processes cannot be seen: ps does not show process 1 "
                "(is /proc mounted with hidepid?)"
            )
        return [found for line in lines if (found := _guest(line, (*_GUESTS, *patterns)))]

    def sockets(self, ports: Sequence[str]) -> None:
        said = self.sudo("ss -tnp", lambda: Said(0, "\n".join(map(str, self.host.sockets))))
        if said.status:
            self.words.say("sockets_error", one_line(said.beside))
            return
        to_broker = re.compile(f":({'|'.join(ports or _BROKER_PORTS)}) ")
        lines = said.out.split("\n")
        held = [line for line in lines if to_broker.search(line)]
        others = [each for each in lines if each not in held and "nova-compute" in each]
        self.words.each("socket", (cut(line, 1000) for line in held))
        self.words.each("other_socket", (cut(line, 1000) for line in others[:20]))

    # Logs.

    def choose_log(self, logs: str) -> LogFile:
        """The one written last; the first where the folder cannot be looked into."""
        paths = logs.split(":")
        there = [log for path in paths if (log := self.host.logs.get(path)) and _is_seen(log)]
        there.sort(key=lambda log: log.path)
        there.sort(key=lambda log: log.modified or self.host.booted, reverse=True)
        if there:
            return there[0]
        return self.host.logs.get(paths[0]) or LogFile(paths[0], is_there=False)

    def read_log(self, log: LogFile, lines: Sequence[str], path: str) -> Said:
        """Its end, directly or as root."""
        text = Said(0, "\n".join(lines))
        if _is_seen(log) and log.is_readable:
            return text
        missing = f"tail: cannot open '{path}' for reading: No such file or directory"
        found = text if log.is_there else Said(1, "", missing)
        return self.sudo(f"tail -c 16777216 -- {path}", lambda: found)

    def log_error(self, log: LogFile) -> None:
        said = self.read_log(log, log.lines, log.path)
        if said.status:
            self.words.say("log_error", one_line(said.err))

    def amqp_lines(self, log: LogFile) -> None:
        """The last lines about the broker, and how new the log is."""
        lines = [*self._older(log), *self._lines(log)]
        telling = [line for line in lines if _TELLING.search(line)]
        self.words.each("line", (cut(line, 1000) for line in telling[-200:]))
        dated = [line for line in self._lines(log)[-200:] if _DATED.match(line)]
        self.words.say("newest", cut(dated[-1], 300) if dated else "")
        modified = log.modified if _is_seen(log) else None
        utc = modified.astimezone(UTC) if modified else None
        self.words.say("modified", f"{utc:%Y-%m-%dT%H:%M:%S%z}" if utc else "")

    def _lines(self, log: LogFile) -> list[str]:
        return self.read_log(log, log.lines, log.path).out.splitlines() if log.is_there else []

    def _older(self, log: LogFile) -> list[str]:
        if log.older is None or not log.folder_is_open:
            return []
        if log.older_ending.endswith(".gz"):
            return log.older if log.is_readable else []
        return self.read_log(log, log.older, log.path + log.older_ending).out.splitlines()

    # The journal.

    def journal(self, options: str, entries: Iterable[str]) -> list[str]:
        """What ``journalctl --no-pager OPTIONS`` prints of these entries, as the login may."""
        if not self.may_read_journal(f"journalctl --no-pager {options}"):
            return [_NOBODY_MAY]
        shown = [cut(line, 1000) for line in entries]
        return shown or ([] if options.startswith("-q") else ["-- No entries --"])

    def may_read_journal(self, command: str) -> bool:
        login = self.host.login
        return login.is_root or login.reads_journal or not login.why_not(command)

    def entries(self, unit: str) -> list[Entry]:
        """All entries about a unit, or by it: ``journalctl -u UNIT``."""
        return [each for each in self.host.journal if each.unit == unit]


def _is_seen(log: LogFile) -> bool:
    return log.is_there and log.folder_is_open


def _guest(line: str, patterns: Iterable[str]) -> str:
    pid, comm, args = (*line.split(None, 2), "", "")[:3]
    args = args.rstrip()
    if _is_no_guest(args.partition(" ")[0], args):
        return ""
    program = args.partition(" ")[0].rpartition("/")[2]
    for pattern in patterns:
        if fnmatchcase(comm, pattern):
            return f"{pid} {comm} {args}"
        if fnmatchcase(program, pattern):
            return f"{pid} {program} {args}"
    return ""


def _is_no_guest(program: str, args: str) -> bool:
    """libvirt asks QEMU what it can do, or libguestfs looks into an image."""
    own = args.removeprefix(program)
    if _PROBE.match(own) or _APPLIANCE.match(own):
        return True
    return not own.startswith(" -name ") and bool(_KERNEL.search(own))
