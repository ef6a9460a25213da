"""What is read from a host over SSH. `answers` has the parsers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from openstack_maintenance.domain.blocker import Blocker
from openstack_maintenance.domain.foreign_text import brief_list
from openstack_maintenance.domain.host.amqp_log import LogFile

UnitKind = Literal["systemd", "docker", "podman", "absent"]
ScriptStatus = Literal["absent", "running", "succeeded", "failed"]


@dataclass(frozen=True)
class UnitState:
    """nova-compute as the host's service manager sees it, and the processes that it has.

    ``kind`` says who manages it ("absent": nobody here knows it; ``look_alikes`` then names what
    is similar). ``pids`` are all live processes of its cgroup, 0 for one whose number cannot be
    read; ``strays`` those of a nova-compute that is not in it, "PID CGROUP". ``starts_at_boot`` is
    what the manager says: "enabled", "disabled", "masked", or a container's restart policy.
    """

    name: str
    kind: UnitKind
    active_state: str = ""
    sub_state: str = ""
    main_pid: int = 0
    pids: tuple[int, ...] = ()
    n_restarts: int = 0
    active_enter: datetime | None = None
    starts_at_boot: str = ""
    look_alikes: tuple[str, ...] = ()
    strays: tuple[str, ...] = ()

    @property
    def is_active(self) -> bool:
        return self.active_state == "active" and bool(self.main_pid or any(self.pids))

    @property
    def is_gone(self) -> bool:
        """No process is left and none is about to come, in this unit or in another."""
        return self.is_idle and not self.strays

    @property
    def is_idle(self) -> bool:
        """No process of the unit itself is left: "failed" is as idle as "inactive"."""
        idle = self.active_state in ("inactive", "failed")
        return self.kind != "absent" and idle and not self.main_pid and not self.pids

    @property
    def is_back_after_boot(self) -> bool:
        """Whether the manager starts it at boot; a container that was stopped by hand is not."""
        return self.starts_at_boot in ("enabled", "enabled-runtime", "static", "always", "linked")

    def __str__(self) -> str:
        if self.kind == "absent":
            return f"{self.name}: no such unit or container"
        shown = brief_list([pid or "with an unreadable number" for pid in self.pids])
        pids = f", processes {', '.join(shown)}" if self.pids else ", no process"
        stray = f"; nova-compute runs elsewhere: {self.strays_in_words}" if self.strays else ""
        return f"{self.name} ({self.kind}): {self.active_state}/{self.sub_state}{pids}{stray}"

    @property
    def strays_in_words(self) -> str:
        """For example: process 812 in /system.slice/openstack-nova-compute.service."""
        told = (each.partition(" ") for each in self.strays)
        return ", ".join(f"process {pid} in {where or 'no cgroup'}" for pid, _, where in told)


@dataclass(frozen=True)
class GuestProcess:
    """A process of a guest on the host; ``guest`` is libvirt's name where it can be read.

    ``pid`` is 0 where it could not be read: a guest is there all the same.
    """

    pid: int
    name: str
    guest: str = ""

    def __str__(self) -> str:
        return f"{self.guest or self.name} (process {self.pid or 'unreadable'})"


@dataclass(frozen=True)
class HostFacts:
    """What one look at a host found; all times are the host's own clock.

    ``log_error`` and ``sudo_missing`` are empty where the log can be read and every command
    that maintenance needs may be run without a password. ``script_refused``: the login's forced
    command does not let the script that was asked about through. ``reboot_reasons``: why it wants a
    reboot, for people; ``reboot_unread``: why that could not be read in full, if it could not.
    """

    hostname: str
    fqdn: str
    boot_id: str
    booted: datetime | None
    clock: datetime
    zone_name: str
    nova_compute: UnitState
    log_path: str
    log_error: str
    sudo_missing: tuple[str, ...]
    guests: tuple[GuestProcess, ...]
    script_refused: bool = False
    reboot_reasons: tuple[str, ...] = ()
    reboot_unread: str = ""
    bus: AmqpEvidence | None = None  # where it was asked for

    @property
    def reboot_required(self) -> bool:
        return bool(self.reboot_reasons)


@dataclass(frozen=True)
class BrokerSocket:
    """An established TCP connection of a nova-compute process to a broker's port."""

    pid: int
    local: str
    peer: str


@dataclass(frozen=True)
class AmqpEvidence:
    """What a host shows of nova-compute's tie to the broker: its log and its sockets.

    ``log_error`` and ``sockets_error`` say why one of the two could not be read.
    """

    boot_id: str
    clock: datetime
    zone_name: str
    nova_compute: UnitState
    log_path: str
    log_error: str
    log: LogFile
    sockets: tuple[BrokerSocket, ...]
    sockets_error: str
    other_sockets: tuple[BrokerSocket, ...] = ()  # nova-compute's to other ports, some of them


@dataclass(frozen=True)
class RebootAnswer:
    """What the host said when asked to reboot; only a changed boot_id proves a reboot.

    ``asked``: systemd took the order. ``already_rebooted``: its boot_id was not the expected one,
    nothing was done. ``unknown``: the connection broke before an answer came.
    ``clock`` is the host's time just before the order.
    """

    outcome: Literal["asked", "already_rebooted", "unknown"]
    boot_id: str = ""
    clock: datetime | None = None


@dataclass(frozen=True)
class ScriptState:
    """A maintenance script that runs, or ran, as a transient unit since the host's boot."""

    unit: str
    status: ScriptStatus
    exit_code: int | None = None
    result: str = ""
    started: datetime | None = None
    ended: datetime | None = None
    output: tuple[str, ...] = ()


def find_wrong_host(facts: HostFacts, service_host: str, hypervisor: str) -> Blocker | None:
    """Say why the SSH target is not the Nova host, or None where it is.

    A full name must equal one of Nova's two names. A short name is enough only while the domains
    do not contradict each other: c01.east is not c01.west.
    """
    ours = {name.lower().rstrip(".") for name in (facts.hostname, facts.fqdn) if _is_name(name)}
    novas = {name.lower().rstrip(".") for name in (service_host, hypervisor) if _is_name(name)}
    if ours & novas:
        return None
    same_short = {_short(name) for name in ours} & {_short(name) for name in novas}
    our_domains, nova_domains = _domains(ours), _domains(novas)
    if same_short and (not our_domains or not nova_domains or our_domains & nova_domains):
        return None
    return Blocker(
        service_host,
        f"the SSH address leads to {facts.fqdn or facts.hostname} (hostname {facts.hostname}), "
        f"not to Nova's host {service_host} (hypervisor {hypervisor or 'unknown'})",
        f"Set `addresses: {{{service_host}: ADDRESS}}` in the policy to this host's SSH address; "
        "if the address is right, make `hostname -f` on the host give the name that Nova uses.",
    )


def _is_name(name: str) -> bool:
    return bool(name) and not name.lower().startswith("localhost")


def _short(name: str) -> str:
    return name.partition(".")[0]


def _domains(names: Iterable[str]) -> set[str]:
    return {name.partition(".")[2] for name in names if "." in name}
