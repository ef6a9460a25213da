"""What else Nova lists: services, hypervisors, aggregates, groups, migrations, flavors."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from simulator.cloud.model import ComputeHost, Flavor, Migration
from simulator.cloud.refusals import BadRequest, Conflict, NotFound
from simulator.http import nova_rows as rows
from simulator.http import nova_schemas as schemas
from simulator.http.messages import Answer
from simulator.http.nova_request import Asked

_SERVICES = "os_compute_api:os-services:"
_MIGRATIONS = "os_compute_api:os-migrations:index"


def list_services(asked: Asked) -> Answer:
    """GET /os-services. From 2.69 on those of a silent cell are UNKNOWN; before, left out."""
    asked.check_query(schemas.services_query)
    asked.require(_SERVICES + "list")
    found = []
    binary, host = asked.query.get("binary"), asked.query.get("host")
    for each in asked.cloud.state.services.values():
        if (host and each.host != host) or (binary and each.binary != binary):
            continue
        cell = asked.cloud.services.cell_of(each)
        if cell is None or not cell.is_away:
            found.append(rows.service(asked, each))
        elif asked.minor >= 69:
            found.append({"binary": each.binary, "host": each.host, "status": "UNKNOWN"})
    return Answer({"services": found})


def update_service(asked: Asked) -> Answer:
    """PUT /os-services/{uuid}."""
    asked.check_body(schemas.service)
    asked.require(_SERVICES + "update")
    asked.check_uuid(asked.arguments[0])
    services, body = asked.cloud.services, asked.body
    service = services.get(asked.arguments[0])
    services.update(
        service,
        body.get("status"),
        body.get("disabled_reason"),
        body.get("forced_down"),
        who="client",
    )
    host = asked.cloud.state.hosts[service.host]
    # The host is told, for its trait: Nova waits for its answer, and goes on without it.
    is_silent = not host.is_computing or asked.cloud.state.broker_is_away
    waits = is_silent and services.is_up(service) and "status" in body
    delay = asked.cloud.settings.rpc_response_timeout if waits else 0.0
    return Answer({"service": rows.service(asked, service)}, delay=delay)


def list_hypervisors(asked: Asked) -> Answer:
    """GET /os-hypervisors and /os-hypervisors/detail."""
    asked.check_query(schemas.hypervisors_query)
    is_detailed = asked.request.path.endswith("/detail")
    asked.require(f"os_compute_api:os-hypervisors:list{'-detail' if is_detailed else ''}")
    hosts = [each for each in asked.cloud.state.hosts.values() if not each.cell.is_away]
    pattern = asked.query.get("hypervisor_hostname_pattern")
    body: dict[str, Any] = {}
    if pattern is not None:
        if "limit" in asked.query or "marker" in asked.query:
            # Nova puts the reason where it is not shown.
            raise BadRequest(
                "The server could not comply with the request since it is either malformed or "
                "otherwise incorrect."
            )
        hosts = [each for each in hosts if pattern in each.hostname]
        if not hosts:
            raise NotFound(f"No hypervisor matching '{pattern}' could be found.")
    else:
        hosts = _after_marker(asked, hosts)
        limit = asked.limit()
        if len(hosts) >= limit > 0:
            path = "os-hypervisors/detail" if is_detailed else "os-hypervisors"
            body["hypervisors_links"] = asked.next_link(path, hosts[limit - 1].id)
        hosts = hosts[:limit]
    found = [rows.hypervisor(asked, each, is_detailed=is_detailed) for each in hosts]
    return Answer({"hypervisors": found, **body})


def _after_marker(asked: Asked, hosts: list[ComputeHost]) -> list[ComputeHost]:
    marker = asked.query.get("marker")
    if marker is None:
        return hosts
    ids = [each.id for each in hosts]
    if marker not in ids:
        raise BadRequest(f"marker [{marker}] not found")
    return hosts[ids.index(marker) + 1 :]


def show_hypervisor(asked: Asked) -> Answer:
    """GET /os-hypervisors/{uuid}."""
    asked.require("os_compute_api:os-hypervisors:show")
    asked.check_uuid(asked.arguments[0])
    host = asked.cloud.state.hosts_by_id.get(asked.arguments[0])
    if host is None or host.cell.is_away:
        raise NotFound(f"Hypervisor with ID '{asked.arguments[0]}' could not be found.")
    return Answer({"hypervisor": rows.hypervisor(asked, host, is_detailed=True)})


def list_aggregates(asked: Asked) -> Answer:
    """GET /os-aggregates."""
    asked.require("os_compute_api:os-aggregates:index")
    found = asked.cloud.state.aggregates.values()
    return Answer({"aggregates": [rows.aggregate(asked, each) for each in found]})


# -- migrations


def list_migrations(asked: Asked) -> Answer:
    """GET /os-migrations: from 2.59 on newest first; those of a silent cell are left out."""
    asked.check_query(schemas.migrations_query)
    asked.require(_MIGRATIONS)
    if asked.cloud.settings.newest > 100:  # releases before did not have the rule
        asked.require(f"{_MIGRATIONS}:all_projects")
    found = [each for each in _changed(asked) if _is_wanted(asked, each)]
    # Before pages came it was the database's order.
    found.sort(key=lambda each: (each.created_at, each.id), reverse=asked.minor >= 59)
    body: dict[str, Any] = {}
    if asked.minor >= 59:
        if marker := asked.query.get("marker"):
            uuids = [each.uuid for each in found]
            if marker not in uuids:
                raise BadRequest(f"Marker {marker} could not be found.")
            found = found[uuids.index(marker) + 1 :]
        limit = asked.limit()
        if len(found) >= limit > 0:
            body["migrations_links"] = asked.next_link("os-migrations", found[limit - 1].uuid)
        found = found[:limit]
    sees_hosts = asked.may(f"{_MIGRATIONS}:host")
    shown = [
        rows.migration(asked, each, sees_hosts=sees_hosts, status=_status(asked, each))
        for each in found
    ]
    return Answer({"migrations": shown, **body})


def _changed(asked: Asked) -> Iterator[Migration]:
    """Those of the cells that answer, changed since a time where one is given."""
    text = asked.query.get("changes-since") if asked.minor >= 59 else None
    since = _time(text) if text else None
    for cell in asked.cloud.state.cells.values():
        if cell.is_away:
            continue
        for each in reversed(cell.by_update.values()):
            if since is not None and (each.updated_at or each.created_at) < since:
                break
            if not _is_unseen(asked, each):
                yield each


def _time(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise BadRequest(
            f"Invalid input for query parameters changes-since. Value: {text}. '{text}' is not a "
            "'date-time'"
        ) from None
    return found if found.tzinfo else datetime.fromisoformat(f"{text}+00:00")


def _is_wanted(asked: Asked, each: Migration) -> bool:
    query = asked.query
    return (
        query.get("instance_uuid", each.instance.id) == each.instance.id
        and query.get("status", each.status) == each.status
        and query.get("migration_type", each.kind) == each.kind
        and query.get("source_compute", each.source) == each.source
        and query.get("host", each.source) in (each.source, each.destination)
    )


def _is_unseen(asked: Asked, each: Migration) -> bool:
    """Whether the replica does not have it yet."""
    lag = asked.cloud.settings.list_lag
    return bool(lag) and (asked.cloud.state.now() - each.created_at).total_seconds() < lag


def _status(asked: Asked, each: Migration) -> str:
    lag = asked.cloud.settings.list_lag
    if lag and each.former_status and each.updated_at is not None:
        passed = (asked.cloud.state.now() - each.updated_at).total_seconds()
        return each.former_status if passed < lag else each.status
    return each.status


# -- flavors


def list_flavors(asked: Asked) -> Answer:
    """GET /flavors and /flavors/detail."""
    is_detailed = asked.request.path.endswith("/detail")
    found = list(asked.cloud.state.flavors.values())
    if asked.query.get("is_public", "True").lower() != "none":
        found = [each for each in found if each.is_public]
    if marker := asked.query.get("marker"):
        ids = [each.id for each in found]
        if marker not in ids:
            raise BadRequest(f"marker [{marker}] not found")
        found = found[ids.index(marker) + 1 :]
    limit = asked.limit()
    body: dict[str, Any] = {}
    if len(found) >= limit > 0:
        path = "flavors/detail" if is_detailed else "flavors"
        body["flavors_links"] = asked.next_link(path, found[limit - 1].id)
    shown = [rows.flavor(asked, each, is_detailed=is_detailed) for each in found[:limit]]
    return Answer({"flavors": shown, **body})


def show_flavor(asked: Asked) -> Answer:
    """GET /flavors/{id}."""
    return Answer({"flavor": rows.flavor(asked, _get_flavor(asked), is_detailed=True)})


def create_flavor(asked: Asked) -> Answer:
    """POST /flavors."""
    asked.require("os_compute_api:os-flavor-manage:create")
    wanted, state = asked.body.get("flavor"), asked.cloud.state
    if not isinstance(wanted, dict):
        raise BadRequest("Invalid input for field/attribute flavor.")
    name = str(wanted.get("name"))
    if any(each.name == name for each in state.flavors.values()):
        raise Conflict(f"Flavor with name {name} already exists.")
    if not all(str(wanted.get(key, "")).isdigit() for key in ("vcpus", "ram", "disk")):
        raise BadRequest("Invalid input for field/attribute flavor.")
    flavor = Flavor(
        id=str(wanted.get("id") or state.new_id()),
        number=len(state.flavors) + 1,
        name=name,
        vcpus=int(wanted["vcpus"]),
        ram_mib=int(wanted["ram"]),
        disk_gib=int(wanted["disk"]),
        ephemeral_gib=int(wanted.get("OS-FLV-EXT-DATA:ephemeral", 0)),
        swap_mib=int(wanted.get("swap", 0)),
        is_public=bool(wanted.get("os-flavor-access:is_public", True)),
    )
    state.flavors[flavor.id] = flavor
    return Answer({"flavor": rows.flavor(asked, flavor, is_detailed=True)})


def delete_flavor(asked: Asked) -> Answer:
    """DELETE /flavors/{id}."""
    asked.require("os_compute_api:os-flavor-manage:delete")
    del asked.cloud.state.flavors[_get_flavor(asked).id]
    return Answer(None, 202)


def _get_flavor(asked: Asked) -> Flavor:
    found = asked.cloud.state.flavors.get(asked.arguments[0])
    if found is None:
        raise NotFound(f"Flavor {asked.arguments[0]} could not be found.")
    return found
