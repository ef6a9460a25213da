"""A simulated host's state as a folder, and the project's real scripts run against it by dash.

The programs of fixtures/replayed_host/bin stand for those of a host: they say what the folder
holds.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from openstack_maintenance.adapters.shell import Answer, Shell
from simulator.hosts.state import (
    FAREWELL,
    HostState,
    LogFile,
    Process,
    Said,
    Unit,
    systemd_time,
)

REPLAY = Path(__file__).parent / "fixtures/replayed_host/bin"
# What the scripts run as it is on this machine.
TOOLS = ["cp", "cut", "dirname", "fold", "gzip", "head", "ls", "sed", "sleep", "sort", "tail"]
TOOLS += ["timeout", "tr"]


class ReplayedHost(Shell):
    """A shell whose commands run here, on what a folder says of a host."""

    def __init__(self, folder: Path, state: HostState, moment: float) -> None:
        self.name = "c01"
        self.folder = folder
        self.moment = moment
        self.state = state
        self.answers: dict[str, Answer] = {}
        self._install()
        self._write_state(folder / "state", state)

    def order_gives(self, said: Said, after: HostState | None = None) -> None:
        """What an order answers, and what the host is after it."""
        _said(self.folder / "state/order", said)
        if after is not None:
            (self.folder / "state/after").mkdir()
            self._write_state(self.folder / "state/after", after)

    async def run(self, command: str, *, wait: timedelta, stdin: bytes = b"") -> Answer:
        # The login's shell is told to run /bin/sh: here that is dash.
        environment = {"PATH": str(self.folder / "bin"), "STATE": str(self.folder / "state")}
        if self.state.forced:
            lines = (f"{digest} {name}\n" for digest, name in self.state.forced.allowed)
            (self.folder / "allowed").write_text("".join(sorted(lines)))
            environment["MAINTENANCE_SHELL_ALLOWED"] = str(self.folder / "allowed")
        done = subprocess.run(  # noqa: ASYNC221  one after the other, and short
            ["/bin/dash", "-c", command],
            env=environment,
            input=stdin,
            capture_output=True,
            timeout=wait.total_seconds(),
            check=False,
        )
        out, err = (text.decode(errors="replace") for text in (done.stdout, done.stderr))
        return Answer(done.returncode, out, err)

    def _install(self) -> None:
        bin_folder = self.folder / "bin"
        bin_folder.mkdir()
        for name in TOOLS:
            (bin_folder / name).symlink_to(shutil.which(name) or name)
        for program in REPLAY.iterdir():
            if program.name not in ("engine", "needs-restarting"):
                (bin_folder / program.name).symlink_to(program)
        for engine in self.state.engines:
            (bin_folder / engine).symlink_to(REPLAY / "engine")
        if self.state.packages.needs_restarting:
            (bin_folder / "needs-restarting").symlink_to(REPLAY / "needs-restarting")

    def _write_state(self, folder: Path, state: HostState) -> None:
        folder.mkdir(exist_ok=True)
        for name, text in _files(state, self.moment).items():
            (folder / name).write_text(text)
        _said(folder / "broker", state.broker)
        _said(folder / "database", state.database)
        _said(folder / "cache", state.cache)
        if state.packages.needs_restarting:
            status, lines = state.packages.needs_restarting
            _said(folder / "needs-restarting", Said(status, "".join(f"{x}\n" for x in lines)))
        for log in state.logs.values():
            _write_log(log)


def _cgroups(processes: Iterable[Process]) -> str:
    return "".join(f"{each.pid} {each.cgroup}\n" for each in processes)


def _files(state: HostState, moment: float) -> dict[str, str]:
    at = state.clock.at(moment)
    packages, login = state.packages, state.login
    kernels = {f"/boot/vmlinuz-{name}": since for name, since in packages.kernels.items()}
    if packages.required_since:
        kernels = {"/run/reboot-required": packages.required_since} | kernels
    files = {
        "boot_id": f"{state.boot_id}\n",
        "hostname": f"{state.hostname}\n",
        "fqdn": f"{state.fqdn}\n",
        "zone": f"/usr/share/zoneinfo/{state.clock.zone}\n",
        "clock": f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond:06}000{at:%z}\n",
        "manager": f"UserspaceTimestamp={systemd_time(state.booted)}\n",
        "kernel": f"{packages.kernel}\n",
        "stat": "".join(f"file={int(at.timestamp())} {name}\n" for name, at in kernels.items()),
        "uid": "0\n" if login.is_root else "1000\n",
        "groups": "maintenance systemd-journal\n" if login.reads_journal else "maintenance\n",
        "denied": "".join(f"{each}\n" for each in login.denied),
        "refusal": f"{login.refusal}\n",
        "aside": f"{login.aside}\n" if login.aside else "",
        "cgroups": _cgroups(state.processes),
        "computes": _cgroups(each for each in state.processes if each.comm == "nova-compute"),
        "ps": _ps(state),
        "ss": "State Recv-Q Send-Q Local Address:Port Peer Address:Port Process\n"
        + "".join(f"{each}\n" for each in state.sockets),
        "unit_files": "".join(
            f"{each} enabled enabled\n" for each in state.units if "nova" in each
        ),
        "unit.": _properties(Unit("", load="not-found", file_state="")),
        "timedatectl": f"NTPSynchronized={'yes' if state.is_synchronised else 'no'}\n",
        "broker_is_old": "yes\n" if state.broker_is_old else "no\n",
    }
    if packages.required_since:
        files["reboot_packages"] = "".join(f"{each}\n" for each in packages.wanted_by)
    if state.systemd_is_silent:
        files["systemd_is_silent"] = ""
    files |= {f"unit.{name}": _properties(unit) for name, unit in state.units.items()}
    files |= {f"{engine}.broken": f"{told}\n" for engine, told in state.broken_engines.items()}
    for engine in state.engines:
        mine = [each for each in state.containers.values() if each.engine == engine]
        files[f"{engine}.names"] = "".join(f"{each.name}\n" for each in mine)
        files |= {f"{engine}.of.{each.name}": f"{each.inspected()}\n" for each in mine}
        files |= {
            f"{engine}.log.{each.name}": "".join(f"{x}\n" for x in each.log[-10:]) for each in mine
        }
    return files | _journal(state)


def _properties(unit: Unit) -> str:
    return "".join(f"{key}={value}\n" for key, value in unit.shown().items())


def _ps(state: HostState) -> str:
    shown = [e for e in state.processes if not state.hides_processes or e.comm == "sshd"]
    return "".join(f"{each.pid:>7} {each.comm[:15]:<15} {each.args}\n" for each in shown)


def _journal(state: HostState) -> dict[str, str]:
    files: dict[str, str] = {}
    for each in state.journal:
        name = f"journal.{each.unit}"
        files[name] = files.get(name, "") + each.short_iso(state.hostname) + "\n"
        if not each.is_systemds and each.boot_id == state.boot_id:
            name = f"output.{each.unit}"
            files[name] = files.get(name, "") + each.text + "\n"
    events = [each for each in state.journal if each.is_systemds or each.id == FAREWELL]
    rows = (json.dumps(each.plain(), separators=(",", ":")) for each in events)
    files["events"] = "".join(f"{row}\n" for row in rows)
    files["boots"] = "".join(
        f"{number:2} {each.id.replace('-', '')} {_utc(each.first)} {_utc(each.last)}\n"
        for number, each in enumerate(state.boots, 1 - len(state.boots))
    )
    return files


def _utc(at: datetime) -> str:
    return f"{at.astimezone(UTC):%a %Y-%m-%d %H:%M:%S} UTC"


def _said(path: Path, said: Said) -> None:
    for ending, text in (("out", said.out), ("err", said.err)):
        whole = text if not text or text.endswith("\n") else f"{text}\n"
        path.with_suffix(f".{ending}").write_text(whole)
    path.with_suffix(".status").write_text(f"{said.status}\n")


def _write_log(log: LogFile) -> None:
    path = Path(log.path)
    if log.folder_is_open:
        path.parent.mkdir(exist_ok=True, parents=True)
    if not log.is_there or not log.folder_is_open:
        return
    path.write_text("".join(f"{line}\n" for line in log.lines))
    if log.older is not None:
        older = "".join(f"{line}\n" for line in log.older).encode()
        packed = gzip.compress(older) if log.older_ending.endswith(".gz") else older
        Path(log.path + log.older_ending).write_bytes(packed)
    if log.modified:
        os.utime(path, (log.modified.timestamp(), log.modified.timestamp()))
