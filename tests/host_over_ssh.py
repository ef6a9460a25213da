"""A real SSH server on loopback that runs the commands as they are.

It hands each command line to /bin/sh with tests/fixtures/host/bin in front of the PATH: stand-ins
for systemctl, sudo, ss and others that replay what real hosts answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncssh

from openstack_maintenance.adapters.host import Host, connect_host
from openstack_maintenance.domain.deployment import NovaCompute

FIXTURES = Path(__file__).parent / "fixtures" / "host"
BOOT = "6f1f3f0a-5f39-4d5e-a6c0-0d4bb1d5f001"
UNIT = "nova-compute.service"
RUNNING = (FIXTURES / "systemctl_show_running.txt").read_text()
STOPPED = (FIXTURES / "systemctl_show_stopped.txt").read_text()
CONNECTED = (FIXTURES / "nova-compute.log").read_text()


class FakeHost:
    """The folder that the stand-in programs replay, and a server that runs them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "nova-compute.log"
        self.user_key = asyncssh.generate_private_key("ssh-ed25519")
        self.host_key = asyncssh.generate_private_key("ssh-ed25519")
        self.port = 0
        self.children: list[asyncio.subprocess.Process] = []
        self.shell = "/bin/sh"
        for name, text in {
            "boot_id": BOOT + "\n",
            "hostname": "c01\n",
            "kernel": "6.1.0-13-amd64\n",
            "fqdn": "c01.example.com\n",
            "readlink": "/usr/share/zoneinfo/Etc/UTC\n",
            "sudo_denied": "",
            "calls": "",
            "journal": "line one\nline two\n",
            "unit.manager": "UserspaceTimestamp=Sun 2026-11-22 12:53:26 UTC\n",
            "unit.unknown": "LoadState=not-found\nActiveState=inactive\nSubState=dead\nMainPID=0\n",
            f"unit.{UNIT}": RUNNING,
            "cgroups": f"1 0::/init.scope\n61 9:name=systemd:/docker/bc85ec/system.slice/{UNIT}\n",
            "ps": (FIXTURES / "ps.txt").read_text(),
            "ss": (FIXTURES / "ss.txt").read_text(),
            "nova-compute.log": CONNECTED,
        }.items():
            self.write(name, text)

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def install(self, name: str, script: str) -> None:
        """Give the host a program that it does not usually have."""
        (self.folder / "bin").mkdir(exist_ok=True)
        self.write(f"bin/{name}", f"#!/bin/sh\n{script}\n")
        (self.folder / "bin" / name).chmod(0o755)

    def calls(self) -> list[str]:
        return (self.folder / "calls").read_text().splitlines()

    def trust(self, name: str, key: asyncssh.SSHKey) -> None:
        self.write("known_hosts", f"{name} {key.export_public_key().decode()}")

    @property
    def compute(self) -> NovaCompute:
        return NovaCompute(unit="nova-compute", log_paths=(str(self.log),))

    @property
    def kolla(self) -> NovaCompute:
        return NovaCompute(
            unit="kolla-nova_compute-container",
            log_paths=(str(self.log),),
            container="nova_compute",
            engines=("docker", "podman"),
        )

    def options(self, **changes: Any) -> dict[str, Any]:
        known = self.folder / "known_hosts"
        self.trust(f"[127.0.0.1]:{self.port}", self.host_key)
        options: dict[str, Any] = {
            "host": "127.0.0.1",
            "port": self.port,
            "username": "maintenance",
            "client_keys": [self.user_key],
            "known_hosts": str(known),
            "config": None,
        }
        return options | changes

    async def serve(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        # A test may put programs of its own in front.
        programs = f"{self.folder / 'bin'}:{FIXTURES / 'bin'}:/usr/bin:/bin"
        environment = {"PATH": programs, "FAKE_HOST": str(self.folder)}
        # sshd has the login's shell run the command, which names /bin/sh: here it may be another.
        command = (process.command or "").replace("/bin/sh", self.shell, 1)
        child = await asyncio.create_subprocess_exec(
            "/bin/sh",
            "-c",
            command,
            env=environment,
            cwd=self.folder,
            start_new_session=True,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        self.children.append(child)
        watch = asyncio.create_task(self._drop(process))
        try:
            out, err = await child.communicate(await process.stdin.read())
            process.stdout.write(out)
            process.stderr.write(err)
            process.exit(child.returncode or 0)
        finally:
            watch.cancel()

    async def _drop(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        """Cut the line like a host that goes down, as soon as a program leaves a file `drop`."""
        while not (self.folder / "drop").exists():  # noqa: ASYNC110 another process makes it
            await asyncio.sleep(0.01)
        process.channel.get_connection().abort()


@asynccontextmanager
async def opened(fake: FakeHost, compute: NovaCompute | None = None) -> AsyncIterator[Host]:
    async with connect_host(fake.options(), "c01.example.com", compute or fake.compute) as host:
        yield host
