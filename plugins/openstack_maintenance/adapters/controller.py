"""One controller over SSH: read everything in one round trip, or restart one service.

The login needs these commands without a password where it cannot run them itself. To read:
``rabbitmqctl -q --formatter json cluster_status`` (before RabbitMQ 3.7 without the formatter),
``mariadb|mysql -N -B --connect-timeout=5 -e ...``, ``journalctl --no-pager ...``; for containers
``docker|podman inspect|exec|logs``. To maintain: ``systemctl restart --no-block -- UNIT``,
``systemctl reset-failed -- UNIT``, ``systemctl reboot``, ``docker|podman restart``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from openstack_maintenance.adapters.shell import Shell
from openstack_maintenance.domain.checks import controller_facts as facts_of
from openstack_maintenance.domain.checks.controller_facts import SeenController
from openstack_maintenance.domain.checks.history import History, parse_history
from openstack_maintenance.domain.checks.night import Span
from openstack_maintenance.domain.deployment import PROBED, Deployment, Service
from openstack_maintenance.domain.errors import HostError
from openstack_maintenance.domain.foreign_text import brief, brief_list
from openstack_maintenance.domain.host.answers import Answers, is_boot_id, one, words
from openstack_maintenance.domain.host.unit_name import service_unit

_LOOK = timedelta(seconds=40)
# How many, and how much of each: a message is read by a person.
_RIGHTS_SHOWN = (60, 300)
_CONTROL = timedelta(seconds=150)  # a container gets 60 s to stop before it is killed
_LOOK_BACK = timedelta(seconds=120)  # a journal of many gigabytes takes its time
# Where the catalog names no database (the runbook's list does not), these are looked for.
_DATABASES = ("mariadb", "mysqld", "mysql")
_TIME_UNITS = ("chronyd", "chrony", "ntpd", "ntp", "ntpsec", "openntpd", "systemd-timesyncd")


async def read_controller(shell: Shell, deployment: Deployment) -> SeenController:
    """Every service of the catalog, broker, database, cache and clock: one round trip.

    Raises:
        HostUnreachable: no complete answer.
        HostError: the controller says what hinders it, or its answer cannot be read.
    """
    services = tuple(deployment)
    asked = [*services, *other_databases(deployment)]
    engines = " ".join(deployment.nova_compute.engines)
    time_units = tuple(service_unit(name) for name in _TIME_UNITS)
    sent = datetime.now(UTC)
    answers = await shell.ask(
        "controller", engines, " ".join(time_units), *map(_spec, asked), wait=_LOOK
    )
    received = datetime.now(UTC)
    try:
        return await asyncio.to_thread(
            _controller, answers, services, len(asked), time_units, (sent, received)
        )
    except ValueError as error:
        raise _unreadable(shell, str(error)) from error


def _controller(
    answers: Answers,
    services: Sequence[Service],
    asked: int,
    time_units: Sequence[str],
    looked: Span,
) -> SeenController:
    """What the answers say; ``looked``: from when to when that was. Raises: ValueError."""
    time_service = facts_of.parse_time_service(answers, asked, time_units)
    return SeenController(
        hostname=one(answers, "hostname"),
        boot_id=_boot_id(answers),
        booted=facts_of.parse_booted(answers),
        clock_now=facts_of.parse_look(answers)[1],
        services=tuple(
            facts_of.parse_service(answers, number, service.name, _unit(service))
            for number, service in enumerate(services)
        ),
        broker=facts_of.parse_broker(answers),
        database=facts_of.parse_database(answers),
        cache=facts_of.parse_cache(answers),
        clock=facts_of.parse_clock_facts(answers, *looked, time_service),
        container_error=words(answers, "container_error"),
    )


async def read_history(shell: Shell, deployment: Deployment, night: Span) -> History:
    """What the controller keeps about a past night: one round trip.

    Raises:
        HostUnreachable: no complete answer.
        HostError: the controller says what hinders it, or its answer cannot be read.
    """
    services = tuple(deployment)
    until = str(int(night[1].timestamp()))
    engines = " ".join(deployment.nova_compute.engines)
    answers = await shell.ask(
        "controller_past", until, engines, *map(_spec, services), wait=_LOOK_BACK
    )
    try:
        names = [(each.name, _unit(each)) for each in services]
        return await asyncio.to_thread(parse_history, answers, names)
    except ValueError as error:
        raise _unreadable(shell, str(error)) from error


async def missing_rights(
    shell: Shell, deployment: Deployment, order: str, services: Iterable[Service]
) -> tuple[str, ...]:
    """The commands that an ``order`` ("restart", "reboot") needs and sudo refuses. Runs none.

    Raises: HostUnreachable, HostError.
    """
    engines = " ".join(deployment.nova_compute.engines)
    answers = await shell.ask("rights", order, engines, *map(_spec, services), wait=_LOOK)
    return brief_list(answers.get("sudo_missing", ()), *_RIGHTS_SHOWN)


async def restart_service(shell: Shell, deployment: Deployment, service: Service) -> None:
    """Order the restart of one service; a failed or stopped one is started. Wait for its end.

    Raises:
        HostUnreachable: no complete answer; whether it restarts is unknown: read it again.
        HostError: the restart was refused, or there is no such service.
    """
    engines = " ".join(deployment.nova_compute.engines)
    unit = _unit(service)
    answers = await shell.ask("control", "restart", unit, service.container, engines, wait=_CONTROL)
    status = one(answers, "status")
    if status == "0":
        return
    told = words(answers, "message") or "no reason given"
    raise HostError(
        f"service {service.name} on {shell.name}",
        f"its restart was refused: {told}" if status else "there is no such unit or container",
        f"Run `systemctl status {unit}` there. The login needs sudo for the restart.",
    )


def other_databases(deployment: Deployment) -> list[Service]:
    if any(service.role == "database" for service in deployment):
        return []
    return [Service(name, required=False, role="database") for name in _DATABASES]


def _unit(service: Service) -> str:
    # A container that stands alone still needs a place in systemctl's list.
    return service_unit(service.unit or f"none-for-{service.container}")


def _spec(service: Service) -> str:
    role = service.role if service.role in PROBED else ""
    return f"{_unit(service)}|{service.container}|{role}"


def _boot_id(answers: Answers) -> str:
    boot_id = one(answers, "boot_id")
    if is_boot_id(boot_id):
        return boot_id
    raise ValueError(f"its boot_id cannot be read: it says {brief(boot_id, 100)!r}")


def _unreadable(shell: Shell, found: str) -> HostError:
    return HostError(
        f"controller {shell.name}", found, "Log in by hand and see what the controller answers."
    )
