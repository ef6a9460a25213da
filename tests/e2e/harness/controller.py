"""The lab's controller as the checks' tests break it, and give it back as it was."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from datetime import datetime
from functools import cached_property
from pathlib import Path

from keystoneauth1.exceptions import ClientException

from openstack_lab import Cloud, Lab
from openstack_lab.lab import LabError

NAME = "ctl01"
_JOURNAL = "/var/log/journal/$(cat /etc/machine-id)"
_KEPT = "/var/lib/journal-as-it-was"
_AGE = base64.b64encode(Path(__file__).with_name("age_journal.py").read_bytes()).decode()
# Replaces what the service runs, until the next boot at most.
_CRASHING = """\
[Unit]
StartLimitIntervalSec=0
[Service]
ExecStart=
ExecStart=/bin/false
Restart=always
RestartSec=1
"""


class Controller:
    """Orders for the lab's controller; ``give_back`` undoes all of them."""

    def __init__(self, lab: Lab, cloud: Cloud) -> None:
        self._lab = lab
        self._cloud = cloud
        self._undo: list[Callable[[], object]] = []

    @cached_property
    def address(self) -> str:
        """Asked for once: the lab's status asks Nova, too, which a test may have slowed down."""
        return str(self._lab.status()["hosts"][NAME]["address"])

    @property
    def unused_address(self) -> str:
        """An address of the lab's network that nobody has."""
        return f"{self.address.rpartition('.')[0]}.250"

    def run(self, command: str) -> str:
        return self._lab.ssh(NAME, command)

    def stop(self, *units: str) -> None:
        self._later(f"sudo systemctl start {' '.join(units)}")
        self.run(f"sudo systemctl --quiet stop {' '.join(units)}")

    def stop_database(self) -> None:
        """Stop MariaDB, and what would start it again at the next question."""
        # A worker of nova-api that was in the middle of it does not find its cell again.
        self._later("sudo systemctl restart nova-api")
        self.stop("mariadb.socket", "mariadb")

    def mask(self, unit: str) -> None:
        """Mask a unit and stop it, as a person does who does not want it back.

        Not with `systemctl mask`: the lab's own units are in /etc, where that wants to write.
        """
        link = f"/run/systemd/system.control/{unit}.service"
        self._later(f"sudo rm -f {link}; sudo systemctl daemon-reload; sudo systemctl start {unit}")
        self.run(
            f"sudo mkdir -p {Path(link).parent}; sudo ln -sf /dev/null {link}; "
            f"sudo systemctl daemon-reload; sudo systemctl stop {unit}"
        )

    def let_crash(self, unit: str) -> None:
        """Let a unit crash whenever it is started; systemd restarts it again and again."""
        folder = f"/run/systemd/system/{unit}.service.d"
        self._later(
            f"sudo rm -rf {folder}; sudo systemctl daemon-reload; "
            f"sudo systemctl stop {unit}; sudo systemctl reset-failed {unit} 2>/dev/null; "
            f"sudo systemctl start {unit}"
        )
        self.run(
            f"sudo mkdir -p {folder}; printf '%s' '{_CRASHING}' | "
            f"sudo tee {folder}/crash.conf >/dev/null; sudo systemctl daemon-reload; "
            f"sudo systemctl restart {unit}; sleep 3"
        )

    def fault(self, *words: str) -> None:
        self._undo.append(lambda: self._lab.run("fault", NAME, "clear", words[0]))
        self._lab.fault(NAME, *words)

    def age_journal(self, ends_at: datetime) -> None:
        """Let what the journal has noted so far end at a moment in the past.

        The entries are journald's own; only their times are changed. What comes after it keeps
        its time.
        """
        if not self.run(f"sudo ls {_KEPT} 2>/dev/null || true"):
            self._later(
                f"sudo journalctl --rotate; sudo sh -c 'cd {_JOURNAL} && rm -f *@*.journal && "
                f"mv {_KEPT}/* . ; rmdir {_KEPT}'"
            )
            self.run(f"sudo mkdir -p {_KEPT}")
        self.run(
            f"sudo journalctl --rotate && echo {_AGE} | base64 -d | "
            f'sudo python3 - {int(ends_at.timestamp())} "{_JOURNAL}" {_KEPT}'
        )

    def give_back(self) -> None:
        """Undo everything, the last first."""
        while self._undo:
            self._undo.pop()()
        self._wait_until_nova_answers()

    def _wait_until_nova_answers(self, timeout: float = 600) -> None:
        deadline = time.monotonic() + timeout
        while True:
            try:
                return self._cloud.wait_until_enabled_and_up(self._cloud.compute_hosts())
            except (LabError, ClientException):  # it answers errors while it finds its peers again
                if time.monotonic() > deadline:
                    raise
                time.sleep(1)

    def _later(self, command: str) -> None:
        self._undo.append(lambda: self.run(command))
