"""Processes that outlive the command that started them, found again by id and start time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True)
class ProcessId:
    """A process that cannot be mistaken for a later one with the same number."""

    pid: int
    started: int  # in clock ticks since boot, as the kernel counts

    @classmethod
    def of(cls, pid: int) -> ProcessId | None:
        fields = _stat(pid)
        return None if fields is None else cls(pid, int(fields[19]))

    @classmethod
    def read(cls, file: Path) -> ProcessId | None:
        if not file.exists():
            return None
        found = json.loads(file.read_text())
        return cls(found["pid"], found["started"])

    def write(self, file: Path) -> None:
        file.write_text(json.dumps({"pid": self.pid, "started": self.started}))

    def is_alive(self) -> bool:
        fields = _stat(self.pid)
        return fields is not None and int(fields[19]) == self.started and fields[0] != "Z"

    def send(self, which: signal.Signals) -> None:
        """Signal it, if it is still there."""
        if self.is_alive():
            try:
                os.kill(self.pid, which)
            except ProcessLookupError:
                return  # it ended by itself in between, which is what was wanted


def spawn(command: list[str], environment: Mapping[str, str], log: Path, cwd: Path) -> ProcessId:
    """Start a process in a session of its own, with its output going to a log."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            env=dict(environment),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    started = ProcessId.of(process.pid)
    if started is None:  # only reaped processes vanish, and nobody reaped this one
        raise ChildProcessError(f"{command[0]} is gone right after its start: see {log}")
    return started


def in_session_of(leader: ProcessId) -> list[ProcessId]:
    """Every process of the session that `leader` began, also after the leader's death.

    The kernel gives the leader's number to nobody else while its session has members; a later
    process with that number means that the session is over.
    """
    now = ProcessId.of(leader.pid)
    if now is not None and now != leader:
        return []
    pids = [int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit()]
    members = [ProcessId.of(pid) for pid in pids if _session_of(pid) == leader.pid]
    return [p for p in members if p and p.started >= leader.started and p.is_alive()]


def parent_of(pid: int) -> int | None:
    fields = _stat(pid)
    return None if fields is None else int(fields[1])


def end(processes: Iterable[ProcessId], *, grace: float) -> None:
    """Ask processes to end, and kill those that have not after the grace."""
    processes = list(processes)
    for process in processes:
        process.send(signal.SIGTERM)
    if not wait_until_gone(processes, grace):
        for process in processes:
            process.send(signal.SIGKILL)
        wait_until_gone(processes, 5)


def wait_until_gone(processes: Iterable[ProcessId], timeout: float) -> bool:
    deadline = time.monotonic() + timeout
    while any(process.is_alive() for process in processes):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def _stat(pid: int) -> list[str] | None:
    """The kernel's fields after the name: state, parent, ... (proc(5), /proc/pid/stat)."""
    try:
        text = (PROC / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rpartition(")")[2].split()


def _session_of(pid: int) -> int | None:
    fields = _stat(pid)
    return None if fields is None else int(fields[3])
