"""The verdict over one service of a controller."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from openstack_maintenance.domain.checks.controller_facts import SeenController, SeenService
from openstack_maintenance.domain.checks.finding import Finding
from openstack_maintenance.domain.deployment import Deployment, Service
from openstack_maintenance.domain.host.facts import UnitState
from openstack_maintenance.domain.moment import parse_iso

# Without an earlier check to compare with, a restart this young counts as flapping.
_YOUNG = timedelta(minutes=10)
# While a controller boots, services are restarted until what they need is there.
_SETTLING = timedelta(minutes=5)
# What a unit's state at boot, or a container's restart policy, says of a service that is in use.
_IN_USE = (
    "enabled",
    "enabled-runtime",
    "linked",
    "alias",
    "generated",
    "always",
    "unless-stopped",
    "on-failure",
)


@dataclass(frozen=True)
class LastCheck:
    """What the last check of a controller saw; restarts by the catalog's names."""

    boot_id: str = ""
    clock: datetime | None = None
    restarts: Mapping[str, int] = field(default_factory=dict)


def judge_services(
    deployment: Deployment, controller: SeenController, last: LastCheck
) -> dict[str, list[Finding]]:
    """A finding for each service, by the titles of the catalog's groups."""
    seen = {each.name: each for each in controller.services}
    same_boot = last if last.boot_id == controller.boot_id else LastCheck()
    return {
        group.title: [
            judge_service(service, seen[service.name], controller, same_boot)
            for service in group.services
        ]
        for group in deployment.groups
    }


def judge_service(
    service: Service, seen: SeenService, controller: SeenController, last: LastCheck
) -> Finding:
    """One service: active, or what it is instead, and whether that is a fault."""
    state = seen.state
    if state.kind == "absent":
        return _absent(service, controller)
    if state.starts_at_boot.startswith("masked"):
        return _masked(service, seen)
    if state.active_state in ("active", "reloading"):
        return _active(service, seen, controller, last)
    off = state.active_state == "inactive" and not is_in_use(state)
    if off and not service.required:
        return Finding(service.name, "absent", f"not in use ({state.starts_at_boot or 'static'})")
    return Finding(service.name, "bad", _not_active(seen), seen.journal)


def _absent(service: Service, controller: SeenController) -> Finding:
    wanted = service.unit or service.container
    if controller.container_error and service.container:
        return Finding(service.name, "bad", f"unknown ({controller.container_error})")
    if service.required:
        kind = "unit" if service.unit else "container"
        return Finding(service.name, "bad", f"missing (there is no {kind} {wanted})")
    return Finding(service.name, "absent", _with("absent", service.retired))


def _masked(service: Service, seen: SeenService) -> Finding:
    if service.is_retired:
        return Finding(service.name, "absent", f"masked ({service.retired})")
    running = seen.state.active_state == "active"
    text = "masked (it runs, but will not start again)" if running else "masked"
    return Finding(service.name, "bad", text, seen.journal)


def _active(
    service: Service, seen: SeenService, controller: SeenController, last: LastCheck
) -> Finding:
    state = seen.state
    before = last.restarts.get(service.name)
    is_newer = bool(last.clock and state.active_enter and state.active_enter > last.clock)
    # A person's restart sets the count back to 0: then all of it is new.
    more = state.n_restarts - before if before is not None else 0
    if before is not None and (more > 0 or (more < 0 and is_newer and state.n_restarts)):
        more = more if more > 0 else state.n_restarts
        text = f"flapping (restarted by itself {_times(more)} since the last check, {_at(last)})"
        return Finding(service.name, "bad", text, seen.journal)
    if before is None and _is_young(seen, controller):
        text = f"flapping (restarted by itself {_times(state.n_restarts)}, last {_since(seen)})"
        if not state.n_restarts:
            text = f"flapping (started only {_since(seen)}, after the boot)"
        return Finding(service.name, "bad", text, seen.journal)
    if is_newer:
        return Finding(service.name, "ok", f"active (restarted {_since(seen)})")
    return Finding(service.name, "ok", "active")


def _is_young(seen: SeenService, controller: SeenController) -> bool:
    """Whether it came up by itself a moment ago; a person's restart sets the count to 0."""
    entered = seen.state.active_enter
    if entered is None or controller.clock_now - entered > _YOUNG:
        return False
    if controller.booted is not None and entered - controller.booted <= _SETTLING:
        return False
    # Without a count only the boot explains a young activation.
    return seen.state.n_restarts > 0 or not seen.has_restart_count


def _not_active(seen: SeenService) -> str:
    state = seen.state
    if state.sub_state == "auto-restart" or state.active_state == "restarting":
        return f"flapping (waits to be restarted, after {_times(state.n_restarts)})"
    plain = state.sub_state in ("", "dead", "failed", "exited", state.active_state)
    text = state.active_state if plain else f"{state.active_state} ({state.sub_state})"
    return f"{text}, restarted {_times(state.n_restarts)} before" if state.n_restarts else text


def is_in_use(state: UnitState) -> bool:
    """Whether somebody means it to run on this controller."""
    return state.starts_at_boot in _IN_USE


def _at(last: LastCheck) -> str:
    return f"{last.clock:%Y-%m-%d %H:%M:%S %Z}" if last.clock else "unknown when"


def _since(seen: SeenService) -> str:
    entered = seen.state.active_enter
    return f"{entered:%Y-%m-%d %H:%M:%S} UTC" if entered else "at an unknown time"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _with(word: str, reason: str) -> str:
    return f"{word} ({reason})" if reason else word


def restarts_of(controller: SeenController) -> dict[str, int]:
    """What the next check compares with."""
    return {each.name: each.state.n_restarts for each in controller.services}


def last_check_of(controller: SeenController) -> LastCheck:
    """A look as the one that the next look is compared with."""
    return LastCheck(controller.boot_id, controller.clock_now, restarts_of(controller))


def plain_last_check(last: LastCheck) -> dict[str, Any]:
    """The same as plain JSON, for `read_last_check`."""
    clock = last.clock.isoformat() if last.clock else None
    return {"boot_id": last.boot_id, "clock": clock, "restarts": dict(last.restarts)}


def read_last_check(stored: object) -> LastCheck:
    """The last check of one controller from plain JSON; one that is no check compares nothing."""
    found = stored if isinstance(stored, Mapping) else {}
    boot_id, clock, restarts = (found.get(key) for key in ("boot_id", "clock", "restarts"))
    moment = parse_iso(clock) if isinstance(clock, str) else None
    if not isinstance(boot_id, str) or not isinstance(restarts, Mapping):
        return LastCheck()
    return LastCheck(
        boot_id=boot_id,
        clock=moment if moment and moment.tzinfo else None,
        restarts={name: count for name, count in restarts.items() if type(count) is int},
    )
