"""What Nova knows of one request: the microversion, whose it is, what the policy allows."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from simulator.cloud import Cloud
from simulator.cloud.model import Instance
from simulator.cloud.refusals import BadRequest, Broken, Forbidden, NotFound
from simulator.http.messages import Request
from simulator.http.validation import Shape, check_body, check_query, is_uuid

# Nova's policy rules that more than one module names.
SEE_HOST = "os_compute_api:os-extended-server-attributes"
SEE_EXTRA_SPECS = "os_compute_api:servers:show:flavor-extra-specs"
SEE_ALL = "context_is_admin"


@dataclass
class Asked:
    """One request to Nova. ``minor``: of microversion 2.x. ``host_statuses``: those it asked."""

    request: Request
    cloud: Cloud
    url: str
    minor: int
    user: str
    project: str
    arguments: tuple[str, ...] = ()
    host_statuses: dict[str, str] = field(default_factory=dict)

    @property
    def query(self) -> dict[str, str]:
        """The parameters of the URL."""
        return self.request.query

    @property
    def body(self) -> dict[str, Any]:
        """The JSON object that was sent. Raises: BadRequest."""
        if not isinstance(self.request.body, dict):
            raise BadRequest("Malformed request body")
        return self.request.body

    def check_body(self, shape: Shape) -> None:
        """Raises: BadRequest, in Nova's words: the body has not the shape that is asked for."""
        check_body(shape, self.minor, self.request.body)

    def check_query(self, shape: Shape) -> None:
        """The same of the parameters of the URL."""
        check_query(shape, self.minor, self.query)

    def may(self, rule: str) -> bool:
        """Whether the policy allows a thing that is else left out of the answer."""
        return rule not in self.cloud.settings.denied

    def require(self, rule: str) -> None:
        """Raises: Forbidden, as Nova's policy says it."""
        if not self.may(rule):
            raise Forbidden(f"Policy doesn't allow {rule} to be performed.")

    def instance(self) -> Instance:
        """The instance that the path names. Raises: NotFound; Broken where its cell is silent."""
        found = self.find_instance()
        if found.cell is not None and found.cell.is_away:
            raise Broken("nova.exception.NovaException")
        return found

    def find_instance(self) -> Instance:
        """The same, whether or not its cell answers. Raises: NotFound."""
        instance_id = self.arguments[0]
        found = self.cloud.state.instances.get(instance_id)
        is_hidden = found is not None and not self.may(SEE_ALL) and found.project_id != self.project
        if found is None or is_hidden:
            raise NotFound(f"Instance {instance_id} could not be found.")
        return found

    def limit(self) -> int:
        """How many rows a page may have. Raises: BadRequest."""
        most = self.cloud.settings.page_limit
        given = self.number("limit", most)
        return min(given, most)

    def number(self, name: str, default: int) -> int:
        """A number of the URL. Raises: BadRequest."""
        text = self.query.get(name)
        if text is None:
            return default
        if not re.fullmatch(r"\d{1,9}", text):
            raise BadRequest(
                f"Invalid input for query parameters {name}. Value: {text}. '{text}' does not "
                "match '^[0-9]*$'"
            )
        return int(text)

    def next_link(self, path: str, marker: str) -> list[dict[str, str]]:
        """The link to the page after the row ``marker``."""
        query = {**dict(sorted(self.query.items())), "marker": marker}
        text = "&".join(f"{name}={value}" for name, value in query.items())
        return [{"rel": "next", "href": f"{self.url}/v2.1/{path}?{text}"}]

    @property
    def wants_all_projects(self) -> bool:
        """Whether `all_tenants` is asked for, and allowed. Raises: BadRequest."""
        text = self.query.get("all_tenants")
        if text is None:
            return False
        if text.lower() in ("0", "f", "false", "n", "no", "off"):
            return False
        if text.lower() not in ("", "1", "t", "true", "y", "yes", "on"):
            raise BadRequest(
                f"Unrecognized value '{text}', acceptable values are: '0', '1', 'f', 'false', "
                "'n', 'no', 'off', 'on', 't', 'true', 'y', 'yes'"
            )
        return True

    def check_uuid(self, text: str) -> None:
        """Raises: BadRequest: from 2.53 on services and hypervisors have UUIDs."""
        if self.minor >= 53 and not is_uuid(text):
            raise BadRequest(f"Invalid uuid {text}")


def stamp(moment: datetime | None) -> str | None:
    """As a column of Nova's database is shown."""
    return None if moment is None else f"{moment:%Y-%m-%dT%H:%M:%S}.000000"


def iso(moment: datetime) -> str:
    """As a server's own times are shown."""
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def host_id(host: str | None, project: str) -> str:
    """An id that does not tell the host's name."""
    return hashlib.sha224((project + host).encode()).hexdigest() if host else ""


def links(asked: Asked, kind: str, thing_id: str) -> list[dict[str, str]]:
    """Where a thing is found."""
    return [
        {"rel": "self", "href": f"{asked.url}/v2.1/{kind}/{thing_id}"},
        {"rel": "bookmark", "href": f"{asked.url}/{kind}/{thing_id}"},
    ]
