"""Measure what a running Airflow uses, while it rests or works: CPU and memory of each part.

Of containers (--compose PROJECT, as `docker compose ls` names it) or of the local Airflow in a
folder (--home). Looks at /proc only; the tasks that start and end meanwhile are in their parents'.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

from airflow_local import COMPONENTS, Home, LocalAirflow
from airflow_local.home import PROJECT

TICKS = os.sysconf("SC_CLK_TCK")
BEAT_SECONDS = 2.0
# By part, the ids of all its processes.
Parts = Callable[[], dict[str, set[int]]]


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="footprint", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60, help="how long (60)")
    parser.add_argument("--compose", metavar="PROJECT", help="containers of this project")
    parser.add_argument("--home", type=Path, default=PROJECT / ".airflow", help="AIRFLOW_HOME")
    asked = parser.parse_args()
    parts: Parts
    if asked.compose:
        parts = lambda: of_compose(asked.compose)  # noqa: E731 - the same shape as the other
    else:
        airflow = LocalAirflow.find_running(Home(asked.home))
        if airflow is None:
            print(f"footprint: no Airflow runs in {asked.home}: start it, or name --compose.")
            return 1
        parts = lambda: of_local(airflow)  # noqa: E731
    if not parts():
        print(f"footprint: there are no containers of a project {asked.compose}.")
        return 1
    print_table(*measure(parts, asked.seconds), asked.seconds)
    return 0


def of_compose(project: str) -> dict[str, set[int]]:
    """The processes of each service, all of its containers together."""
    label = f"label=com.docker.compose.project={project}"
    ids = _output("docker", "ps", "--quiet", "--filter", label).split()
    found: dict[str, set[int]] = defaultdict(set)
    for container in json.loads(_output("docker", "inspect", *ids) if ids else "[]"):
        service = container["Config"]["Labels"]["com.docker.compose.service"]
        found[service] |= tree([container["State"]["Pid"]])
    return found


def of_local(airflow: LocalAirflow) -> dict[str, set[int]]:
    """The processes of each component, and of its database."""
    leaders = {name: airflow.process(name) for name in COMPONENTS}
    leaders["postgresql"] = airflow.home.database.process()
    return {name: tree([found.pid]) for name, found in leaders.items() if found is not None}


def tree(roots: Iterable[int]) -> set[int]:
    """These processes and all that come from them."""
    children = defaultdict(list)
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children[int(fields[1])].append(int(entry.name))
    found, left = set[int](), list(roots)
    while left:
        pid = left.pop()
        if pid not in found:
            found.add(pid)
            left += children[pid]
    return found


def measure(parts: Parts, seconds: float) -> tuple[dict[str, float], dict[str, float]]:
    """CPU seconds that each part used meanwhile, and the most memory that it held, in MiB.

    Memory is PSS: what processes share is divided among them.
    """
    before, most = _cpu(parts()), defaultdict[str, float](float)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for name, pids in parts().items():
            most[name] = max(most[name], sum(map(_pss_mib, pids)))
        time.sleep(BEAT_SECONDS)
    after = _cpu(parts())
    return {name: max(0.0, after[name] - before.get(name, 0.0)) for name in after}, most


def print_table(cpu: dict[str, float], memory: dict[str, float], seconds: float) -> None:
    print("| part | CPU, of one core | memory, at most |\n| --- | ---: | ---: |")
    for name in sorted(memory, key=lambda each: -memory[each]):
        print(f"| {name} | {cpu.get(name, 0) / seconds:.1%} | {memory[name]:.0f} MiB |")
    whole = sum(cpu.values()) / seconds
    print(f"| all | {whole:.1%} | {sum(memory.values()):.0f} MiB |")


def _cpu(parts: dict[str, set[int]]) -> dict[str, float]:
    return {name: sum(map(_cpu_seconds, pids)) for name, pids in parts.items()}


def _cpu_seconds(pid: int) -> float:
    """utime, stime, and those of the children that have ended (proc(5))."""
    fields = _stat(pid)
    return sum(map(int, fields[11:15])) / TICKS if fields else 0.0


def _pss_mib(pid: int) -> float:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0  # it has ended, or is the kernel's
    kib = next((line.split()[1] for line in text.splitlines() if line.startswith("Pss:")), "0")
    return int(kib) / 1024


def _stat(pid: int) -> list[str] | None:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    sys.exit(main())
