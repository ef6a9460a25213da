"""Rules on what a host itself shows, against what Nova says of it: each names its blockers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta

from openstack_maintenance.domain.blocker import Blocker
from openstack_maintenance.domain.cloud import ComputeService, Instance
from openstack_maintenance.domain.foreign_text import brief_list
from openstack_maintenance.domain.host.amqp_log import amqp_lines, find_silent_start
from openstack_maintenance.domain.host.facts import AmqpEvidence, GuestProcess, HostFacts, UnitState
from openstack_maintenance.domain.host.zone import local_zone
from openstack_maintenance.domain.policy import Policy

_DEMANDED = "the policy demands the AMQP log line (amqp_evidence: log_line)"
_CONNECTS_WITHIN = timedelta(minutes=5)  # after its start, many guests or none


def check_nova_compute(service: ComputeService, unit: UnitState) -> list[Blocker]:
    """The deployment's unit must be the nova-compute that Nova hears of, and the only one."""
    host, similar = f"host {service.host}", ", ".join(unit.look_alikes) or "none"
    if unit.kind == "absent":
        found = f"has no unit or container {unit.name} (similar: {similar})"
        return [Blocker(host, found, "Set the right deployment in the policy.")]
    where = unit.strays_in_words or f"similar units and containers: {similar}"
    # A run of ours that has the host may just have stopped it: Nova shows it up for a minute.
    if unit.is_idle and service.is_up and service.out_by is None:
        return [
            Blocker(
                host,
                f"Nova shows nova-compute up, but {unit.name} on the host is "
                f"{unit.active_state}: the deployment names the wrong unit ({where})",
                "Set the right deployment in the policy, or name the unit or container under "
                "nova_compute in the deployment file.",
            )
        ]
    if unit.strays:
        return [
            Blocker(
                host,
                f"another nova-compute runs there beside {unit.name}: {unit.strays_in_words}",
                "Stop and disable the one that is left over. If it is the right one, name its unit "
                "or container under nova_compute in the deployment file.",
            )
        ]
    return []


def check_rights(facts: HostFacts, host: str, script: str | None = None) -> list[Blocker]:
    """The login must be allowed all that a maintenance does there. ``script``: its name."""
    blockers = []
    if facts.sudo_missing:
        blockers.append(
            Blocker(
                f"host {host}",
                f"the SSH login may not run with sudo: {', '.join(facts.sudo_missing)}",
                "Allow these without a password in sudoers. include/rights/host-rights writes it.",
            )
        )
    if facts.script_refused:
        blockers.append(
            Blocker(
                f"host {host}",
                f"its maintenance-shell does not allow script {script} as it is here",
                "Install the rights on it again: run "
                "include/rights/host-rights, then install-host-rights on the host.",
            )
        )
    return blockers


def check_guests(
    host: str, guests: Sequence[GuestProcess], instances: Iterable[Instance]
) -> list[Blocker]:
    """A guest that runs on the host must be that of an instance that Nova knows there.

    ``instances``: those that Nova lists on the host, and those on their way to it or from it.
    """
    known = list(instances)
    names = {each.guest_name for each in known}
    if "" in names:  # a Nova that does not tell them: only whether any may run at all is known
        strange = [] if any(each.may_be_running for each in known) else list(guests)
    else:
        anybody = any(each.may_be_running for each in known)
        strange = [
            each for each in guests if each.guest not in names and (each.guest or not anybody)
        ]
    if not strange:
        return []
    one = strange[0].guest or "NAME"
    return [
        Blocker(
            f"host {host}",
            f"guests run on it that Nova does not list there: {', '.join(brief_list(strange))}",
            "Look at them on the host (`virsh list --uuid --name`; the uuid is the instance's). "
            "What Nova deleted while the host was down is ended with "
            f"`virsh destroy {one}` and `virsh undefine --nvram {one}`. What Nova shows on another "
            "host may run twice: stop it on one of them first.",
        )
    ]


def check_bus(service: ComputeService, policy: Policy, facts: HostFacts) -> list[Blocker]:
    """What assert_amqp will need after the reboot must be there before it, too.

    Nothing is said of a nova-compute that does not run now: it has no connection to show.
    """
    bus = facts.bus
    if bus is None or not (service.is_up and bus.nova_compute.is_active):
        return []
    if policy.amqp_evidence == "log_line":
        return _no_log_line(service.host, bus)
    logs_it = any(each.news == "connected" for each in amqp_lines(bus.log.lines))
    if bus.sockets or bus.sockets_error or logs_it:
        return []
    peers = sorted({each.peer for each in bus.other_sockets})
    elsewhere = f" (it is connected to {', '.join(brief_list(peers))})" if peers else ""
    return [
        Blocker(
            f"host {service.host}",
            f"nova-compute holds no connection to the broker's ports{elsewhere}, and its log has "
            "no line of one: after the reboot nothing could prove that it is on the message bus",
            "Name the broker's port under nova_compute.broker_ports in the deployment file "
            "(transport_url in nova.conf has it; the default is [5671, 5672]).",
        )
    ]


def _no_log_line(host: str, bus: AmqpEvidence) -> list[Blocker]:
    """The policy demands the line: the log must be readable, and have had one at the last start.

    A log that does not reach back to that start shows neither; assert_amqp will tell.
    """
    if bus.log_error:
        return [
            Blocker(
                f"host {host}",
                f"{_DEMANDED}, but its log {bus.log_path} cannot be read: {bus.log_error}",
                "Let the login read it, name the right log under nova_compute.log_paths in the "
                "deployment file, or set amqp_evidence: any in the policy.",
            )
        ]
    start = find_silent_start(bus.log.lines, local_zone(bus.zone_name, bus.clock))
    # Without a socket it may be about to connect.
    if start is None or not (bus.sockets or bus.clock - start.at > _CONNECTS_WITHIN):
        return []
    return [
        Blocker(
            f"host {host}",
            f"{_DEMANDED}, but its nova-compute logs no connection: {bus.log_path} has its start "
            f"({start.line.at}), and no connection after it",
            "Add oslo.messaging._drivers.impl_rabbit=DEBUG to default_log_levels in its nova.conf "
            "and restart nova-compute, or set amqp_evidence: any in the policy.",
        )
    ]
