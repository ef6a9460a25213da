"""What a run of controller_maintenance was asked to do, and whether that makes sense."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from openstack_maintenance.domain.blocker import Blocker
from openstack_maintenance.domain.deployment import Deployment, Service
from openstack_maintenance.domain.foreign_text import quoted
from openstack_maintenance.domain.params import (
    and_more,
    bad_flags,
    bad_reason,
    did_you_mean,
    in_short,
    missing_reason,
    not_one_of,
    text_of,
    unknown_params,
)

_KEYS = (
    "controllers",
    "action",
    "services",
    "allow_outage",
    "reason",
    "dry_run",
    "ignore_window",
)
_FLAGS = ("allow_outage", "dry_run", "ignore_window")
_LISTS = ("controllers", "services")
# So many unknown names are named; of the rest, how many there are.
_NAMED = 20


@dataclass(frozen=True)
class ControllerRequest:
    """The params of one run, as the contract names them; no name at all means all of them."""

    controllers: tuple[str, ...] = ()
    action: Literal["restart", "reboot"] = "restart"
    services: tuple[str, ...] = ()
    allow_outage: bool = False
    reason: str = ""
    dry_run: bool = False
    ignore_window: bool = False


def read_controller_request(params: Mapping[str, Any]) -> ControllerRequest:
    """Params as a request; what is not as it must be is for `check_controller_params` to say."""
    return ControllerRequest(
        controllers=_names(params.get("controllers")),
        action=_action(params.get("action")),
        services=_names(params.get("services")),
        allow_outage=params.get("allow_outage") is True,
        reason=text_of(params, "reason"),
        dry_run=params.get("dry_run") is True,
        ignore_window=params.get("ignore_window") is True,
    )


def _action(value: Any) -> Any:
    return "restart" if value is None or value == "" else value


def _names(value: Any) -> tuple[str, ...]:
    given = value if isinstance(value, list) else []
    return tuple(dict.fromkeys(name.strip() for name in given if isinstance(name, str)))


def check_controller_params(
    params: Mapping[str, Any],
    request: ControllerRequest,
    inventory: Sequence[str],
    deployment: Deployment,
) -> list[Blocker]:
    """Everything wrong with the params themselves, before anything is read."""
    blockers = unknown_params(params, _KEYS)
    blockers += [_not_a_list(key, params[key]) for key in _LISTS if not _is_list(params.get(key))]
    blockers += bad_flags(params, _FLAGS)
    if request.action not in ("restart", "reboot"):
        blockers.append(not_one_of("action", request.action, "restart, reboot"))
    strangers = unknown(request, inventory)
    blockers += [_not_in_inventory(each, inventory) for each in strangers[:_NAMED]]
    blockers += and_more("controllers", len(strangers) - _NAMED, "Name those of the policy.")
    if request.action == "reboot" and request.services:
        blockers.append(
            Blocker(
                "param services",
                f"{in_short(', '.join(request.services))}: a reboot restarts everything",
                "Leave services empty, or use action=restart.",
            )
        )
    else:
        blockers += _service_blockers(request.services, deployment)
    return blockers + bad_reason(params) + missing_reason(request)


def unknown(request: ControllerRequest, inventory: Sequence[str]) -> list[str]:
    """The controllers of a request that the inventory lacks."""
    known = set(inventory)
    return [name for name in request.controllers if name not in known]


def in_order(request: ControllerRequest, inventory: Sequence[str]) -> list[str]:
    """The controllers in the order in which they are maintained: the primary last."""
    wanted = request.controllers or inventory
    return [name for name in (*inventory[1:], *inventory[:1]) if name in wanted]


def named_services(names: Iterable[str], deployment: Deployment) -> list[Service]:
    """The services that names of services or of groups stand for, in the catalog's order."""
    wanted: set[str] = set()
    for name in names:
        wanted |= {each.name for each in _find(name, deployment)}
    return [service for service in deployment if service.name in wanted]


def _find(name: str, deployment: Deployment) -> tuple[Service, ...]:
    """A service by its name, or a group's services by its title, whatever the case."""
    service = deployment.find_service(name)
    if service is not None:
        return (service,)
    groups = {group.title.casefold(): group.services for group in deployment.groups}
    return groups.get(name.casefold(), ())


def _service_blockers(names: Collection[str], deployment: Deployment) -> list[Blocker]:
    known = {service.name: service for service in deployment}
    titles = {group.title.casefold(): group.title for group in deployment.groups}
    remedy = "Name a service or a group of the deployment file that the policy names."
    blockers: list[Blocker] = []
    strangers = [name for name in names if name not in known and name.casefold() not in titles]
    for name in strangers[:_NAMED]:
        hint = did_you_mean(name, [*known, *titles.values()])
        found = f"{quoted(name)} is not in the catalog of {deployment.title}{hint}"
        blockers.append(Blocker("param services", found, remedy))
    blockers += and_more("param services", len(strangers) - _NAMED, remedy)
    for name in names:
        if name in known and known[name].stage == "never":
            blockers.append(
                Blocker(
                    f"service {name}",
                    "is not restarted on a running system (stage: never in the catalog)",
                    "Use action=reboot, or leave it out.",
                )
            )
    return blockers


def _is_list(value: Any) -> bool:
    if value is None:
        return True
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _not_a_list(key: str, value: Any) -> Blocker:
    return Blocker(
        f"param {key}", f"{quoted(value)} is not a list of names", f'Write {key} as ["one", "two"].'
    )


def _not_in_inventory(name: str, inventory: Sequence[str]) -> Blocker:
    return Blocker(
        f"controller {in_short(name)}",
        f"is not in the policy's inventory{did_you_mean(name, inventory)}",
        f"Name one of {in_short(', '.join(inventory))}, or add it to controllers in the policy.",
    )
