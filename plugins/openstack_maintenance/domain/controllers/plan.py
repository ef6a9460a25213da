"""What a maintenance does to one controller: what is restarted, and in which order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from openstack_maintenance.domain.checks.controller_facts import SeenController, SeenService
from openstack_maintenance.domain.checks.service_rules import is_in_use
from openstack_maintenance.domain.deployment import RESTART_ORDER, Deployment, Service


def is_used(seen: SeenService) -> bool:
    """Whether somebody means the service to run on its controller."""
    state = seen.state
    if state.kind == "absent" or state.starts_at_boot.startswith("masked"):
        return False
    return state.active_state not in ("inactive",) or is_in_use(state)


def runs(controller: SeenController, name: str) -> bool:
    """Whether the service of this name is active on a controller."""
    return any(
        each.name == name and each.state.active_state in ("active", "reloading")
        for each in controller.services
    )


def used_services(
    wanted: Sequence[Service], deployment: Deployment, controller: SeenController
) -> list[Service]:
    """What is restarted on a controller: of ``wanted``, or of the catalog, what is in use there.

    Of what was asked for, a service that is required and switched off there is started.
    """
    seen = {each.name: each for each in controller.services}
    asked = {service.name for service in wanted}
    return [
        service
        for service in (wanted or deployment)
        if service.stage != "never"
        and (
            is_used(seen[service.name])
            or (service.name in asked and service.required and _may_start(seen[service.name]))
        )
    ]


def _may_start(seen: SeenService) -> bool:
    return seen.state.kind != "absent" and not seen.state.starts_at_boot.startswith("masked")


def stages(services: Iterable[Service]) -> list[list[Service]]:
    """The services in the order of their restarts, each stage at one time."""
    left = list(services)
    found = [[each for each in left if each.stage == stage] for stage in RESTART_ORDER]
    return [stage for stage in found if stage]


def still_to_restart(
    services: Iterable[Service], controller: SeenController, since: datetime
) -> list[Service]:
    """The services that are not active, or have been so since before ``since``.

    ``since``: by the controller's own clock. systemd tells times to the second, rounded down: a
    restart is never taken for one that came before.
    """
    seen = {each.name: each.state for each in controller.services}
    return [
        service
        for service in services
        if not (
            seen[service.name].active_state == "active"
            and (entered := seen[service.name].active_enter) is not None
            and entered > since
        )
    ]


def is_called(name: str, names: Iterable[str]) -> bool:
    """Whether a Nova host's name is one of a controller's, as far as both have a domain."""
    ours = {each.lower().rstrip(".") for each in names}
    theirs = name.lower().rstrip(".")
    if theirs in ours:
        return True
    short = theirs.partition(".")[0]
    return any(
        each.partition(".")[0] == short and not ("." in each and "." in theirs) for each in ours
    )
