"""A witness on every host: it notices a reboot that took a guest down, whoever ordered it."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from openstack_lab import Lab

_FOLDER = "/var/lib/boot-witness"
_BOOT_ID = "/proc/sys/kernel/random/boot_id"
_GUESTS = "/var/lib/nova/guests.json"  # not there on a host that never had one
_WRITE = (
    f"if [ -e {_GUESTS} ]; then cp {_GUESTS} $(cat {_BOOT_ID}); else touch $(cat {_BOOT_ID}); fi"
)
# Before nova-compute, whose driver notes what a reboot did to its guests.
_UNIT = f"""\
[Unit]
Description=Write down the guests that the last boot left behind
Before=nova-compute.service
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'cd {_FOLDER}; {_WRITE}'
[Install]
WantedBy=multi-user.target
"""
_INSTALL = f"""\
sudo mkdir -p {_FOLDER}
sudo tee /etc/systemd/system/boot-witness.service >/dev/null <<'END'
{_UNIT}END
sudo systemctl daemon-reload
sudo systemctl --quiet enable boot-witness"""
_READ = f"sudo sh -c 'cd {_FOLDER} && for boot in *; do echo \"$boot $(cat $boot)\"; done'"


@dataclass(frozen=True)
class LoadedReboot:
    """A boot of a host, and the ids of the guests that the boot before still had."""

    host: str
    boot_id: str
    guests: frozenset[str]


class BootWitness:
    """What the hosts themselves noted at each boot: the hypervisor's own list of guests.

    Independent of Nova and of the project: whatever rebooted or reset a host, a guest that was
    still defined on it, running or not, is on the list.
    """

    def __init__(self, lab: Lab, hosts: list[str]) -> None:
        self.lab = lab
        self.hosts = hosts
        self._known: set[str] = set()
        self._allowed: set[str] = set()

    def install(self) -> None:
        """Put the witness onto every host; what happened before is forgotten."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda host: self.lab.ssh(host, _INSTALL), self.hosts))
        self._known = {reboot.boot_id for reboot in self._all()}

    def allow(self, *instance_ids: str) -> None:
        """These may be on a host that reboots: a person asked for it with on_blocked=leave."""
        self._allowed.update(instance_ids)

    def boots(self) -> list[LoadedReboot]:
        """Every boot since the last call of `loaded_reboots`, whatever it took down."""
        return [reboot for reboot in self._all() if reboot.boot_id not in self._known]

    def loaded_reboots(self) -> list[LoadedReboot]:
        """The reboots since the last call that took down a guest that nobody allowed."""
        found = self.boots()
        self._known.update(reboot.boot_id for reboot in found)
        return [reboot for reboot in found if reboot.guests - self._allowed]

    def _all(self) -> list[LoadedReboot]:
        with ThreadPoolExecutor() as pool:
            return [reboot for found in pool.map(self._of, self.hosts) for reboot in found]

    def _of(self, host: str) -> list[LoadedReboot]:
        reboots = []
        for line in self.lab.ssh(host, _READ).splitlines():
            boot_id, _, left = line.partition(" ")
            if boot_id != "*":  # else no boot was witnessed yet and the pattern stands for itself
                guests = json.loads(left)["guests"] if left else []
                reboots.append(LoadedReboot(host, boot_id, frozenset(guests)))
        return reboots
