"""Server groups in Nova's API."""

from __future__ import annotations

from simulator.cloud.model import Group
from simulator.cloud.refusals import BadRequest, NotFound
from simulator.http import nova_rows as rows
from simulator.http import nova_schemas as schemas
from simulator.http.messages import Answer
from simulator.http.nova_request import Asked

_RULE = "os_compute_api:os-server-groups:"


def list_groups(asked: Asked) -> Answer:
    """GET /os-server-groups: in pages, without a link to the next."""
    asked.check_query(schemas.groups_query)
    asked.require(_RULE + "index")
    found = list(asked.cloud.state.groups.values())
    if "all_projects" in asked.query:
        asked.require(_RULE + "index:all_projects")
    else:
        found = [each for each in found if each.project_id == asked.project]
    most = asked.cloud.settings.page_limit
    limit = min(most, asked.number("limit", most) or most)
    offset = asked.number("offset", 0)
    found = found[offset : offset + limit]
    return Answer({"server_groups": [rows.group(asked, each) for each in found]})


def create_group(asked: Asked) -> Answer:
    """POST /os-server-groups."""
    asked.check_body(schemas.server_group)
    asked.require(_RULE + "create")
    wanted, state = asked.body["server_group"], asked.cloud.state
    rules = {name: int(value) for name, value in wanted.get("rules", {}).items()}
    policy = wanted["policy"] if asked.minor >= 64 else wanted["policies"][0]
    if rules and policy != "anti-affinity":
        raise BadRequest("Only anti-affinity policy supports rules.")
    group = Group(state.new_id(), wanted["name"], policy, rules, [], asked.project, asked.user)
    state.groups[group.id] = group
    return Answer({"server_group": rows.group(asked, group)})


def delete_group(asked: Asked) -> Answer:
    """DELETE /os-server-groups/{id}."""
    asked.require(_RULE + "delete")
    if asked.cloud.state.groups.pop(asked.arguments[0], None) is None:
        raise NotFound(f"Instance group {asked.arguments[0]} could not be found.")
    return Answer(None, 204)
