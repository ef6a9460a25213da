"""The lab's cloud by plain HTTP: Keystone, Nova, Glance."""

import http.client
import json
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import Any

from .book import Book
from .errors import LabError
from .layout import PORTS

MICROVERSION = "2.90"
TIMEOUT_SECONDS = 60.0
SERVICES = {
    "compute": ("nova", "/v2.1"),
    "placement": ("placement", ""),
    "network": ("neutron", ""),
    "image": ("glance", ""),
}
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class HttpError(LabError):
    """An answer that is not a success."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class NoAnswer(LabError):
    """A service that does not answer at all."""


class Cloud:
    """An administrator's session; safe to use from several threads."""

    def __init__(self, book: Book, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self.timeout_seconds = timeout_seconds
        self.address = book.controller.address
        self.password = book.admin_password
        self._token = ""
        self._lock = threading.Lock()

    def url(self, service: str, path: str) -> str:
        """Address of a path of a service."""
        prefix = {"identity": "/v3", "compute": "/v2.1", "image": "/v2"}.get(service, "")
        return f"http://{self.address}:{PORTS[service]}{prefix}{path}"

    def token(self) -> str:
        """A token, asked for once."""
        with self._lock:
            if not self._token:
                user = {"name": "admin", "domain": {"id": "default"}, "password": self.password}
                body = {
                    "auth": {
                        "identity": {"methods": ["password"], "password": {"user": user}},
                        "scope": {"project": {"name": "admin", "domain": {"id": "default"}}},
                    }
                }
                _, headers = send(
                    "POST", self.url("identity", "/auth/tokens"), {}, body, self.timeout_seconds
                )
                self._token = headers["X-Subject-Token"]
            return self._token

    def ask(
        self, method: str, service: str, path: str, body: Any = None, *, version: str = MICROVERSION
    ) -> Any:
        """Answer of a service.

        Raises: HttpError when it says no, NoAnswer when it says nothing.
        """
        headers = {"X-Auth-Token": self.token(), "OpenStack-API-Version": f"compute {version}"}
        return send(method, self.url(service, path), headers, body, self.timeout_seconds)[0]

    def get(self, service: str, path: str) -> Any:
        """Answer to a GET."""
        return self.ask("GET", service, path)


def send(
    method: str, url: str, headers: Mapping[str, str], body: Any, timeout_seconds: float
) -> tuple[Any, http.client.HTTPMessage]:
    """One request; the body is JSON, or bytes that are sent as they are."""
    data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    kind = "application/octet-stream" if isinstance(body, bytes) else "application/json"
    request = urllib.request.Request(  # noqa: S310  # every URL is made from a fixed http://
        url, data=data, method=method, headers={"Content-Type": kind, **headers}
    )
    try:
        with OPENER.open(request, timeout=timeout_seconds) as answer:
            text = answer.read()
            return (json.loads(text) if text else None), answer.headers
    except urllib.error.HTTPError as error:
        detail = error.read().decode(errors="replace")[:400]
        raise HttpError(error.code, f"{method} {url} answered {error.code}: {detail}") from error
    except (OSError, http.client.HTTPException) as error:
        raise NoAnswer(f"{method} {url} got no answer: {error}.") from error


def quote(**words: str) -> str:
    """A query string."""
    return "?" + urllib.parse.urlencode(words)


def register(cloud: Cloud, book: Book) -> None:
    """Have the services' user and the catalogue's entries. Does only what is missing."""
    projects = cloud.get("identity", "/projects" + quote(name="service"))["projects"]
    project = (
        projects[0]
        if projects
        else cloud.ask(
            "POST",
            "identity",
            "/projects",
            {"project": {"name": "service", "domain_id": "default"}},
        )["project"]
    )
    users = cloud.get("identity", "/users" + quote(name="openstack-services"))["users"]
    user = (
        users[0]
        if users
        else cloud.ask(
            "POST",
            "identity",
            "/users",
            {
                "user": {
                    "name": "openstack-services",
                    "domain_id": "default",
                    "password": book.service_password,
                }
            },
        )["user"]
    )
    roles = {role["name"]: role["id"] for role in cloud.get("identity", "/roles")["roles"]}
    for role in ("admin", "service"):
        cloud.ask(
            "PUT", "identity", f"/projects/{project['id']}/users/{user['id']}/roles/{roles[role]}"
        )
    services = {entry["type"]: entry for entry in cloud.get("identity", "/services")["services"]}
    endpoints = cloud.get("identity", "/endpoints")["endpoints"]
    there = {(entry["service_id"], entry["interface"]) for entry in endpoints}
    for kind, (name, prefix) in SERVICES.items():
        service = (
            services.get(kind)
            or cloud.ask(
                "POST", "identity", "/services", {"service": {"type": kind, "name": name}}
            )["service"]
        )
        for interface in ("public", "internal"):
            if (service["id"], interface) not in there:
                endpoint = {
                    "service_id": service["id"],
                    "interface": interface,
                    "region_id": "RegionOne",
                    "url": f"http://{book.controller.address}:{PORTS[kind]}{prefix}",
                }
                cloud.ask("POST", "identity", "/endpoints", {"endpoint": endpoint})
