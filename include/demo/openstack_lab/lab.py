"""The lab as its users see it: its command, its hosts, how to log in to both."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[3]
LOGIN = "maintenance"
CLOUD = "lab"
PATIENCE = 600  # seconds for what the lab does in a few, when its machine has time
BOOT_ID = "/proc/sys/kernel/random/boot_id"


class LabError(Exception):
    """The lab did not do what was asked; the message holds what it said."""


class Lab:
    """The project's lab, through `include/lab/lab` and what that leaves in its state folder."""

    def __init__(self, folder: Path = PROJECT / "include/lab", name: str | None = None) -> None:
        # Another lab beside the usual one, by name.
        name = os.environ.get("LAB_NAME", "") if name is None else name
        self.command = folder / "lab"
        self.prefix = [str(self.command), *(["--name", name] if name else [])]
        self.state = folder / (f".state-{name}" if name else ".state")

    @property
    def clouds_yaml(self) -> Path:
        return self.state / "clouds.yaml"

    @property
    def key(self) -> Path:
        return self.state / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        return self.state / "known_hosts"

    def exists(self) -> bool:
        """Whether there is a lab, in whatever condition."""
        return (self.state / "lab.json").exists()

    def run(self, *arguments: str, timeout: float = PATIENCE) -> str:
        """Run one of the lab's commands; returns what it printed.

        Raises: LabError: it failed; the message says what was run and what it said.
        """
        said = shlex.join([self.command.name, *arguments])
        try:
            done = subprocess.run(
                [*self.prefix, *arguments],
                capture_output=True,
                text=True,
                stdin=subprocess.DEVNULL,
                timeout=timeout,
            )
        except subprocess.TimeoutExpired as error:
            raise LabError(f"`{said}` took longer than {timeout:.0f} s.") from error
        if done.returncode != 0:
            raise LabError(f"`{said}` failed: {(done.stderr or done.stdout).strip()}")
        return done.stdout

    def up(self, *options: str, timeout: float = 1800) -> None:
        """Bring the lab up, or repair it, its output goes to the terminal."""
        order = [*self.prefix, "up", *options]
        try:
            done = subprocess.run(order, stdin=subprocess.DEVNULL, timeout=timeout)
        except subprocess.TimeoutExpired as error:
            raise LabError(f"The lab was not up within {timeout:.0f} s.") from error
        if done.returncode != 0:
            raise LabError("The lab did not come up. Its messages are above.")

    def down(self, timeout: float = 300) -> None:
        self.run("down", timeout=timeout)

    def status(self) -> dict[str, Any]:
        """Hosts, services, instances and faults, as `lab status --json` has them."""
        return dict(json.loads(self.run("status", "--json")))

    def create_instances(
        self,
        host: str,
        count: int = 1,
        state: str = "ACTIVE",
        *,
        prefix: str | None = None,
        ram_mib: int | None = None,
        disk_gib: int = 1,
        group: str | None = None,
    ) -> list[str]:
        """Create instances on a host and bring them to a state; returns their names."""
        order = ["--host", host, "--count", str(count), "--state", state, "--disk", str(disk_gib)]
        order += ["--prefix", prefix] if prefix else []
        order += ["--ram", str(ram_mib)] if ram_mib else []
        order += ["--group", group] if group else []
        created = self.run("instances", "create", *order)
        return re.findall(r"^created (\S+) on", created, re.MULTILINE)

    def ssh(self, host: str, command: str, timeout: float = 120) -> str:
        """Run a command on one of the lab's hosts; returns what it printed."""
        return self.run("ssh", host, command, timeout=timeout)

    def boot_id(self, host: str) -> str:
        return self.ssh(host, f"cat {BOOT_ID}").strip()

    def fault(self, *words: str) -> None:
        """Inject a fault: `fault("c01", "migration-seconds", "20")`."""
        self.run("fault", *words)

    def clear_faults(self) -> None:
        """Undo every fault; a host that hangs in its boot is reset, so that it boots."""
        faults: dict[str, list[str]] = self.status()["faults"]
        if faults:
            self.run("fault", "clear")
        for host, names in faults.items():
            if "boot-hang" in names:
                self.run("recover", host)

    def start_nova_compute(self, host: str) -> None:
        self.ssh(host, "sudo systemctl start nova-compute")

    def airflow_environment(self, folder: Path | None = None) -> dict[str, str]:
        """The two connections that an Airflow needs to maintain this cloud.

        `folder` holds copies of the lab's files of credentials, else the lab's own are used.
        """
        of = (folder or self.state).joinpath
        openstack = {"conn_type": "openstack", "extra": {"cloud": CLOUD}}
        ssh = {
            "conn_type": "ssh",
            "login": LOGIN,
            "extra": {
                "key_file": str(of(self.key.name)),
                "known_hosts": str(of(self.known_hosts.name)),
            },
        }
        return {
            "OS_CLIENT_CONFIG_FILE": str(of(self.clouds_yaml.name)),
            "AIRFLOW_CONN_OPENSTACK_DEFAULT": json.dumps(openstack),
            "AIRFLOW_CONN_OPENSTACK_SSH": json.dumps(ssh),
        }
