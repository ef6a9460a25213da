"""Servers of Nova: lists, single ones, and what is asked of them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

from simulator.cloud.lifecycle import KINDS
from simulator.cloud.model import Flavor, Group, Image, Instance
from simulator.cloud.refusals import BadRequest, NotFound
from simulator.http import nova_rows as rows
from simulator.http.messages import Answer
from simulator.http.nova_request import Asked

_POLICY = "os_compute_api:servers:"
_MIGRATE = "os_compute_api:os-migrate-server:"
_FILTERS = ("host", "name", "vm_state", "task_state", "project_id", "tenant_id", "uuid")
_FREE_FILTERS = ("name", "status", "changes-since")
_PAGING = ("sort_key", "sort_dir", "limit", "marker")


def list_servers(asked: Asked) -> Answer:
    """GET /servers and /servers/detail."""
    is_detailed = asked.request.path.endswith("/detail")
    asked.require(_POLICY + ("detail" if is_detailed else "index"))
    if asked.wants_all_projects:
        asked.require(_POLICY + ("detail" if is_detailed else "index") + ":get_all_tenants")
    filters = _filters(asked)
    limit, found = asked.limit(), []
    if limit:
        for instance in _candidates(asked, filters):
            if _matches(asked, instance, filters):
                found.append(instance)
                if len(found) == limit:
                    break
    texts = [_text(asked, each, is_detailed=is_detailed) for each in found]
    texts += _silent_rows(asked, filters, limit - len(found))
    links = ""
    if limit and len(found) == limit:
        path = "servers/detail" if is_detailed else "servers"
        href = asked.next_link(path, found[-1].id)[0]["href"]
        links = f', "servers_links": [{{"rel": "next", "href": "{href}"}}]'
    return Answer(f'{{"servers": [{", ".join(texts)}]{links}}}')


def _filters(asked: Asked) -> dict[str, str]:
    """What the list is filtered by; what the credentials may not filter by is ignored."""
    names = _FILTERS if asked.may(_POLICY + "allow_all_filters") else _FREE_FILTERS
    return {name: asked.query[name] for name in names if name in asked.query}


def _candidates(asked: Asked, filters: dict[str, str]) -> Iterator[Instance]:
    """Newest first, from after the marker on. Raises: BadRequest."""
    state = asked.cloud.state
    end = len(state.by_age)
    if marker := asked.query.get("marker"):
        last = state.instances.get(marker)
        if last is None:
            raise BadRequest(f"marker [{marker}] not found")
        end = state.position(last)
    if "host" in filters:
        on_host = _on_host(asked, filters["host"])
        on_host.sort(key=lambda each: (each.created_at, each.number), reverse=True)
        yield from (each for each in on_host if not marker or state.position(each) < end)
        return
    for position in range(end - 1, -1, -1):
        yield state.by_age[position][2]


def _on_host(asked: Asked, name: str) -> list[Instance]:
    """As the database, or the replica that lags behind it, has it."""
    host = asked.cloud.state.hosts.get(name)
    found = list(host.instances.values()) if host is not None else []
    lag = asked.cloud.settings.list_lag
    if not lag:
        return found
    since = asked.cloud.state.clock.now() - timedelta(seconds=lag)
    found = [each for each in found if each.moved_at is None or each.moved_at <= since]
    for moved_at, each in reversed(asked.cloud.state.moves):
        if moved_at <= since:
            break
        if each.former_host == name and each.moved_at == moved_at and not each.is_deleted:
            found.append(each)
    return found


def _matches(asked: Asked, instance: Instance, filters: dict[str, str]) -> bool:
    if instance.cell is not None and instance.cell.is_away:
        return False
    if instance.vm_state == "soft-delete":  # no list has them; asked for by id, they are there
        return False
    if not asked.wants_all_projects and instance.project_id != asked.project:
        return False
    for name, wanted in filters.items():
        if name == "name":
            if not _named(wanted, instance.name):
                return False
        elif name == "status":
            if rows.status_of(instance) != wanted.upper():
                return False
        elif name == "changes-since":
            if rows.iso(instance.updated_at) < wanted:
                return False
        elif name != "host" and _value(instance, name) != wanted:
            return False
    return True


def _named(pattern: str, name: str) -> bool:
    try:
        return re.search(pattern, name) is not None
    except re.error:
        raise BadRequest(f"Invalid input for query parameters name. Value: {pattern}.") from None


def _value(instance: Instance, name: str) -> Any:
    names = {"uuid": "id", "tenant_id": "project_id"}
    return getattr(instance, names.get(name, name))


def _text(asked: Asked, instance: Instance, *, is_detailed: bool) -> str:
    if not is_detailed:
        return json.dumps(_basic(asked, instance))
    lag, moved = asked.cloud.settings.list_lag, instance.moved_at
    if lag and moved is not None and instance.former_host is not None:
        now = asked.cloud.state.clock.now()
        if (now - moved).total_seconds() < lag:
            return json.dumps(_lagging(asked, instance))
    return rows.server_text(asked, instance)


def _lagging(asked: Asked, instance: Instance) -> dict[str, Any]:
    row = rows.server(asked, instance)
    if "OS-EXT-SRV-ATTR:host" in row:
        former = asked.cloud.state.hosts[instance.former_host or ""]
        row["OS-EXT-SRV-ATTR:host"] = former.name
        row["OS-EXT-SRV-ATTR:hypervisor_hostname"] = former.hostname
    return row


def _basic(asked: Asked, instance: Instance) -> dict[str, Any]:
    links = rows.links(asked, "servers", instance.id)
    return {"id": instance.id, "name": instance.name, "links": links}


def _silent_rows(asked: Asked, filters: dict[str, str], room: int) -> list[str]:
    """From 2.69 on a list without filters and pages names those of a silent cell as well."""
    is_plain = not filters and not any(name in asked.query for name in _PAGING)
    cells = [each for each in asked.cloud.state.cells.values() if each.is_away]
    if asked.minor < 69 or not is_plain or not cells:
        return []
    found = [
        each
        for each in asked.cloud.state.instances.values()
        if each.cell in cells and (asked.wants_all_projects or each.project_id == asked.project)
    ]
    silent = (rows.silent_server(asked, each, is_alone=False) for each in found[:room])
    return [json.dumps(row) for row in silent]


def show_server(asked: Asked) -> Answer:
    """GET /servers/{id}."""
    asked.require(_POLICY + "show")
    instance = asked.find_instance()
    if asked.minor >= 69 and instance.cell is not None and instance.cell.is_away:
        return Answer({"server": rows.silent_server(asked, instance, is_alone=True)})
    asked.instance()
    text = rows.server_text(asked, instance)
    if asked.minor >= 71:
        groups = f'["{instance.group.id}"]' if instance.group else "[]"
        text = f'{text[:-1]}, "server_groups": {groups}}}'
    return Answer(f'{{"server": {text}}}')


def create_server(asked: Asked) -> Answer:
    """POST /servers."""
    asked.require(_POLICY + "create")
    wanted = asked.body.get("server")
    if not isinstance(wanted, dict) or not wanted.get("name"):
        raise BadRequest("Invalid input for field/attribute server.")
    if asked.minor >= 37 and "networks" not in wanted:
        raise BadRequest("Invalid input for field/attribute server. 'networks' is required")
    host = wanted.get("host") if asked.minor >= 74 else None
    if host and host not in asked.cloud.state.hosts:
        raise BadRequest(f"Compute host {host} could not be found.")
    builds = asked.cloud.builds
    instance = builds.new(
        str(wanted["name"]),
        _flavor(asked, wanted.get("flavorRef")),
        _boot_image(asked, wanted),
        asked.project,
        zone=wanted.get("availability_zone"),
        group=_hinted_group(asked),
        metadata=wanted.get("metadata"),
    )
    builds.create(instance, host)
    links = rows.links(asked, "servers", instance.id)
    row = {
        "id": instance.id,
        "links": links,
        "OS-DCF:diskConfig": "MANUAL",
        "security_groups": [{"name": "default"}],
        "adminPass": "unused",
    }
    return Answer({"server": row}, 202, {"Location": links[0]["href"]})


def _flavor(asked: Asked, reference: Any) -> Flavor:
    found = asked.cloud.state.flavors.get(str(reference).rpartition("/")[2])
    if found is None:
        raise BadRequest(f"Flavor {reference} could not be found.")
    return found


def _boot_image(asked: Asked, wanted: dict[str, Any]) -> Image | None:
    reference = wanted.get("imageRef")
    if not reference:
        if wanted.get("block_device_mapping_v2"):
            return None
        raise BadRequest("Missing imageRef attribute")
    found = asked.cloud.state.images.get(str(reference).rpartition("/")[2])
    if found is None:
        raise BadRequest("Can not find requested image")
    return found


def _hinted_group(asked: Asked) -> Group | None:
    hints = asked.body.get("os:scheduler_hints") or asked.body.get("OS-SCH-HNT:scheduler_hints")
    group_id = (hints or {}).get("group")
    if group_id is None:
        return None
    found = asked.cloud.state.groups.get(group_id)
    if found is None:
        raise BadRequest(f"Instance group {group_id} could not be found.")
    return found


def delete_server(asked: Asked) -> Answer:
    """DELETE /servers/{id}."""
    asked.require(_POLICY + "delete")
    asked.cloud.lifecycle.delete(asked.instance(), "client")
    return Answer(None, 204)


# -- actions


def act(asked: Asked) -> Answer:
    """POST /servers/{id}/action."""
    names = [name for name in asked.body if name in _ACTIONS]
    if len(names) != 1:
        raise BadRequest(f"There is no such action: {', '.join(asked.body)}")
    instance = asked.instance()
    arguments = asked.body[names[0]] or {}
    return _ACTIONS[names[0]](asked, instance, arguments if isinstance(arguments, dict) else {})


def _migrate_live(asked: Asked, instance: Instance, given: dict[str, Any]) -> Answer:
    if "host" not in given or "block_migration" not in given:
        raise BadRequest("Invalid input for field/attribute os-migrateLive.")
    if asked.minor >= 68 and "force" in given:
        raise BadRequest(
            "Invalid input for field/attribute os-migrateLive. Additional properties are not "
            "allowed ('force' was unexpected)"
        )
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
    flavor = _flavor(asked, given.get("flavorRef"))
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
    if given.get("state") not in ("active", "error"):
        raise BadRequest(f"Invalid input for field/attribute state. Value: {given.get('state')}.")
    asked.cloud.lifecycle.reset_state(instance, given["state"])
    return Answer(None, 202)


def _of_lifecycle(name: str, rule: str) -> Callable[..., Answer]:
    def perform(asked: Asked, instance: Instance, _: dict[str, Any]) -> Answer:
        asked.require(rule)
        asked.cloud.lifecycle.perform(instance, name, "client")
        if name != "rebuild":
            return Answer(None, 202)
        return Answer(f'{{"server": {rows.server_text(asked, instance)}}}', 202)

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
} | {
    _KEYS.get(name, name): _of_lifecycle(
        name,
        f"os_compute_api:os-{_RULES[name]}:{name}" if name in _RULES else _POLICY + name,
    )
    for name in KINDS
}


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
    for each in asked.cloud.live.in_progress(instance):
        if str(each.id) == wanted:
            return Answer({"migration": rows.server_migration(asked, each)})
    raise NotFound(f"In-progress live migration {wanted} is not found for server {instance.id}.")


def abort_migration(asked: Asked) -> Answer:
    """DELETE /servers/{id}/migrations/{id}."""
    instance = asked.instance()
    asked.require("os_compute_api:servers:migrations:delete")
    asked.cloud.live.abort(instance, asked.arguments[1], may_be_queued=asked.minor >= 65)
    return Answer(None, 202)


def force_migration(asked: Asked) -> Answer:
    """POST /servers/{id}/migrations/{id}/action."""
    if "force_complete" not in asked.body:
        raise BadRequest("There is no such action")
    instance = asked.instance()
    asked.require("os_compute_api:servers:migrations:force_complete")
    asked.cloud.live.force_complete(instance, asked.arguments[1])
    return Answer(None, 202)


# -- actions of a server


def list_actions(asked: Asked) -> Answer:
    """GET /servers/{id}/os-instance-actions: newest first, also of a deleted one."""
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
    events = sorted(found.events, key=lambda each: each.started_at, reverse=True)
    row = rows.action(asked, instance, found)
    row["events"] = [rows.event(asked, instance, each) for each in events]
    return Answer({"instanceAction": row})


def _also_buried(asked: Asked) -> Instance:
    buried = asked.cloud.state.buried.get(asked.arguments[0])
    return buried if buried is not None else asked.instance()
