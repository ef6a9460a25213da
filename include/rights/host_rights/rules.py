"""What is run with sudo on the hosts of a deployment: exactly what adapters/remote runs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from openstack_maintenance.adapters.controller import other_databases
from openstack_maintenance.adapters.host import JOURNAL_LINES, OUTPUT_LINES
from openstack_maintenance.adapters.shell import script_texts
from openstack_maintenance.domain.deployment import Deployment, Service
from openstack_maintenance.domain.host.unit_name import service_unit


class Pattern(str):
    """An argument that is a pattern of sudoers, not a string."""


@dataclass(frozen=True)
class Rule:
    """One command with all its arguments, and what it is for."""

    why: str
    command: str
    args: tuple[str, ...]


# A star would match spaces and slashes, and so any further argument: these have a length.
_HEX_12 = "[0-9a-f]" * 12
_DATE = "[0-9]" * 8
SCRIPT_UNIT = Pattern(f"openstack-maintenance-{_HEX_12}.service")
_SCRIPT_FILE = Pattern(f"/var/lib/openstack-maintenance/{SCRIPT_UNIT}")


def compute_rules(deployment: Deployment) -> list[Rule]:
    """A compute host's: nova-compute, its log and sockets, the reboot."""
    return list(dict.fromkeys(_compute(deployment)))


def script_rules() -> list[Rule]:
    """What a maintenance script needs: it is stored and run as root, whatever it holds."""
    why = "a maintenance script, stored"
    to = ("-D", "-m", "0700", "-o", "root", "-g", "root", "--", "/dev/stdin", _SCRIPT_FILE)
    run = (
        Pattern(f"--unit={SCRIPT_UNIT}"),
        "--description=maintenance script",
        "--property=RemainAfterExit=yes",
        "--",
        _SCRIPT_FILE,
    )
    return [
        Rule(why, "install", to),
        Rule("... run as a unit of its own", "systemd-run", run),
        Rule("... run again after it failed", "systemctl", ("reset-failed", "--", SCRIPT_UNIT)),
    ]


def controller_rules(deployment: Deployment) -> list[Rule]:
    """A controller's: the catalog's services, its broker and database, the reboot."""
    return list(dict.fromkeys(_controller(deployment)))


def _compute(deployment: Deployment) -> Iterator[Rule]:
    compute = deployment.nova_compute
    unit = service_unit(compute.unit)
    for order in ("stop", "start"):
        yield Rule(f"{order} nova-compute", "systemctl", (order, "--no-block", "--", unit))
    yield Rule("start it after it failed", "systemctl", ("reset-failed", "--", unit))
    for engine in compute.engines:
        container = compute.container
        yield Rule("nova-compute's container, its state", engine, _inspect(container))
        yield Rule("... stopped", engine, ("stop", "--time", "60", "--", container))
        yield Rule("... started", engine, ("start", "--", container))
        yield Rule("similar names, where it is not there", engine, _NAMES)
    yield _REBOOT
    yield Rule("nova-compute's sockets to the broker", "ss", ("-tnp",))
    for log in compute.log_paths:
        why = "the log, where the login cannot read it itself"
        yield Rule(why, "tail", (*_TAIL, log))
        yield Rule("... as logrotate names the one before it", "tail", (*_TAIL, f"{log}.1"))
        yield Rule("...", "tail", (*_TAIL, Pattern(f"{log}-{_DATE}")))
    last = ("--no-pager", "-o", "short-iso", "-n", str(JOURNAL_LINES), "-u", unit)
    yield Rule("nova-compute's last words, for messages", "journalctl", last)
    # Reading it gives nobody a right: it is here rather than with the scripts.
    match = Pattern(f"_SYSTEMD_UNIT={SCRIPT_UNIT}")
    output = ("--no-pager", "-q", "-o", "cat", "-b", "-n", OUTPUT_LINES, match)
    yield Rule("what a maintenance script printed", "journalctl", output)


def _controller(deployment: Deployment) -> Iterator[Rule]:
    restarted = [each for each in deployment if each.stage != "never"]
    engines = deployment.nova_compute.engines
    yield _REBOOT
    for service in restarted:
        unit = service_unit(service.unit or f"none-for-{service.container}")
        why = f"restart {service.name}"
        yield Rule(why, "systemctl", ("restart", "--no-block", "--", unit))
        yield Rule("... after it failed", "systemctl", ("reset-failed", "--", unit))
        restart = ("restart", "--time", "60", "--", service.container)
        for engine in engines if service.container else ():
            yield Rule("... its container", engine, restart)
    containers = [each.container for each in deployment if each.container]
    for engine in engines if containers else ():
        yield Rule("all containers at one look", engine, _inspect(*containers))
        for container in dict.fromkeys(containers):
            yield Rule(f"{container} alone", engine, _inspect(container))
            yield Rule("... its log", engine, ("logs", "--tail", "10", "--", container))
        yield Rule("similar names, where one is not there", engine, _NAMES)
    yield from _questions(deployment)


def _questions(deployment: Deployment) -> Iterator[Rule]:
    """To broker and database, on the controller or in their containers."""
    query = _value_in("controller", "query")
    plain = ("-N", "-B", "--connect-timeout=5", "-e", query)
    inside = ("sh", "-c", _value_in("controller", "ask_inside"), query)
    for service in [*deployment, *other_databases(deployment)]:
        if service.role == "broker":
            why = "ask the broker for its cluster"
            for asked in (("-q", "--formatter", "json", "cluster_status"), ("cluster_status",)):
                if not service.container:
                    yield Rule(why, "rabbitmqctl", asked)
                yield from _in_container(deployment, service, why, ("rabbitmqctl", *asked))
        elif service.role == "database":
            why = "ask the database for its cluster"
            for client in () if service.container else ("mariadb", "mysql"):
                yield Rule(why, client, plain)
            yield from _in_container(deployment, service, why, inside)


def _in_container(
    deployment: Deployment, service: Service, why: str, words: tuple[str, ...]
) -> Iterator[Rule]:
    for engine in deployment.nova_compute.engines if service.container else ():
        yield Rule(f"{why}, in its container", engine, ("exec", "--", service.container, *words))


def _value_in(script: str, name: str) -> str:
    """What a script of adapters/remote sets a variable to: sudoers must have it to the letter."""
    found = re.search(rf"""^{name}=(['"])(.*)\1$""", script_texts()[script], re.MULTILINE)
    if found is None:
        raise LookupError(f"{script}.sh does not set {name} in one line")
    return found[2]


def _inspect(*containers: str) -> tuple[str, ...]:
    shown = _value_in("controller", "container_format")
    return ("inspect", "--type", "container", "--format", shown, "--", *containers)


_NAMES = ("ps", "-a", "--format", "{{.Names}}")
_TAIL = ("-c", "16777216", "--")
_REBOOT = Rule("the reboot", "systemctl", ("reboot",))
