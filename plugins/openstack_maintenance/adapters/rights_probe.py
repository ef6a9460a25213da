"""Ask Nova what the credentials may do, by requests that change nothing where they are allowed.

Nova checks its policy before it looks at what is asked for, and each request is about something
that is not there: it ends in 403 where the right is missing, in another refusal where it is not.
Source: nova.api.openstack.compute services, migrate_server, server_migrations, servers; read in
Nova 34.0.0 and tried on it.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from openstack.exceptions import raise_from_response

from openstack_maintenance.adapters.api_answers import Row, body_of, object_in, rows_in
from openstack_maintenance.adapters.cloud_errors import no_secrets
from openstack_maintenance.adapters.nova_rows import HOST
from openstack_maintenance.adapters.secrets_in_text import cleaned
from openstack_maintenance.domain.errors import CloudError
from openstack_maintenance.domain.host import rights
from openstack_maintenance.domain.host.rights import Needed, Right, denied_rule

# A name that no host can have (RFC 2606).
NOWHERE = "no-such-host.invalid"
_NOT_SHOWN = (
    "Nova lists instance {}, but answers 404 when asked for it (unless it was deleted just now)"
)


@dataclass(frozen=True)
class Question:
    """A request; ``may`` are the answers of a Nova that allows it, and does nothing."""

    method: str
    path: str
    body: Any
    microversion: str
    may: frozenset[int]


def _post(path: str, body: Any, microversion: str, *may: int) -> Question:
    return Question("POST", path, body, microversion, frozenset(may))


def _get(path: str, microversion: str) -> Question:
    return Question("GET", path, None, microversion, frozenset({200}))


_SERVER = "/servers/{instance}"
_ACTION = f"{_SERVER}/action"
_MIGRATION = f"{_SERVER}/migrations/0"  # they are counted from 1
_ANYWHERE = {"host": None, "block_migration": "auto", "force": True}
_NOWHERE = {"host": NOWHERE, "block_migration": "auto"}
# Of a flavor and an image that there are not.
_INSTANCE = {
    "name": NOWHERE,
    "flavorRef": NOWHERE,
    "imageRef": "00000000-0000-4000-8000-000000000000",
    "networks": "none",
}
QUESTIONS = {
    rights.UPDATE_SERVICE: Question(
        "PUT", "/os-services/{nobody}", {"status": "enabled"}, "2.53", frozenset({404})
    ),
    rights.LIST_MIGRATIONS: _get("/os-migrations?limit=1", "2.59"),
    rights.SHOW: _get(_SERVER, "2.60"),
    rights.LIST_GROUPS: _get("/os-server-groups?all_projects=True&limit=1", "2.60"),
    # With force, and without the host that must be named then. Force is known from 2.30 to 2.67.
    rights.LIVE: _post(_ACTION, {"os-migrateLive": _ANYWHERE}, "2.30", 400),
    # A named host is looked up before the instance gets a task.
    rights.LIVE_TO_HOST: _post(_ACTION, {"os-migrateLive": _NOWHERE}, "2.34", 400, 409),
    rights.COLD_TO_HOST: _post(_ACTION, {"migrate": {"host": NOWHERE}}, "2.56", 400, 409),
    rights.START: _post(_ACTION, {"os-start": None}, "2.60", 409),
    # A newer Nova looks for the instance before it looks at its policy: it answers 404 either way.
    rights.RESET_STATE: _post(
        "/servers/{nobody}/action", {"os-resetState": {"state": "active"}}, "2.60", 404
    ),
    rights.CONFIRM: _post(_ACTION, {"confirmResize": None}, "2.60", 400, 409),
    rights.ABORT: Question("DELETE", _MIGRATION, None, "2.24", frozenset({400, 404, 409})),
    rights.FORCE_COMPLETE: _post(
        f"{_MIGRATION}/action", {"force_complete": None}, "2.22", 400, 404, 409
    ),
    rights.DELETE_FLAVOR: Question("DELETE", "/flavors/{nobody}", None, "2.60", frozenset({404})),
    rights.CREATE_INSTANCE: _post("/servers", {"server": _INSTANCE}, "2.37", 400),
}


def missing_rights(
    compute: Any, needed: Iterable[Needed], secrets: Callable[[], Iterable[str]] = no_secrets
) -> list[tuple[Right, str]]:
    """The rights that are missing, each with what Nova said; one request a right, all at a time.

    ``compute``: openstacksdk's proxy; its errors are the caller's to translate. ``secrets``: what
    is not repeated of what Nova says. Raises: CloudError, and whatever the SDK raises, where an
    answer is neither yes nor no.
    """
    asked = list(needed)
    with ThreadPoolExecutor(max(1, len(asked))) as pool:
        answers = list(pool.map(lambda each: _ask(compute, each), asked))
    found: list[tuple[Right, str]] = []
    hidden = {
        each.instance_id
        for each, answer in zip(asked, answers, strict=True)
        if each.right is rights.SHOW and answer.status_code == 404
    }
    found += [(rights.SEE_ALL, _NOT_SHOWN.format(each)) for each in hidden]
    for each, answer in zip(asked, answers, strict=True):
        if not (hidden and each.instance_id and answer.status_code == 404):
            found += _judge(each.right, answer, secrets)
    return found


def _ask(compute: Any, needed: Needed) -> Any:
    question = QUESTIONS[needed.right]
    return compute.request(
        question.path.format(instance=needed.instance_id, nobody=uuid.uuid4()),
        question.method,
        json=question.body,
        microversion=question.microversion,
        raise_exc=False,
    )


def _judge(
    right: Right, answer: Any, secrets: Callable[[], Iterable[str]]
) -> list[tuple[Right, str]]:
    question = QUESTIONS[right]
    if answer.status_code == 403 and denied_rule(cleaned(answer.text, longest=2000)):
        return [(right, _message(answer, secrets()))]
    if answer.status_code not in question.may:
        raise_from_response(answer)
        raise CloudError(
            f"{question.method} {question.path}",
            f"Nova answers {answer.status_code} to a test request that it should reject",
            "Read nova-api's log. The request names an object that does not exist, on purpose.",
        )
    return _left_out(right, body_of(answer)) if question.method == "GET" else []


def _left_out(right: Right, answer: dict[str, Any]) -> list[tuple[Right, str]]:
    """What Nova leaves out, without a word, of what the credentials may read."""
    found = []
    if right is rights.LIST_MIGRATIONS:
        rows = rows_in(answer, "migrations")
        found = [rights.MIGRATION_HOSTS for row in rows if row.get("source_compute") is None]
    if right is rights.SHOW:
        server = Row("server", object_in(answer, "server"))
        if not server.has(HOST):
            found.append(rights.SEE_HOST)
        if not server.find_part("flavor").has("extra_specs"):
            found.append(rights.SEE_EXTRA_SPECS)
    return [(each, "Nova leaves it out of its answers") for each in found]


def _message(answer: Any, secrets: Iterable[str]) -> str:
    for part in body_of(answer).values():
        if isinstance(part, dict) and isinstance(part.get("message"), str):
            return cleaned(part["message"], secrets).rstrip(".")
    return cleaned(answer.text, secrets).rstrip(".")
