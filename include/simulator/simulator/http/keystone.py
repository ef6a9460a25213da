"""Keystone v3: tokens and the catalog."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from simulator.cloud import Cloud
from simulator.http.messages import Answer, Request

_MESSAGE = "The request you have made requires authentication."


@dataclass(frozen=True)
class Token:
    """Whose it is, and for how long."""

    user: str
    project: str
    expires_at: datetime


class Keystone:
    """Knows the tokens that it has issued."""

    def __init__(self, cloud: Cloud, catalog: dict[str, str]) -> None:
        self._cloud = cloud
        self._catalog = catalog
        self.tokens: dict[str, Token] = {}
        self._issued: list[str] = []

    def is_valid(self, token: str) -> bool:
        """Whether a token was issued, and neither is over nor has been revoked."""
        found = self.tokens.get(token)
        return found is not None and found.expires_at > self._cloud.state.now()

    def revoke_all(self) -> None:
        """No token is worth anything any more."""
        self.tokens.clear()

    def unauthorized(self) -> Answer:
        """What an API says to a request without a valid token."""
        headers = {"WWW-Authenticate": f"Keystone uri='{self._catalog['identity']}'"}
        error = {"code": 401, "title": "Unauthorized", "message": _MESSAGE}
        return Answer({"error": error}, 401, headers)

    def answer(self, request: Request) -> Answer:
        """One request."""
        if request.path in ("/", "/v3"):
            return self._version(is_root=request.path == "/")
        if request.path == "/v3/auth/tokens" and request.method == "POST":
            return self._issue(request.body)
        if not self.is_valid(request.token):
            return self.unauthorized()
        if request.path == "/v3/auth/catalog":
            return Answer({"catalog": self._rows(), "links": {}})
        if request.path == "/v3/auth/tokens":
            return self._shown(request.headers.get("x-subject-token", ""))
        return _not_found(request.path)

    def _version(self, *, is_root: bool) -> Answer:
        version = {
            "id": "v3.14",
            "status": "stable",
            "updated": "2020-04-07T00:00:00Z",
            "links": [{"rel": "self", "href": f"{self._catalog['identity']}/"}],
            "media-types": [
                {
                    "base": "application/json",
                    "type": "application/vnd.openstack.identity-v3+json",
                }
            ],
        }
        if is_root:
            return Answer({"versions": {"values": [version]}}, 300)
        return Answer({"version": version})

    def _issue(self, body: Any) -> Answer:
        user = self._user_of(body)
        if user is None:
            return self.unauthorized()
        settings, state = self._cloud.settings, self._cloud.state
        scope = (body["auth"].get("scope") or {}) if isinstance(body, dict) else {}
        project = scope.get("project", {}).get("name") or settings.default_project
        lifetime = timedelta(seconds=settings.token_lifetime)
        token = Token(user, project, state.now() + lifetime)
        name = f"gAAAAAB{len(self._issued):032}"
        self._issued.append(user)
        self.tokens[name] = token
        return Answer({"token": self._body(token)}, 201, {"X-Subject-Token": name})

    def _user_of(self, body: Any) -> str | None:
        """Who logs in; None where the credentials are wrong."""
        try:
            identity = body["auth"]["identity"]
            if "application_credential" in identity["methods"]:
                given = identity["application_credential"]
                name, secret = given.get("name") or given["id"], given["secret"]
            else:
                given = identity["password"]["user"]
                name, secret = given.get("name") or given["id"], given["password"]
        except (KeyError, TypeError):
            return None
        return str(name) if secret == self._cloud.settings.password else None

    def _shown(self, name: str) -> Answer:
        if not self.is_valid(name):
            return _not_found(name)
        found = self.tokens[name]
        return Answer({"token": self._body(found)}, headers={"X-Subject-Token": name})

    def _body(self, token: Token) -> dict[str, Any]:
        domain = {"id": "default", "name": "Default"}
        now = self._cloud.state.now()
        return {
            "methods": ["password"],
            "user": {
                "domain": domain,
                "id": f"id-of-{token.user}",
                "name": token.user,
                "password_expires_at": None,
            },
            "audit_ids": [f"{len(self._issued):022}"],
            "expires_at": f"{token.expires_at:%Y-%m-%dT%H:%M:%S}.000000Z",
            "issued_at": f"{now:%Y-%m-%dT%H:%M:%S}.000000Z",
            "project": {"domain": domain, "id": f"id-of-{token.project}", "name": token.project},
            "is_domain": False,
            "roles": [{"id": f"id-of-{name}", "name": name} for name in ("admin", "member")],
            "catalog": self._rows(),
        }

    def _rows(self) -> list[dict[str, Any]]:
        return [
            {
                "id": f"service-{kind}",
                "type": kind,
                "name": kind,
                "endpoints": [
                    {
                        "id": f"{kind}-{interface}",
                        "interface": interface,
                        "region_id": "RegionOne",
                        "region": "RegionOne",
                        "url": url,
                    }
                    for interface in ("public", "internal")
                ],
            }
            for kind, url in self._catalog.items()
        ]


def _not_found(what: str) -> Answer:
    message = f"Could not find {what}."
    return Answer({"error": {"code": 404, "title": "Not Found", "message": message}}, 404)
