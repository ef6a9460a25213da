"""A witness on every host: what its hypervisor did, and what root was asked to do there."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from lab_campaign.facts import Fact
from openstack_lab import Lab

_FOLDER = "/var/lib/lab-witness"
_PROGRAM = (Path(__file__).with_name("on_host.py")).read_bytes()
# Before nova-compute, whose driver notes what a reboot did to its guests.
_UNIT = f"""\
[Unit]
Description=Write down boots and guests
Before=nova-compute.service
[Service]
ExecStart=/opt/openstack/bin/python {_FOLDER}/on_host.py {_FOLDER}/log
[Install]
WantedBy=multi-user.target
"""
_INSTALL = f"""\
sudo mkdir -p {_FOLDER}
echo {base64.b64encode(_PROGRAM).decode()} | base64 -d | sudo tee {_FOLDER}/on_host.py >/dev/null
sudo tee /etc/systemd/system/lab-witness.service >/dev/null <<'END'
{_UNIT}END
sudo rm -f {_FOLDER}/log {_FOLDER}/scripts
sudo systemctl daemon-reload
sudo systemctl --quiet enable lab-witness
sudo systemctl restart lab-witness"""
# What the maintenance script of these stories does: a line for each time that it runs.
SCRIPT = f"#!/bin/sh\ndate +%s.%N >>{_FOLDER}/scripts\nsleep 2\n"
_READ_LOG = f"sudo cat {_FOLDER}/log"
_READ_SCRIPTS = f"sudo cat {_FOLDER}/scripts 2>/dev/null || true"
_READ_SUDO = "sudo journalctl -q -t sudo -o json --output-fields=MESSAGE --since @{since:.0f}"
_COMMAND = re.compile(
    r"COMMAND=\S*?systemctl (stop|restart)\b.*\bnova-compute|COMMAND=\S*?systemctl (reboot)\b"
)


class Witness:
    """On all ``hosts`` of a lab."""

    def __init__(self, lab: Lab, hosts: list[str]) -> None:
        self._lab, self._hosts = lab, hosts

    def install(self) -> None:
        """Begin anew: what happened before is forgotten."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda host: self._lab.ssh(host, _INSTALL), self._hosts))

    def facts(self, since: datetime) -> list[Fact]:
        """What all hosts have written down; the first boot of each is the one it began in."""
        with ThreadPoolExecutor() as pool:
            found = pool.map(lambda host: list(self._of(host, since)), self._hosts)
            return [fact for facts in found for fact in facts]

    def _of(self, host: str, since: datetime) -> Iterator[Fact]:
        yield from read_log(host, self._lab.ssh(host, _READ_LOG))
        yield from read_scripts(host, self._lab.ssh(host, _READ_SCRIPTS))
        asked = _READ_SUDO.format(since=since.timestamp())
        yield from read_sudo(host, self._lab.ssh(host, asked))


def read_log(host: str, text: str) -> Iterator[Fact]:
    """Facts of what `on_host.py` wrote. A line that a crash cut off is left out."""
    for line in text.splitlines():
        try:
            found = json.loads(line)
        except ValueError:
            continue
        at = datetime.fromtimestamp(found["at"], UTC)
        if "boot" in found:
            yield Fact(at, "boot", host=host, what=found["boot"])
        else:
            yield Fact(at, "guests", host=host, value=found["guests"])


def read_scripts(host: str, text: str) -> Iterator[Fact]:
    """A fact for each run of the maintenance script."""
    for line in text.split():
        yield Fact(datetime.fromtimestamp(float(line), UTC), "script", host=host)


def read_sudo(host: str, text: str) -> Iterator[Fact]:
    """Orders to stop nova-compute or to reboot, as sudo wrote them into the journal."""
    for line in text.splitlines():
        entry = json.loads(line)
        ordered = _COMMAND.search(str(entry.get("MESSAGE", "")))
        # `sudo -l` asks what may be done and does nothing: its line says COMMAND=list.
        if ordered is not None:
            at = datetime.fromtimestamp(int(entry["__REALTIME_TIMESTAMP"]) / 1e6, UTC)
            kind = "reboot order" if ordered[2] else "stop order"
            yield Fact(at, kind, host=host)
