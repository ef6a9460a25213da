"""Requests and answers, without a socket."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlsplit


@dataclass
class Request:
    """One request. ``headers``: by names in lower case. ``path``: below the service's own root."""

    method: str
    url: str
    service: str
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    body: Any = None

    @property
    def token(self) -> str:
        """What it authenticates with."""
        return self.headers.get("x-auth-token", "")

    def __str__(self) -> str:
        return f"{self.method} {self.service} {self.path}"


@dataclass
class Answer:
    """What comes back. ``body``: text, or an object that is written as JSON; None: empty.

    ``delay``: how long the API takes for it, beyond the way there and back.
    """

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0

    def content(self) -> bytes:
        """The body as it is sent."""
        if self.body is None:
            return b""
        if isinstance(self.body, bytes):
            return self.body
        text = self.body if isinstance(self.body, str) else json.dumps(self.body)
        return text.encode()


# What a hook does with a request, or with its answer: nothing; answers itself; lets it fail; waits.
Verdict = None | Answer | Exception | float


class Hook(Protocol):
    """A fault between client and API."""

    def before(self, request: Request) -> Verdict:
        """Before the API sees a request: an answer, or an error, and it never does."""

    def after(self, request: Request, answer: Answer) -> Verdict:
        """After the API has done it: an answer, or an error, takes the place of its own."""


def parse(
    method: str, url: str, headers: Mapping[str, str], body: bytes | str | None, services: set[str]
) -> Request:
    """A request as the application takes it. A body that is no JSON stays what it is."""
    parts = urlsplit(url)
    first, _, rest = parts.path.lstrip("/").partition("/")
    service = first if first in services else ""
    path = f"/{rest}" if service else parts.path
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    return Request(
        method, url, service, path.rstrip("/") or "/", query, lowered(headers), _json(body)
    )


def lowered(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers by names in lower case."""
    found = ((name.lower(), value) for name, value in headers.items())
    return {
        name: value.decode() if isinstance(value, bytes) else str(value) for name, value in found
    }


def _json(body: bytes | str | None) -> Any:
    if not body:
        return None
    try:
        return json.loads(body)
    except ValueError:
        return body
