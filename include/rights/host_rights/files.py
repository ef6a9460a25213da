"""The folder that is copied to the hosts."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from pathlib import Path

from host_rights.rules import compute_rules, controller_rules, script_rules
from host_rights.sudoers import sudoers
from openstack_maintenance.adapters.policy_file import scripts
from openstack_maintenance.adapters.shell import script_texts
from openstack_maintenance.domain.deployment import Deployment
from openstack_maintenance.domain.errors import HostError

LOGIN = "maintenance"
SHELL = "/usr/local/lib/openstack-maintenance/maintenance-shell"
_HERE = Path(__file__).resolve().parents[1]
_LOGIN = re.compile(r"[a-z_][a-z0-9_-]{0,31}")


def write_rights(deployment: Deployment, name: str, login: str, folder: Path) -> str:
    """Write everything into a folder; returns what was written, for the person who asked.

    Raises: HostError: not a login, or visudo does not accept what was written.
    """
    if not _LOGIN.fullmatch(login) or login == "root":
        raise HostError(
            f"login {login!r}",
            "it cannot be used as the SSH login",
            "Name a user other than root: a-z, 0-9, _ and -",
        )
    files = {
        "sudoers-compute": sudoers(_title("compute hosts", name), login, compute_rules(deployment)),
        "sudoers-scripts": sudoers(_title("scripts on them", name), login, script_rules()),
        "sudoers-controller": sudoers(
            _title("controllers", name), login, controller_rules(deployment)
        ),
        "maintenance-shell.allowed": allowed(),
        "authorized_keys": f'restrict,command="{SHELL}" <public key>\n',
    }
    folder.mkdir(parents=True, exist_ok=True)
    for file, text in files.items():
        (folder / file).write_text(text)
    for file in ("maintenance-shell", "install-host-rights"):
        shutil.copy(_HERE / file, folder)
    checked = _check([folder / file for file in files if file.startswith("sudoers")])
    return (
        f"Written to {folder}; {checked}.\nCopy the folder to each host and run there as root:\n"
        f"  sh install-host-rights {login} compute|controller [--scripts] [--key FILE.pub]"
    )


def allowed() -> str:
    """The scripts of this release, for maintenance-shell: their sha256 and name, one a line."""
    texts = {name: text.encode() for name, text in script_texts().items()}
    texts |= {f"scripts/{each.name}": each.read_bytes() for each in scripts()}
    return "".join(
        f"{hashlib.sha256(text).hexdigest()} {name}\n" for name, text in sorted(texts.items())
    )


def _title(whom: str, deployment: str) -> str:
    return f"openstack-maintenance, {whom}, deployment {deployment}: written by host-rights"


def _check(files: list[Path]) -> str:
    visudo = shutil.which("visudo") or shutil.which("visudo", path="/usr/sbin:/sbin")
    if visudo is None:
        return "not checked: this machine has no visudo (install-host-rights checks it)"
    for file in files:
        done = subprocess.run([visudo, "-cf", file], capture_output=True, text=True)
        if done.returncode != 0:
            raise HostError(
                str(file), f"visudo rejects it: {done.stderr or done.stdout}", "Report this."
            )
    return "visudo accepts the rules"
