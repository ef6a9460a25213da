"""The lab's own notes: what was asked for, passwords, keys. Kept in the state folder."""

import base64
import json
import os
import secrets
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .docker import run
from .errors import LabError
from .layout import CONTROLLER, Host, Names, make_hosts

SSH_USER = "maintenance"


@dataclass
class Book:
    """Everything about one lab that must stay the same from one command to the next."""

    names: Names
    virt: str
    subnet: str
    computes: int
    image: str = ""
    identity: str = field(default_factory=lambda: str(uuid.uuid4()))
    admin_password: str = field(default_factory=lambda: secrets.token_hex(8))
    service_password: str = field(default_factory=lambda: secrets.token_hex(12))
    database_password: str = field(default_factory=lambda: secrets.token_hex(12))
    broker_password: str = field(default_factory=lambda: secrets.token_hex(12))
    fernet_keys: list[str] = field(
        default_factory=lambda: [
            base64.urlsafe_b64encode(os.urandom(32)).decode() for _ in range(2)
        ]
    )
    settings: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def hosts(self) -> list[Host]:
        """Controller first, then the computes."""
        return make_hosts(self.subnet, self.computes)

    @property
    def controller(self) -> Host:
        """The controller."""
        return self.get_host(CONTROLLER)

    @property
    def compute_names(self) -> list[str]:
        """Names of the compute hosts."""
        return [host.name for host in self.hosts if not host.is_controller]

    def get_host(self, name: str) -> Host:
        """A host by name.

        Raises: LabError naming the hosts that there are.
        """
        for host in self.hosts:
            if host.name == name:
                return host
        known = ", ".join(host.name for host in self.hosts)
        raise LabError(f"The lab has no host {name!r}; it has {known}.")

    def node_folder(self, host: str) -> Path:
        """The folder that the host sees as /lab."""
        return self.names.state / "nodes" / host

    def fault_folder(self, host: str) -> Path:
        """The folder with the host's faults."""
        return self.node_folder(host) / "faults"

    @property
    def key(self) -> Path:
        """The private key of the user `maintenance`."""
        return self.names.state / "id_ed25519"

    def save(self) -> None:
        """Write lab.json, readable by its owner only."""
        content: dict[str, Any] = {
            name: value for name, value in vars(self).items() if name != "names"
        }
        content["name"] = self.names.lab
        content["auth_url"] = f"http://{self.controller.address}:5000/v3"
        content["ssh_user"] = SSH_USER
        content["versions"] = read_versions()
        content["hosts"] = {
            host.name: {
                "address": host.address,
                "role": "controller" if host.is_controller else "compute",
                "zone": host.zone,
                "container": self.names.container(host.name),
            }
            for host in self.hosts
        }
        write_private(self.names.state / "lab.json", json.dumps(content, indent=2) + "\n")


def find_book(names: Names) -> Book | None:
    """The notes of this lab, or None when there is no lab."""
    path = names.state / "lab.json"
    if not path.exists():
        return None
    content = json.loads(path.read_text())
    known = {name: content[name] for name in Book.__dataclass_fields__ if name in content}
    return Book(names=names, **known)


def get_book(names: Names) -> Book:
    """The notes of this lab.

    Raises: LabError when the lab is not up.
    """
    book = find_book(names)
    if book is None:
        raise LabError("There is no lab here: start one with `lab up`.")
    return book


def write_private(path: Path, content: str, mode: int = 0o600) -> None:
    """Write a file whole or not at all, readable by its owner only."""
    draft = path.with_name(f".{path.name}.new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w") as file:
        file.write(content)
    draft.replace(path)


def read_versions() -> dict[str, str]:
    """Versions of the services that the lab runs."""
    requirements = Path(__file__).parent.parent / "image" / "requirements.txt"
    pairs = (line.split("==") for line in requirements.read_text().splitlines() if "==" in line)
    return dict(pairs)


def make_key(path: Path, comment: str) -> None:
    """An SSH key pair, unless it is there already."""
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)])
