"""The rights that host-rights writes, installed on the lab's hosts, cut short, and taken away."""

from __future__ import annotations

import base64
import io
import json
import os
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

from airflow_local.home import PROJECT
from openstack_lab import Lab

LIBRARY = "/usr/local/lib/openstack-maintenance"
RULES = "/etc/sudoers.d/openstack-maintenance"
_FOLDER = "/root/rights"


def write_rights(folder: Path, deployment: str, login: str) -> None:
    """Write the files as an administrator does."""
    command = [str(PROJECT / "include/rights/host-rights"), deployment]
    subprocess.run([*command, "--login", login, "--output", str(folder)], check=True, timeout=120)


def new_key(file: Path) -> None:
    """A key pair of the restricted login's own."""
    file.unlink(missing_ok=True)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", file], check=True)


def rules_of(deployment: str) -> dict[str, list[list[str]]]:
    """The commands that each file allows, as words; of a pattern, something that matches."""
    code = (
        "import json, sys; from pathlib import Path; from host_rights import rules;"
        "from openstack_maintenance.adapters.deployment_files import load_deployment;"
        f"d = load_deployment('{deployment}', Path('include/deployments'));"
        "print(json.dumps({'compute': [[r.command, *r.args] for r in rules.compute_rules(d)],"
        "'scripts': [[r.command, *r.args] for r in rules.script_rules()],"
        "'controller': [[r.command, *r.args] for r in rules.controller_rules(d)]}))"
    )
    path = f"{PROJECT}/plugins:{PROJECT}/include/rights"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path},
        cwd=PROJECT,
        check=True,
        capture_output=True,
        text=True,
    )
    text = done.stdout.replace("[0-9a-f]", "a").replace("[0-9]", "7")
    return dict(json.loads(text))


@dataclass(frozen=True)
class HostRights:
    """One host of the lab; whatever is done here is done as the lab's own login, with its sudo."""

    lab: Lab
    host: str
    login: str

    def install(self, folder: Path, *options: str, key: Path | None = None) -> str:
        """Install what was written, as root on the host; returns what the installer says."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as archive:
            for file in folder.iterdir():
                archive.add(file, file.name)
            if key:
                archive.add(key.with_suffix(".pub"), "key.pub")
        words = " ".join([self.login, *options, *(["--key", "key.pub"] if key else [])])
        return self.root(
            f"rm -rf {_FOLDER}; mkdir {_FOLDER}; cd {_FOLDER}\n"
            f"echo {base64.b64encode(packed.getvalue()).decode()} | base64 -d | tar xz\n"
            f"sh install-host-rights {words} 2>&1"
        )

    def root(self, script: str) -> str:
        """Run a shell script as root on the host."""
        text = base64.b64encode(script.encode()).decode()
        return self.lab.ssh(self.host, f"echo {text} | base64 -d | sudo sh -e")

    def remove(self) -> None:
        """Take the files away."""
        self.root(f"rm -rf {RULES}-* {LIBRARY} {_FOLDER}")

    def add_user(self) -> None:
        self.remove_user()
        self.root(f"useradd --system --create-home --shell /bin/sh {self.login}")

    def remove_user(self) -> None:
        self.remove()
        # Its home is root's once it has a key: userdel leaves it there, and fails.
        self.root(
            f"! id {self.login} 2>/dev/null || userdel {self.login}; rm -rf /home/{self.login}"
        )

    @property
    def boot_keys(self) -> Path:
        """What the lab puts into the login's authorized_keys whenever the host boots."""
        node = self.lab.state / "nodes" / self.host
        return node / "root/home" / self.login / ".ssh/authorized_keys"

    def keep_keys_over_boots(self) -> None:
        """Let the lab write at each boot what authorized_keys holds now."""
        self.boot_keys.write_text(self.root(f"cat /home/{self.login}/.ssh/authorized_keys"))

    def give_back_keys(self) -> None:
        """The lab's own key alone logs in again."""
        self.boot_keys.write_text(self.lab.key.with_suffix(".pub").read_text())
        self.root(f"cp /lab/root/home/{self.login}/.ssh/authorized_keys ~{self.login}/.ssh/")
