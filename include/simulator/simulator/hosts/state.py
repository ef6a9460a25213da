"""What a host is made of, as plain data. Nothing here does anything by itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

Loaded = Literal["loaded", "masked", "not-found"]

# systemd.journal-fields(7), `journalctl --catalog`
STARTED = "39f53479d3a045ac8e11786248231fbf"
STOPPED = "9d1aaa27d60140bd96365438aad20286"
EXITED = "98e322203f7a4ed290d09fe03c09fe15"
FAILED = "d9b373ed55a64feb8242e02dbe79a49c"
FAREWELL = "d93fb3c9c24d451a97cea615ce59c00b"


@dataclass
class HostClock:
    """A host's own clock: ``ahead`` seconds at the moment ``since``, and drifting from there."""

    zone: str = "Etc/UTC"
    ahead: float = 0.0
    drift: float = 0.0  # seconds a second
    since: float = 0.0

    def at(self, moment: float) -> datetime:
        """What it shows at a moment of the world (seconds since 1970)."""
        seconds = moment + self.ahead + self.drift * (moment - self.since)
        return datetime.fromtimestamp(seconds, ZoneInfo(self.zone))

    def set(self, moment: float, ahead: float) -> None:
        """Somebody sets it."""
        self.ahead, self.since = ahead, moment


@dataclass
class Unit:
    """A systemd unit. Times are of the host's clock."""

    name: str
    load: Loaded = "loaded"
    active: str = "inactive"
    sub: str = "dead"
    main_pid: int = 0
    n_restarts: int | None = 0  # None: systemd before 235
    file_state: str = "enabled"
    result: str = "success"
    exit_code: int = 0
    active_enter: datetime | None = None
    inactive_enter: datetime | None = None
    exec_start: datetime | None = None
    exec_exit: datetime | None = None

    def shown(self) -> dict[str, str]:
        """All properties that are ever asked for, as ``TZ=UTC systemctl show`` prints them."""
        restarts = {} if self.n_restarts is None else {"NRestarts": str(self.n_restarts)}
        return {
            "MainPID": str(self.main_pid),
            "Result": self.result,
            **restarts,
            "ExecMainStartTimestamp": systemd_time(self.exec_start),
            "ExecMainExitTimestamp": systemd_time(self.exec_exit),
            "ExecMainStatus": str(self.exit_code),
            "Id": self.name,
            "LoadState": self.load,
            "ActiveState": self.active,
            "SubState": self.sub,
            "UnitFileState": self.file_state,
            "ActiveEnterTimestamp": systemd_time(self.active_enter),
            "InactiveEnterTimestamp": systemd_time(self.inactive_enter),
        }


def systemd_time(at: datetime | None) -> str:
    """As systemd prints it under TZ=UTC; nothing for never."""
    return f"{at.astimezone(UTC):%a %Y-%m-%d %H:%M:%S} UTC" if at else ""


@dataclass
class Container:
    """A container of Docker or Podman."""

    name: str
    engine: Literal["docker", "podman"] = "docker"
    id: str = ""
    status: str = "running"
    pid: int = 0
    restarts: int = 0
    policy: str = "unless-stopped"
    started: datetime | None = None
    log: list[str] = field(default_factory=list)

    def inspected(self) -> str:
        """ID|NAME|STATUS|PID|RESTARTS|RESTART POLICY|STARTED, as its engine prints them."""
        title, started = f"/{self.name}", "0001-01-01T00:00:00Z"
        if self.started:
            started = f"{self.started.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}Z"
        if self.engine == "podman":
            title = self.name
            started = started.replace("T", " ").replace("Z", " +0000 UTC")
        parts = (self.id, title, self.status, self.pid, self.restarts, self.policy, started)
        return "|".join(map(str, parts))


@dataclass(frozen=True)
class Process:
    """A line of ``ps``, and the control group that the process is in."""

    pid: int
    comm: str
    args: str
    cgroup: str = "/"


@dataclass(frozen=True)
class Socket:
    """An established TCP connection."""

    local: str
    peer: str
    program: str
    pid: int
    fd: int = 4

    def __str__(self) -> str:
        return (
            f"ESTAB      0      0      {self.local} {self.peer}  "
            f'users:(("{self.program}",pid={self.pid},fd={self.fd}))'
        )


@dataclass
class LogFile:
    """A log, and the one before it: logrotate names that LOG.1, LOG-DATE or LOG.1.gz."""

    path: str
    lines: list[str] = field(default_factory=list)
    modified: datetime | None = None
    is_there: bool = True
    folder_is_open: bool = True
    is_readable: bool = True  # by the login itself
    older: list[str] | None = None
    older_ending: str = ".1"

    def write(self, line: str, at: datetime) -> None:
        """A program writes a line."""
        self.is_there = True
        self.lines.append(line)
        self.modified = at

    def rotate(self, at: datetime, ending: str = ".1") -> None:
        """logrotate moves it away, and nova-compute goes on in an empty one."""
        self.older, self.older_ending, self.lines, self.modified = self.lines, ending, [], at


@dataclass(frozen=True)
class Entry:
    """An entry of the journal. ``unit``: whom it is about, or who wrote it (``by`` other than
    systemd). ``id``: systemd's message id.
    """

    at: datetime
    boot_id: str
    unit: str
    text: str
    by: str = "systemd"
    pid: int = 1
    id: str = ""
    job: str = ""  # start, stop

    @property
    def is_systemds(self) -> bool:
        return self.pid == 1

    def short_iso(self, hostname: str) -> str:
        """As ``journalctl -o short-iso`` prints it."""
        return f"{self.at:%Y-%m-%dT%H:%M:%S%z} {hostname} {self.by}[{self.pid}]: {self.text}"

    def plain(self) -> dict[str, str]:
        """As ``journalctl -o json`` has it."""
        row = {
            "__REALTIME_TIMESTAMP": str(int(self.at.timestamp() * 1_000_000)),
            "_BOOT_ID": self.boot_id.replace("-", ""),
            "MESSAGE": self.text,
        }
        row |= {"MESSAGE_ID": self.id} if self.id else {}
        row |= {"UNIT": self.unit} if self.is_systemds and self.unit else {}
        return row | ({"JOB_TYPE": self.job, "JOB_RESULT": "done"} if self.job else {})


@dataclass
class Boot:
    """A boot as the journal has it."""

    id: str
    first: datetime
    last: datetime


@dataclass
class Login:
    """What the SSH login may do. ``denied``: shell patterns of commands that sudo refuses;
    ``aside``: what sudo says beside everything it does.
    """

    user: str = "maintenance"
    is_root: bool = False
    reads_journal: bool = True
    denied: list[str] = field(default_factory=list)
    refusal: str = "sudo: a password is required"
    aside: str = ""

    def why_not(self, command: str) -> str:
        """What sudo says where it refuses a command; nothing where it runs it."""
        if self.is_root or not any(fnmatchcase(command, each) for each in self.denied):
            return ""
        return f"{self.aside}\n{self.refusal}" if self.aside else self.refusal


@dataclass
class ForcedCommand:
    """maintenance-shell: the scripts of the release that was installed, by sha256 and name."""

    allowed: set[tuple[str, str]]

    def knows(self, digest: str) -> bool:
        """Whether a maintenance script is one of those that were installed."""
        return any(each == digest and name.startswith("scripts/") for each, name in self.allowed)


@dataclass
class Packages:
    """What a package manager left behind: who wants a reboot. Times are of the host's clock."""

    kernel: str = "6.1.0-31-amd64"
    kernels: dict[str, datetime] = field(default_factory=dict)  # installed, and since when
    is_held: bool = False  # the bootloader stays with the kernel it has
    required_since: datetime | None = None  # /run/reboot-required
    wanted_by: list[str] = field(default_factory=list)  # /run/reboot-required.pkgs
    needs_restarting: tuple[int, list[str]] | None = None  # `needs-restarting -r`, where it is


class Said(NamedTuple):
    """How a program ended, and what it said."""

    status: int = 0
    out: str = ""
    err: str = ""

    @property
    def mixed(self) -> str:
        """Both, as ``2>&1`` gives them."""
        return "\n".join(filter(None, (self.err, self.out)))

    @property
    def beside(self) -> str:
        """What ``apart`` in common.sh keeps of stderr: its last line's end, too."""
        return f"{self.err}\n" if self.err else ""


@dataclass
class HostState:
    """Everything that can be asked about over SSH."""

    hostname: str
    fqdn: str
    boot_id: str
    booted: datetime  # when userspace started
    clock: HostClock = field(default_factory=HostClock)
    login: Login = field(default_factory=Login)
    forced: ForcedCommand | None = None
    units: dict[str, Unit] = field(default_factory=dict)
    containers: dict[str, Container] = field(default_factory=dict)
    broken_engines: dict[str, str] = field(default_factory=dict)  # engine -> what it says
    processes: list[Process] = field(default_factory=list)
    sockets: list[Socket] = field(default_factory=list)
    logs: dict[str, LogFile] = field(default_factory=dict)
    journal: list[Entry] = field(default_factory=list)
    boots: list[Boot] = field(default_factory=list)
    packages: Packages = field(default_factory=Packages)
    systemd_is_silent: bool = False
    hides_processes: bool = False  # /proc is mounted with hidepid
    disk_is_full: bool = False
    # Of a controller: what its own programs answer.
    broker: Said = field(default=Said(127, "", "sudo: rabbitmqctl: command not found"))
    broker_is_old: bool = False  # before 3.7: it knows no --formatter
    database: Said = field(default=Said(127, "", "sudo: mysql: command not found"))
    cache: Said = field(default=Said(1, "", "bash: connect: Connection refused"))
    is_synchronised: bool = True

    @property
    def engines(self) -> set[str]:
        """The container engines that are installed."""
        return {each.engine for each in self.containers.values()} | set(self.broken_engines)

    def unit(self, name: str) -> Unit:
        """A unit as systemd shows it: one that it does not know is not found."""
        absent = Unit(name, load="not-found", file_state="")
        return self.units.get(name, absent)

    def pids_in(self, cgroup: str) -> list[int]:
        """The processes whose control group carries this text."""
        return sorted(each.pid for each in self.processes if cgroup in each.cgroup)

    def note(self, entry: Entry) -> None:
        """journald takes an entry."""
        if not self.disk_is_full:
            self.journal.append(entry)
        if self.boots:
            self.boots[-1].last = max(self.boots[-1].last, entry.at)
