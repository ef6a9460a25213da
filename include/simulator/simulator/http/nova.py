"""Nova's API: versions, routes, and refusals as its error bodies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from simulator.cloud import Cloud
from simulator.cloud.refusals import Broken, Refusal
from simulator.http import nova_actions as actions
from simulator.http import nova_groups as groups
from simulator.http import nova_lists as lists
from simulator.http import nova_servers as servers
from simulator.http.messages import Answer, Request
from simulator.http.nova_request import Asked

Handler = Callable[[Asked], Answer]

_FAULTS = {
    400: "badRequest",
    401: "unauthorized",
    403: "forbidden",
    404: "itemNotFound",
    405: "badMethod",
    409: "conflictingRequest",
    413: "overLimit",
    429: "overLimit",
    501: "notImplemented",
    503: "serviceUnavailable",
}
_UNEXPECTED = (
    "Unexpected API Error. Please report this at http://bugs.launchpad.net/nova/ and attach the "
    "Nova API log if possible.\n<class '{}'>"
)
# The words of the server in front of Nova's controllers.
_NO_ROUTE = (
    "<html>\n <head>\n  <title>404 Not Found</title>\n </head>\n <body>\n  <h1>404 Not Found</h1>\n"
    "  The resource could not be found.<br /><br />\n\n\n\n </body>\n</html>"
)
_ROUTES: dict[str, Handler] = {
    "GET servers": servers.list_servers,
    "GET servers/detail": servers.list_servers,
    "POST servers": servers.create_server,
    "GET servers/*": servers.show_server,
    "DELETE servers/*": servers.delete_server,
    "POST servers/*/action": actions.act,
    "GET servers/*/migrations": actions.list_server_migrations,
    "GET servers/*/migrations/*": actions.show_server_migration,
    "DELETE servers/*/migrations/*": actions.abort_migration,
    "POST servers/*/migrations/*/action": actions.force_migration,
    "GET servers/*/os-instance-actions": actions.list_actions,
    "GET servers/*/os-instance-actions/*": actions.show_action,
    "GET os-services": lists.list_services,
    "PUT os-services/*": lists.update_service,
    "GET os-hypervisors": lists.list_hypervisors,
    "GET os-hypervisors/detail": lists.list_hypervisors,
    "GET os-hypervisors/*": lists.show_hypervisor,
    "GET os-aggregates": lists.list_aggregates,
    "GET os-server-groups": groups.list_groups,
    "POST os-server-groups": groups.create_group,
    "DELETE os-server-groups/*": groups.delete_group,
    "GET os-migrations": lists.list_migrations,
    "GET flavors": lists.list_flavors,
    "GET flavors/detail": lists.list_flavors,
    "GET flavors/*": lists.show_flavor,
    "POST flavors": lists.create_flavor,
    "DELETE flavors/*": lists.delete_flavor,
}
_LITERALS = {part for route in _ROUTES for part in route.split(" ")[1].split("/")} - {"*"}


class Nova:
    """``url``: of the API's root, above v2.1."""

    def __init__(self, cloud: Cloud, url: str) -> None:
        self._cloud = cloud
        self._url = url

    def answer(self, request: Request) -> Answer:
        """One request."""
        if request.path in ("/", "/v2.1"):
            return self._versions(is_root=request.path == "/")
        minor = self._minor(request)
        newest = self._cloud.settings.newest
        if minor is None or not 1 <= minor <= newest:
            asked = _asked_version(request)
            message = (
                f"Version {asked} is not supported by the API. Minimum is 2.1 and maximum is "
                f"2.{newest}."
            )
            return Answer(fault(406, message), 406)
        found = self._route(request, minor)
        version = f"2.{minor}"
        found.headers |= {
            "OpenStack-API-Version": f"compute {version}",
            "X-OpenStack-Nova-API-Version": version,
            "Vary": "OpenStack-API-Version, X-OpenStack-Nova-API-Version",
        }
        return found

    def _minor(self, request: Request) -> int | None:
        text = _asked_version(request)
        if text == "latest":
            return self._cloud.settings.newest
        major, _, minor = text.partition(".")
        return int(minor) if major == "2" and minor.isdigit() else None

    def _route(self, request: Request, minor: int) -> Answer:
        path = request.path.removeprefix("/v2.1/")
        # A last part may be the name of a list (detail), or an id.
        parts = path.split("/")
        handler = _ROUTES.get(f"{request.method} {path}")
        arguments: tuple[str, ...] = ()
        if handler is None:
            shape = [part if part in _LITERALS else "*" for part in parts]
            handler = _ROUTES.get(f"{request.method} {'/'.join(shape)}")
            arguments = tuple(
                part for part, is_any in zip(parts, shape, strict=True) if is_any == "*"
            )
        try:
            if handler is None:
                return Answer(_NO_ROUTE, 404, {"Content-Type": "text/html; charset=UTF-8"})
            return handler(Asked(request, self._cloud, self._url, minor, *self._whose, arguments))
        except Refusal as refused:
            message = refused.message
            if isinstance(refused, Broken):
                message = _UNEXPECTED.format(refused.message)
            return Answer(fault(refused.status, message), refused.status)

    @property
    def _whose(self) -> tuple[str, str]:
        """User and project of the request."""
        project = self._cloud.settings.default_project
        return self._cloud.state.acting or (f"user-of-{project}", project)

    def _versions(self, *, is_root: bool) -> Answer:
        version = f"2.{self._cloud.settings.newest}"
        v21: dict[str, Any] = {
            "id": "v2.1",
            "status": "CURRENT",
            "version": version,
            "min_version": "2.1",
            "updated": "2013-07-23T11:33:21Z",
            "links": [{"rel": "self", "href": f"{self._url}/v2.1/"}],
        }
        if is_root:
            v20 = {
                "id": "v2.0",
                "status": "SUPPORTED",
                "version": "",
                "min_version": "",
                "updated": "2011-01-21T11:33:21Z",
                "links": [{"rel": "self", "href": f"{self._url}/v2/"}],
            }
            return Answer({"versions": [v20, v21]})
        v21["media-types"] = [
            {
                "base": "application/json",
                "type": "application/vnd.openstack.compute+json;version=2.1",
            }
        ]
        return Answer({"version": v21})


def fault(status: int, message: str) -> dict[str, Any]:
    """The body of an error of Nova's own. Source: nova.api.openstack.wsgi.Fault."""
    return {_FAULTS.get(status, "computeFault"): {"code": status, "message": message}}


def _asked_version(request: Request) -> str:
    header = request.headers.get("openstack-api-version", "")
    if header.startswith("compute "):
        return header.removeprefix("compute ").strip()
    return request.headers.get("x-openstack-nova-api-version", "2.1")
