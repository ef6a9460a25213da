"""Servers of Nova: lists, single ones, new ones."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from simulator.cloud.model import Flavor, Group, Image, Instance
from simulator.cloud.refusals import BadRequest
from simulator.http import nova_schemas as schemas
from simulator.http import nova_server_rows as rows
from simulator.http.messages import Answer
from simulator.http.nova_request import Asked, iso, links

_POLICY = "os_compute_api:servers:"
_FREE_FILTERS = ("name", "status", "changes-since")
_OTHERS = ("host", "vm_state", "task_state", "project_id", "tenant_id", "uuid")
_FILTERS = _FREE_FILTERS + _OTHERS
_PAGING = ("sort_key", "sort_dir", "limit", "marker")


def list_servers(asked: Asked) -> Answer:
    """GET /servers and /servers/detail."""
    asked.check_query(schemas.servers_query)
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
    more = ""
    if limit and len(found) == limit:
        path = "servers/detail" if is_detailed else "servers"
        href = asked.next_link(path, found[-1].id)[0]["href"]
        more = f', "servers_links": [{{"rel": "next", "href": "{href}"}}]'
    return Answer(f'{{"servers": [{", ".join(texts)}]{more}}}')


def _filters(asked: Asked) -> dict[str, str]:
    """What the list is filtered by; what the credentials may not filter by is ignored."""
    names = _FILTERS if asked.may(_POLICY + "allow_all_filters") else _FREE_FILTERS
    found = {name: asked.query[name] for name in names if name in asked.query}
    if "status" in found and found["status"].upper() not in rows.STATUSES:
        raise BadRequest("Invalid status value")
    return found


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
            if iso(instance.updated_at) < wanted:
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
    where = links(asked, "servers", instance.id)
    return {"id": instance.id, "name": instance.name, "links": where}


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
    asked.check_body(schemas.server)
    asked.require(_POLICY + "create")
    wanted = asked.body["server"]
    host = wanted.get("host") if asked.minor >= 74 else None
    if host and host not in asked.cloud.state.hosts:
        raise BadRequest(f"Compute host {host} could not be found.")
    builds = asked.cloud.builds
    instance = builds.new(
        str(wanted["name"]),
        find_flavor(asked, wanted.get("flavorRef")),
        _boot_image(asked, wanted),
        asked.project,
        user=asked.user,
        zone=wanted.get("availability_zone"),
        group=_hinted_group(asked),
        metadata=wanted.get("metadata"),
    )
    builds.create(instance, host)
    where = links(asked, "servers", instance.id)
    row = {
        "id": instance.id,
        "links": where,
        "OS-DCF:diskConfig": "MANUAL",
        "security_groups": [{"name": "default"}],
        "adminPass": "unused",
    }
    return Answer({"server": row}, 202, {"Location": where[0]["href"]})


def find_flavor(asked: Asked, reference: Any) -> Flavor:
    """The flavor that a request names. Raises: BadRequest."""
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
