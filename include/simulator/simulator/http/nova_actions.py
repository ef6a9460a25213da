"""What is asked of servers, of their migrations, and the record of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from simulator.cloud.lifecycle import KINDS
from simulator.cloud.model import IN_PROGRESS, Instance
from simulator.cloud.refusals import BadRequest, NotFound
from simulator.http import nova_rows as rows
from simulator.http import nova_schemas as schemas
from simulator.http.messages import Answer
from simulator.http.nova_request import Asked
from simulator.http.nova_server_rows import server_text
from simulator.http.nova_servers import find_flavor

_POLICY = "os_compute_api:servers:"
_MIGRATE = "os_compute_api:os-migrate-server:"


def act(asked: Asked) -> Answer:
    """POST /servers/{id}/action."""
    if len(asked.body) != 1:
        raise BadRequest("Malformed request body")
    name = next(iter(asked.body))
    if name not in _ACTIONS:
        raise BadRequest(f"There is no such action: {name}")
    asked.check_body(_SHAPES[name])
    instance = _instance_for(asked, name)
    arguments = asked.body[name] or {}
    return _ACTIONS[name](asked, instance, arguments if isinstance(arguments, dict) else {})


def _instance_for(asked: Asked, name: str) -> Instance:
    try:
        return asked.instance()
    except NotFound as unknown:
        if name not in ("os-stop", "os-start"):
            raise
        # For these two Nova looks for the cell first.
        raise NotFound(f"Instance {asked.arguments[0]} has no mapping to a cell.") from unknown


def _migrate_live(asked: Asked, instance: Instance, given: dict[str, Any]) -> Answer:
    host, block = given["host"], given["block_migration"]
    asked.require(f"{_MIGRATE}migrate_live{':host' if host else ''}")
    is_forced = str(given.get("force", False)).lower() == "true"
    if is_forced and not host:
        raise BadRequest("Can't force to a non-provided destination")
    flag = None if block == "auto" else str(block).lower() == "true"
    asked.cloud.live.accept(
        instance,
        host,
        flag,
        # Before 2.30 a named host was never checked by the scheduler.
        is_forced=is_forced or (asked.minor < 30 and bool(host)),
        is_asynchronous=asked.minor >= 34,
        who="client",
    )
    return Answer(None, 202)


def _migrate(asked: Asked, instance: Instance, given: dict[str, Any]) -> Answer:
    host = given.get("host") if asked.minor >= 56 else None
    asked.require(f"{_MIGRATE}migrate{':host' if host else ''}")
    asked.cloud.cold.accept(instance, host, who="client")
    return Answer(None, 202)


def _resize(asked: Asked, instance: Instance, given: dict[str, Any]) -> Answer:
    asked.require(_POLICY + "resize")
    flavor = find_flavor(asked, given.get("flavorRef"))
    asked.cloud.cold.accept(instance, flavor=flavor, who="client")
    return Answer(None, 202)


def _confirm(asked: Asked, instance: Instance, _: dict[str, Any]) -> Answer:
    asked.require(_POLICY + "confirm_resize")
    asked.cloud.cold.confirm(instance, "client")
    return Answer(None, 204)


def _revert(asked: Asked, instance: Instance, _: dict[str, Any]) -> Answer:
    asked.require(_POLICY + "revert_resize")
    asked.cloud.cold.revert(instance, "client")
    return Answer(None, 202)


def _reset(asked: Asked, instance: Instance, given: dict[str, Any]) -> Answer:
    asked.require("os_compute_api:os-admin-actions:reset_state")
    asked.cloud.lifecycle.reset_state(instance, given["state"], "client")
    return Answer(None, 202)


def _lock(asked: Asked, instance: Instance, given: dict[str, Any]) -> Answer:
    asked.require("os_compute_api:os-lock-server:lock")
    asked.cloud.lifecycle.lock(instance, given.get("locked_reason") or "")
    return Answer(None, 202)


def _unlock(asked: Asked, instance: Instance, _: dict[str, Any]) -> Answer:
    asked.require("os_compute_api:os-lock-server:unlock")
    asked.cloud.lifecycle.unlock(instance)
    return Answer(None, 202)


def _of_lifecycle(name: str, rule: str) -> Callable[..., Answer]:
    def perform(asked: Asked, instance: Instance, _: dict[str, Any]) -> Answer:
        asked.require(rule)
        asked.cloud.lifecycle.perform(instance, name, "client")
        if name != "rebuild":
            return Answer(None, 202)
        return Answer(f'{{"server": {server_text(asked, instance)}}}', 202)

    return perform


_KEYS = {"stop": "os-stop", "start": "os-start"}
_RULES = {"pause": "pause-server", "unpause": "pause-server"} | {
    name: f"{name if name != 'resume' else 'suspend'}-server" for name in ("suspend", "resume")
}
_ACTIONS: dict[str, Callable[..., Answer]] = {
    "os-migrateLive": _migrate_live,
    "migrate": _migrate,
    "resize": _resize,
    "confirmResize": _confirm,
    "revertResize": _revert,
    "os-resetState": _reset,
    "lock": _lock,
    "unlock": _unlock,
} | {
    _KEYS.get(name, name): _of_lifecycle(
        name,
        f"os_compute_api:os-{_RULES[name]}:{name}" if name in _RULES else _POLICY + name,
    )
    for name in KINDS
}
_SHAPES = {name: partial(schemas.action, name) for name in _ACTIONS}


# -- migrations of a server


def list_server_migrations(asked: Asked) -> Answer:
    """GET /servers/{id}/migrations: those in progress, and not only accepted."""
    asked.require("os_compute_api:servers:migrations:index")
    found = asked.cloud.live.in_progress(asked.instance())
    return Answer({"migrations": [rows.server_migration(asked, each) for each in found]})


def show_server_migration(asked: Asked) -> Answer:
    """GET /servers/{id}/migrations/{id}."""
    asked.require("os_compute_api:servers:migrations:show")
    instance, wanted = asked.instance(), asked.arguments[1]
    found = asked.cloud.live.find(instance, wanted)
    if found is None:
        raise NotFound(
            f"In-progress live migration {wanted} is not found for server {instance.id}."
        )
    if not found.is_live:
        raise NotFound(f"Migration {wanted} for server {instance.id} is not live-migration.")
    if found.status not in IN_PROGRESS:
        raise NotFound(f"Live migration {wanted} for server {instance.id} is not in progress.")
    return Answer({"migration": rows.server_migration(asked, found)})


def abort_migration(asked: Asked) -> Answer:
    """DELETE /servers/{id}/migrations/{id}."""
    instance = asked.instance()
    asked.require("os_compute_api:servers:migrations:delete")
    asked.cloud.live.abort(instance, asked.arguments[1], may_be_queued=asked.minor >= 65)
    return Answer(None, 202)


def force_migration(asked: Asked) -> Answer:
    """POST /servers/{id}/migrations/{id}/action."""
    if len(asked.body) != 1:
        raise BadRequest("Malformed request body")
    if "force_complete" not in asked.body:
        raise BadRequest(f"There is no such action: {next(iter(asked.body))}")
    asked.check_body(schemas.force_complete)
    instance = asked.instance()
    asked.require("os_compute_api:servers:migrations:force_complete")
    asked.cloud.live.force_complete(instance, asked.arguments[1])
    return Answer(None, 202)


# -- the record of what was asked


def list_actions(asked: Asked) -> Answer:
    """GET /servers/{id}/os-instance-actions: newest first, also of a deleted one."""
    asked.check_query(schemas.actions_query)
    asked.require("os_compute_api:os-instance-actions:list")
    instance = _also_buried(asked)
    found = list(reversed(instance.actions))
    if asked.minor < 58:
        return Answer({"instanceActions": [rows.action(asked, instance, each) for each in found]})
    limit = asked.limit()
    if marker := asked.query.get("marker"):
        ids = [each.request_id for each in found]
        if marker not in ids:
            raise BadRequest(f"Marker {marker} could not be found.")
        found = found[ids.index(marker) + 1 :]
    body: dict[str, Any] = {
        "instanceActions": [rows.action(asked, instance, each) for each in found[:limit]]
    }
    if len(found) >= limit > 0:
        path = f"servers/{instance.id}/os-instance-actions"
        body["links"] = asked.next_link(path, found[limit - 1].request_id)
    return Answer(body)


def show_action(asked: Asked) -> Answer:
    """GET /servers/{id}/os-instance-actions/{request}: its newest event first."""
    asked.require("os_compute_api:os-instance-actions:show")
    instance, wanted = _also_buried(asked), asked.arguments[1]
    found = next((each for each in instance.actions if each.request_id == wanted), None)
    if found is None:
        raise NotFound(f"Action {wanted} not found")
    row = rows.action(asked, instance, found)
    row["events"] = [rows.event(asked, instance, each) for each in reversed(found.events)]
    return Answer({"instanceAction": row})


def _also_buried(asked: Asked) -> Instance:
    buried = asked.cloud.state.buried.get(asked.arguments[0])
    return buried if buried is not None else asked.instance()
