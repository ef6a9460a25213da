"""A simulated host answers as the project's real scripts do, line by line, in every state.

Each state is played twice: by the simulated host, and by the real script under dash on a machine
whose programs say what the state holds. The answers are compared, and what the real adapters read
from them.
"""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hosts_replayed import ReplayedHost
from openstack_maintenance.adapters import controller
from openstack_maintenance.adapters.deployment_files import load_deployment
from openstack_maintenance.adapters.host import Host
from openstack_maintenance.adapters.shell import Answer, Shell
from openstack_maintenance.domain.deployment import BROKER_PORTS, NovaCompute, Service
from openstack_maintenance.domain.errors import MaintenanceError
from openstack_maintenance.domain.host.answers import parse_answers
from simulator.hosts import controller_scripts, scripts
from simulator.hosts.state import (
    FAILED,
    FAREWELL,
    STARTED,
    Boot,
    Container,
    Entry,
    ForcedCommand,
    HostClock,
    HostState,
    LogFile,
    Login,
    Packages,
    Process,
    Said,
    Socket,
    Unit,
)

# Hundreds of shells.
pytestmark = pytest.mark.thorough

DEPLOYMENTS = Path(__file__).parents[2] / "include/deployments"
DEBIAN = load_deployment("debian", DEPLOYMENTS)
KOLLA = load_deployment("kolla", DEPLOYMENTS)
NOW = datetime(2026, 3, 10, 1, 15, 30, 250_000, tzinfo=UTC)
BOOT = "6f1f3f0a-5f39-4d5e-a6c0-0d4bb1d5f001"
OTHER_BOOT = "7a2b3f0a-5f39-4d5e-a6c0-0d4bb1d5f002"
UNIT = "nova-compute.service"
KOLLA_UNIT = "kolla-nova_compute-container.service"
SCRIPT_UNIT = "openstack-maintenance-0123456789ab.service"
SCRIPT = b"#!/bin/sh\nexit 0\n"
DONE = Said()
NIGHT = (NOW - timedelta(hours=3), NOW - timedelta(hours=2))
BROKEN = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock."


def ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


def healthy(folder: Path) -> HostState:
    log = LogFile(
        str(folder / "log/nova-compute.log"),
        lines=[
            "2026-03-10 01:10:00.281 61 INFO nova.service [-] Starting compute node (version 34)",
            "2026-03-10 01:10:01.672 61 DEBUG oslo.messaging._drivers.impl_rabbit [-] [28f02a4c] "
            "Connected to AMQP server on 10.0.0.10:5672 via [amqp] client with port 34708.",
            "a line without a date, and é",
            "2026-03-10 01:10:02.002 61 INFO nova.virt.node [-] Determined node identity",
        ],
        modified=ago(minutes=5),
    )
    return HostState(
        hostname="c01",
        fqdn="c01.example.com",
        boot_id=BOOT,
        booted=ago(hours=4),
        units={UNIT: running(UNIT, 61), "nova-other.service": running("nova-other.service", 62)},
        processes=[
            Process(1, "systemd", "/sbin/init"),
            Process(60, "sshd", "sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups"),
            Process(61, "nova-compute", "/usr/bin/python3 nova-compute", f"/system.slice/{UNIT}"),
        ],
        sockets=[
            Socket("10.0.0.11:22", "10.0.0.1:44374", "sshd", 60),
            Socket("10.0.0.11:34640", "10.0.0.10:5672", "nova-compute", 61),
            Socket("10.0.0.11:34644", "10.0.0.10:5671", "nova-compute", 61, 5),
        ],
        logs={log.path: log},
        journal=[
            Entry(ago(minutes=6), BOOT, UNIT, "Started nova-compute.", id=STARTED, job="start"),
            Entry(ago(minutes=5), BOOT, UNIT, "hello", by="nova-compute", pid=61),
        ],
        boots=[Boot(OTHER_BOOT, ago(days=9), ago(hours=5)), Boot(BOOT, ago(hours=4), NOW)],
    )


def running(name: str, pid: int, **more: Any) -> Unit:
    since = ago(minutes=6)
    unit = Unit(name, active="active", sub="running", main_pid=pid, active_enter=since)
    return replace(unit, exec_start=since, **more)


def changed(**changes: Any) -> Callable[[Path], HostState]:
    return lambda folder: replace(healthy(folder), **changes)


def with_unit(**changes: Any) -> Callable[[Path], HostState]:
    def build(folder: Path) -> HostState:
        state = healthy(folder)
        state.units[UNIT] = replace(state.units[UNIT], **changes)
        if "main_pid" in changes:
            state.processes = state.processes[:-1]
        return state

    return build


def with_log(**changes: Any) -> Callable[[Path], HostState]:
    def build(folder: Path) -> HostState:
        state = healthy(folder)
        state.logs = {path: replace(log, **changes) for path, log in state.logs.items()}
        return state

    return build


def without_folder(folder: Path) -> HostState:
    state = healthy(folder)
    hidden = LogFile(str(folder / "hidden/nova-compute.log"), folder_is_open=False)
    return replace(state, logs={hidden.path: hidden}, login=Login(denied=["tail *"]))


def with_two_logs(folder: Path) -> HostState:
    state = healthy(folder)
    newer = LogFile(str(folder / "log/other.log"), ["x"], modified=ago(minutes=1))
    absent = LogFile(str(folder / "log/absent.log"), is_there=False)
    first = LogFile(str(folder / "log/a.log"), ["y"], modified=ago(minutes=90))
    logs = [absent, first, *state.logs.values(), newer]
    return replace(state, logs={log.path: log for log in logs})


def with_guests(folder: Path) -> HostState:
    state = healthy(folder)
    state.processes += [
        Process(140, "kvm-nx-lpage-recovery", "[kvm-nx-lpage-recovery-2211]"),
        Process(2200, "qemu-pr-helper", "/usr/bin/qemu-pr-helper -k /run/q.sock"),
        Process(2211, "qemu-system-x86_64", "/usr/bin/qemu-system-x86_64 -name guest=i-2a,d=on"),
        Process(2290, "renamed", "/usr/libexec/qemu-kvm -name guest=i-2b -S" + " x" * 400),
        Process(2300, "vi", "vi /root/qemu-kvm"),
        Process(2310, "qemu-system-x86_64", f"{QEMU} {PROBE} -machine none,accel=kvm:tcg -qmp x"),
        Process(2311, "qemu-kvm", f"/usr/libexec/qemu-kvm {PROBE} -nographic -M none -qmp x"),
        Process(2312, "qemu-system-x86_64", f"{QEMU} -m 500 -kernel {APPLIANCE} -append x"),
        Process(2313, "qemu-system-x86_64", f"{QEMU} -name guest=guestfs-4kq2,debug-threads=on -S"),
        Process(2314, "qemu-system-x86_64", f"{QEMU} -name guest=i-2c -append {PROBE} -M none x"),
        Process(2315, "qemu-system-x86_64", f"{QEMU} -name guest=i-2d -kernel {APPLIANCE}"),
    ]
    return state


def with_strays(folder: Path) -> HostState:
    state = healthy(folder)
    left_over = "/system.slice/openstack-nova-compute.service"
    state.processes += [
        Process(99, "nova-compute", "nova-compute", left_over),
        Process(98, "nova-compute", "nova-compute", "/system.slice/docker-f00dcafe.scope"),
    ]
    return state


def with_broker_elsewhere(folder: Path) -> HostState:
    state = healthy(folder)
    state.sockets.append(Socket("10.0.0.11:34650", "10.0.0.10:5673", "nova-compute", 61, 6))
    return state


def kolla(status: str = "running", engine: Any = "docker", unit: Unit | None = None) -> Any:
    def build(folder: Path) -> HostState:
        state = healthy(folder)
        pid = 500 if status == "running" else 0
        one = Container("nova_compute", engine, "f00dcafe", status, pid, started=ago(hours=1))
        two = Container("nova_libvirt", engine, "abad1dea", "running", 400, started=ago(hours=1))
        state.containers = {each.name: each for each in (one, two)}
        state.units = {unit.name: unit} if unit else {}
        state.processes = state.processes[:2]
        if pid:
            cgroup = "/system.slice/docker-f00dcafe.scope"
            state.processes += [Process(pid, "nova-compute", "nova-compute", cgroup)]
        return state

    return build


def also(build: Callable[[Path], HostState], **changes: Any) -> Callable[[Path], HostState]:
    return lambda folder: replace(build(folder), **changes)


def with_script(**changes: Any) -> Callable[[Path], HostState]:
    def build(folder: Path) -> HostState:
        state = healthy(folder)
        unit = running(SCRIPT_UNIT, 900, file_state="transient")
        state.units[SCRIPT_UNIT] = replace(unit, **changes)
        for text in ("one", "two = 2"):
            state.journal.append(Entry(NOW, BOOT, SCRIPT_UNIT, text, by="sh", pid=900))
        old = Entry(ago(days=8), OTHER_BOOT, SCRIPT_UNIT, "old", by="sh", pid=900)
        state.journal.insert(0, old)
        return state

    return build


QEMU = "/usr/bin/qemu-system-x86_64"
PROBE = "-S -no-user-config -nodefaults"
APPLIANCE = "/var/cache/.guestfs-0/appliance.d/kernel"
OVER = {"active": "active", "sub": "exited", "main_pid": 0, "exec_exit": NOW}
FAILURE = {**OVER, "active": "failed", "sub": "failed", "result": "exit-code", "exit_code": 3}
STOPPED = {"active": "inactive", "sub": "dead", "main_pid": 0, "exec_exit": NOW}
ASIDE = "sudo: unable to resolve host c01: Name or service not known"
RHEL = ["Core libraries have been updated since boot-up:", "  * kernel", "Reboot is required"]
SOON = HostClock("Europe/Zurich", ahead=-3600, drift=1e-4, since=0)

STATES: dict[str, Callable[[Path], HostState]] = {
    "healthy": healthy,
    "root": changed(login=Login("root", is_root=True)),
    "its clock": changed(clock=SOON),
    "stopped": with_unit(**STOPPED),
    "failed, and a process lives on": with_unit(active="failed", sub="failed", result="timeout"),
    "old systemd": with_unit(n_restarts=None),
    "no unit": changed(units={"openstack-nova-compute.service": running("x", 1)}),
    "silent systemd": changed(systemd_is_silent=True),
    "guests": with_guests,
    "strays": with_strays,
    "broker elsewhere": with_broker_elsewhere,
    "hidden processes": changed(hides_processes=True),
    "nothing allowed": changed(login=Login(reads_journal=False, denied=["*"])),
    "some allowed": changed(login=Login(denied=["systemctl reboot", "ss *", "journalctl *"])),
    "sudo talks": changed(login=Login(aside=ASIDE, reads_journal=False)),
    "sudo talks and refuses": changed(login=Login(aside=ASIDE, denied=["ss *", "systemctl *"])),
    "no log": with_log(is_there=False),
    "hidden log": without_folder,
    "two logs": with_two_logs,
    "rotated": with_log(older=["2026-03-09 1 INFO x AMQP server on a:1"], lines=[]),
    "rotated by date": with_log(older=["AMQP server = a"], older_ending="-20260309"),
    "packed": with_log(older=["AMQP server on a:1"], older_ending=".1.gz"),
    "long log": with_log(lines=[f"2026-03-10 {n} AMQP server {'x' * 1200}" for n in range(250)]),
    "wants a reboot": changed(
        packages=Packages(
            kernels={"6.1.0-31-amd64": ago(days=30), "6.1.0-40-amd64": ago(hours=2)},
            required_since=ago(hours=2),
            wanted_by=["linux-image-6.1.0-40-amd64", "x" * 150],
        )
    ),
    "wants one on RHEL": changed(packages=Packages(needs_restarting=(1, RHEL))),
    "kolla": kolla(),
    "kolla, exited": kolla("exited"),
    "kolla with units": kolla(unit=running(KOLLA_UNIT, 300)),
    "podman": kolla(engine="podman"),
    "kolla, sudo talks": also(kolla(), login=Login(aside=ASIDE)),
    "kolla, nothing allowed": also(kolla(), login=Login(denied=["*"])),
    "kolla, broken docker": also(kolla(), broken_engines={"docker": BROKEN}),
    "another host's container": also(kolla(), containers={"nova_libvirt": Container("nova_x")}),
    "forced": changed(forced=ForcedCommand({("ab" * 32, "scripts/x")})),
    "script runs": with_script(),
    "script succeeded": with_script(**OVER),
    "script failed": with_script(**FAILURE),
}


class StillHost:
    """A simulated host in which no time passes: an order gives what the test says."""

    def __init__(self, state: HostState, said: Said, after: HostState | None) -> None:
        self.state, self._said, self._after = state, said, after

    def now(self) -> float:
        return NOW.timestamp()

    def look(self) -> HostState:
        return self.state

    async def _order(self, *_: object) -> Said:
        self.state = self._after or self.state
        return self._said

    systemctl = engine = reboot = store = systemd_run = _order


class SimulatedShell(Shell):
    """The answers of the simulated host, without a network."""

    def __init__(self, host: StillHost) -> None:
        self.name, self._host = "c01", host

    async def ask(self, script: str, *args: str, wait: timedelta, stdin: bytes = b"") -> Any:
        self.asked = (script, args, stdin)
        return await super().ask(script, *args, wait=wait, stdin=stdin)

    async def run(self, command: str, *, wait: timedelta, stdin: bytes = b"") -> Answer:
        name, args, _ = self.asked
        self.answer = Answer(0, await scripts.run(self._host, name, args, stdin), "")
        return self.answer


@dataclass(frozen=True)
class Outcome:
    """What an adapter read, or what it raised; and the answer it had it from."""

    read: Any
    answers: Any


async def outcome(call: Awaitable[Any], answer: Callable[[], str]) -> Outcome:
    try:
        read = await call
    except MaintenanceError as error:
        read = (type(error), str(error))
    return Outcome(read, parse_answers(answer()))


async def both(
    state: HostState,
    folder: Path,
    call: Callable[[Shell], Awaitable[Any]],
    said: Said = DONE,
    after: HostState | None = None,
) -> tuple[Outcome, Outcome]:
    replayed = ReplayedHost(folder, copy.deepcopy(state), NOW.timestamp())
    replayed.order_gives(said, after)
    kept: list[Answer] = []
    run = replayed.run

    async def keep(command: str, *, wait: timedelta, stdin: bytes = b"") -> Answer:
        kept.append(await run(command, wait=wait, stdin=stdin))
        return kept[-1]

    replayed.run = keep  # type: ignore[method-assign]
    simulated = SimulatedShell(StillHost(state, said, after))
    real = await outcome(call(replayed), lambda: kept[-1].stdout)
    assert not kept[-1].stderr, kept[-1].stderr
    return real, await outcome(call(simulated), lambda: simulated.answer.stdout)


def compute_of(state: HostState, name: str) -> NovaCompute:
    logs = tuple(state.logs)
    if "kolla" in name or "podman" in name or "container" in name:
        unit = "kolla-nova_compute-container"
        return NovaCompute(unit, logs, "nova_compute", ("docker", "podman"))
    ports = (5673,) if "broker" in name else BROKER_PORTS
    patterns = ("renamed*", "qemu-kvm")
    return NovaCompute("nova-compute", logs, guest_processes=patterns, broker_ports=ports)


LOOKS: dict[str, Callable[[Host], Awaitable[Any]]] = {
    "facts": lambda host: host.read_facts(SCRIPT_UNIT, SCRIPT),
    "amqp": lambda host: host.amqp_evidence(),
    "state": lambda host: host.nova_compute_state(),
    "journal": lambda host: host.journal_tail(lines=1),
    "script_state": lambda host: host.script_state(SCRIPT_UNIT),
    "boot_id": lambda host: host.boot_id(),
    "guests": lambda host: host.check_no_guests("x"),
}
# A state is looked at where the script reads what is special in it.
ALSO = {
    "amqp": [name for name in STATES if "log" in name or "rotated" in name]
    + ["packed", "healthy", "root", "its clock", "nothing allowed", "sudo talks"]
    + ["sudo talks and refuses", "kolla", "broker elsewhere"],
    "state": ["silent systemd", "no unit", "kolla with units", "strays"],
    "guests": ["healthy", "guests", "hidden processes"],
    "journal": ["healthy", "nothing allowed", "some allowed", "sudo talks", "script runs"],
    "script_state": [name for name in STATES if "script" in name] + ["healthy", "silent systemd"],
    "boot_id": ["its clock"],
}
ONLY_IN_AMQP = ("rotated", "rotated by date", "packed", "long log")
LOOKED_AT = [(name, "facts") for name in STATES if name not in ONLY_IN_AMQP]
LOOKED_AT += [(name, look) for look, names in ALSO.items() for name in names]


@pytest.mark.parametrize(("name", "look"), LOOKED_AT)
async def test_a_look_finds_the_same(tmp_path: Path, name: str, look: str) -> None:
    state = STATES[name](tmp_path)
    compute = compute_of(state, name)
    real, simulated = await both(state, tmp_path, lambda shell: LOOKS[look](Host(shell, compute)))
    assert simulated.answers == real.answers
    assert simulated == real


REFUSED = Said(1, "", "Operation inhibited by dpkg\nand another line")
ORDERS: list[tuple[str, str, Callable[[Host], Awaitable[Any]], Said]] = [
    ("stop", "healthy", lambda host: host.stop_nova_compute(), DONE),
    ("stop, refused", "healthy", lambda host: host.stop_nova_compute(), REFUSED),
    ("stop, no right", "nothing allowed", lambda host: host.stop_nova_compute(), DONE),
    ("stop, sudo talks", "sudo talks", lambda host: host.stop_nova_compute(), DONE),
    ("stop, no unit", "no unit", lambda host: host.stop_nova_compute(), DONE),
    ("stop a container", "kolla", lambda host: host.stop_nova_compute(), Said(0, "nova_compute")),
    ("start a container", "kolla, exited", lambda host: host.start_nova_compute(), REFUSED),
    ("start a kolla unit", "kolla with units", lambda host: host.start_nova_compute(), DONE),
    ("start what failed", "script failed", lambda host: host.start_nova_compute(), DONE),
    ("reboot", "healthy", lambda host: host.reboot(BOOT), DONE),
    ("reboot, refused", "healthy", lambda host: host.reboot(BOOT), REFUSED),
    ("reboot, no right", "nothing allowed", lambda host: host.reboot(BOOT), DONE),
    ("reboot twice", "healthy", lambda host: host.reboot(OTHER_BOOT), DONE),
    ("reboot with guests", "guests", lambda host: host.reboot(BOOT), DONE),
    ("reboot, hidden", "hidden processes", lambda host: host.reboot(BOOT), DONE),
    ("script", "healthy", lambda host: host.start_script("x", SCRIPT, SCRIPT_UNIT), DONE),
    ("script, refused", "healthy", lambda host: host.start_script("x", SCRIPT, "x"), DONE),
    ("script, full", "healthy", lambda host: host.start_script("x", SCRIPT, SCRIPT_UNIT), REFUSED),
    (
        "script, no right",
        "nothing allowed",
        lambda h: h.start_script("x", SCRIPT, SCRIPT_UNIT),
        Said(),
    ),
    (
        "script again",
        "script failed",
        lambda h: h.start_script("x", SCRIPT, SCRIPT_UNIT, True),
        Said(),
    ),
    (
        "script not again",
        "script failed",
        lambda h: h.start_script("x", SCRIPT, SCRIPT_UNIT),
        Said(),
    ),
    ("script that runs", "script runs", lambda h: h.start_script("x", SCRIPT, SCRIPT_UNIT), DONE),
]
AFTER = {"stop": "stopped", "script": "script runs", "start what failed": "healthy"}


@pytest.mark.parametrize(
    ("order", "name", "call", "said"), ORDERS, ids=[each[0] for each in ORDERS]
)
async def test_an_order_does_the_same(
    tmp_path: Path, order: str, name: str, call: Callable[[Host], Awaitable[Any]], said: Said
) -> None:
    state = STATES[name](tmp_path)
    after = STATES[AFTER[order]](tmp_path) if order in AFTER else None
    compute = compute_of(state, name)
    real, simulated = await both(
        state, tmp_path, lambda shell: call(Host(shell, compute)), said, after
    )
    assert simulated.answers == real.answers
    assert simulated == real


HOSTILE = [
    ("state", "", "", "docker"),
    ("state", "-x", "", "docker"),
    ("state", "a" * 256, "", "docker"),
    ("state", "a;b", "", "docker"),
    ("state", "a", "b c", "docker"),
    ("state", "a", "", ""),
    ("state", "a", "", "docker lxc"),
    ("facts", "a", "", "docker", "x:/y", "", ""),
    ("facts", "a", "", "docker", "/x:y", "", ""),
    ("facts", "a", "", "docker", "/x\n/y", "", ""),
    ("facts", "a", "", "docker", "/x", "ssh.service", ""),
    ("facts", "a", "", "docker", "/x", "", "xyz"),
    ("control", "kill", "a", "", "docker"),
    ("reboot", "x;y"),
    ("journal", "a", "5x"),
    ("journal", "a", "1" * 13),
    ("script_start", "ssh.service", "1", "no"),
    ("script_state", "openstack-maintenance-x", ""),
    ("rights", "stop", "docker"),
    ("rights", "restart", "docker", "a|b"),
    ("controller", "docker", "a;b", "a||"),
    ("controller", "docker", "a b", "a||mail"),
    ("controller_past", "now", "docker", "a||"),
]


@pytest.mark.parametrize("asked", HOSTILE, ids=[" ".join(each)[:40] for each in HOSTILE])
async def test_what_is_not_expected_is_refused_alike(
    tmp_path: Path, asked: tuple[str, ...]
) -> None:
    real, simulated = await both(
        healthy(tmp_path), tmp_path, lambda shell: shell.ask(*asked, wait=timedelta(seconds=5))
    )
    assert simulated == real


def controlling(folder: Path, **changes: Any) -> HostState:
    names = ["nova-api", "nova-scheduler", "nova-conductor", "glance-api", "apache2", "memcached"]
    names += ["rabbitmq-server", "mariadb", "dbus", "chrony"]
    units = {f"{name}.service": running(f"{name}.service", 7) for name in names}
    for name, change in changes.pop("units", {}).items():
        unit = f"{name}.service"
        units[unit] = replace(units.get(unit) or Unit(unit), **change)
    state = replace(
        healthy(folder),
        units=units,
        broker=Said(0, '{"disk_nodes":["rabbit@a"],"running_nodes":["rabbit@a"],' + '"x":1}' * 300),
        database=Said(0, "1\nwsrep_cluster_size\t3\nwsrep_cluster_state_uuid\t"),
        cache=Said(0, "VERSION 1.6.18"),
    )
    for name in ("nova-api", "keystone", "glance-api"):
        text = f"{name}.service: Failed with result 'exit-code'."
        entry = Entry(ago(hours=3, minutes=5), BOOT, f"{name}.service", text, id=FAILED)
        state.journal.append(entry)
    farewell = Entry(ago(hours=5), OTHER_BOOT, "", "Journal stopped", by="systemd-journald", pid=9)
    state.journal.insert(0, replace(farewell, id=FAREWELL))
    return replace(state, **changes)


def containers(**states: str) -> dict[str, Container]:
    return {
        name: Container(name, "docker", f"id-of-{name}", state, 7, started=NOW, log=["a", "b"])
        for name, state in states.items()
    }


IN_KOLLA = {
    "units": {"kolla-mariadb-container": {"active": "active", "main_pid": 9}},
    "containers": containers(nova_api="running", rabbitmq="running", mariadb="running")
    | containers(keystone="exited", memcached="paused"),
}
CONTROLLERS: dict[str, dict[str, Any]] = {
    "healthy": {},
    "root": {"login": Login("root", is_root=True)},
    "failed units": {
        "units": {
            "nova-api": {"active": "failed", "sub": "failed", "main_pid": 0},
            "glance-api": {"n_restarts": 3},
            "apache2": {"load": "masked", "active": "inactive", "file_state": "masked"},
            "chrony": {"active": "failed"},
        }
    },
    "broker and database off": {
        "units": {"rabbitmq-server": {"active": "failed"}, "mariadb": {"active": "inactive"}}
    },
    "cache down": {"cache": Said(1, "", "bash: connect: Connection refused")},
    "broker down": {"broker": Said(69, "", "Error: unable to perform an operation on node")},
    "old broker": {"broker_is_old": True, "broker": Said(0, "[{nodes,[{disc,[rabbit@a]}]}]")},
    "nothing allowed": {
        "login": Login(denied=["*"], reads_journal=False),
        "units": {"nova-api": {"active": "failed"}},
    },
    "sudo talks": {"login": Login(aside=ASIDE), "broker": Said(2, "", "Error: x")},
    "silent": {"systemd_is_silent": True},
    "old systemd": {"units": {"nova-api": {"n_restarts": None}}, "is_synchronised": False},
    "kolla": IN_KOLLA,
    "kolla, nothing allowed": IN_KOLLA | {"login": Login(denied=["docker *"])},
    "kolla, sudo talks": IN_KOLLA | {"login": Login(aside=ASIDE)},
    "kolla, broken docker": IN_KOLLA | {"broken_engines": {"docker": BROKEN}},
}


def comparable(found: Outcome) -> Outcome:
    """Without how far its clock is ahead of this machine's: no two looks are at one moment."""
    read = found.read
    if hasattr(read, "clock"):
        read = replace(read, clock=replace(read.clock, ahead_at_least=0, ahead_at_most=0))
    return Outcome(read, found.answers)


@pytest.mark.parametrize("name", CONTROLLERS)
async def test_a_look_at_a_controller_finds_the_same(tmp_path: Path, name: str) -> None:
    deployment = KOLLA if "kolla" in name else DEBIAN
    state = controlling(tmp_path, **copy.deepcopy(CONTROLLERS[name]))
    real, simulated = await both(
        state, tmp_path, lambda shell: controller.read_controller(shell, deployment)
    )
    assert simulated.answers == real.answers
    assert comparable(simulated) == comparable(real)


@pytest.mark.parametrize("name", ["healthy", "nothing allowed", "silent", "kolla", "failed units"])
async def test_a_look_back_finds_the_same(tmp_path: Path, name: str) -> None:
    deployment = KOLLA if "kolla" in name else DEBIAN
    state = controlling(tmp_path, **copy.deepcopy(CONTROLLERS[name]))
    real, simulated = await both(
        state, tmp_path, lambda shell: controller.read_history(shell, deployment, NIGHT)
    )
    assert simulated == real


@pytest.mark.parametrize(
    ("name", "order"),
    [
        ("healthy", "restart"),
        ("nothing allowed", "restart"),
        ("nothing allowed", "reboot"),
        ("kolla", "restart"),
        ("kolla, nothing allowed", "restart"),
    ],
)
async def test_missing_rights_are_the_same(tmp_path: Path, name: str, order: str) -> None:
    deployment = KOLLA if "kolla" in name else DEBIAN
    state = controlling(tmp_path, **copy.deepcopy(CONTROLLERS[name]))
    services = list(deployment)[:3]
    real, simulated = await both(
        state,
        tmp_path,
        lambda shell: controller.missing_rights(shell, deployment, order, services),
    )
    assert simulated == real


@pytest.mark.parametrize(
    ("name", "service", "said"),
    [
        ("healthy", "nova-api", DONE),
        ("failed units", "nova-api", REFUSED),
        ("kolla", "nova-api", Said(0, "nova_api")),
        ("kolla", "glance-api", DONE),
    ],
)
async def test_a_restart_is_the_same(tmp_path: Path, name: str, service: str, said: Said) -> None:
    deployment = KOLLA if "kolla" in name else DEBIAN
    state = controlling(tmp_path, **copy.deepcopy(CONTROLLERS[name]))
    found: Service | None = deployment.find_service(service)
    assert found is not None
    real, simulated = await both(
        state, tmp_path, lambda shell: controller.restart_service(shell, deployment, found), said
    )
    assert simulated == real


def test_every_script_is_played() -> None:
    folder = Path(controller.__file__).parent / "remote"
    assert set(controller_scripts.SCRIPTS) == {each.stem for each in folder.glob("*.sh")} - {
        "common"
    }
