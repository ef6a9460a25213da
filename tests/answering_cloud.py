"""A cloud whose answers a test writes, or that were recorded: all of openstacksdk runs.

One cloud, two ways to reach it. `answering`: nothing is sent, what would go over the wire is
answered in `requests.adapters.HTTPAdapter.send`, so that what the project's own adapter does with
an answer is tested, too. `served`: a server on the loopback interface.
"""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from openstack_maintenance.adapters.cloud_health import CloudHealth
from openstack_maintenance.adapters.nova import Nova

FIXTURES = Path(__file__).resolve().parent / "fixtures/nova"
URL = "http://cloud.invalid"
PASSWORD = 's3cret/päss"w&rd'
TOKEN = "gAAAAABnotarealtoken-0123456789abcdef"
# Where the recorded lab serves what, and where this cloud does.
RECORDED_AT = {
    "http://172.31.240.10:8774": "",
    "http://172.31.240.10:5000": "/identity",
    "http://172.31.240.10:8778": "/placement",
}
CATALOG = {
    "compute": "/v2.1",
    "network": "/network",
    "image": "/image",
    "block-storage": "/volume/v3/p1",
    "identity": "/identity/v3",
    "placement": "/placement",
}
NO_MICROVERSION = "2.1"
# The answers of Nova that are lists, by path.
LISTS = {
    "/os-services": "services",
    "/os-hypervisors/detail": "hypervisors",
    "/os-aggregates": "aggregates",
    "/os-server-groups": "server_groups",
    "/servers/detail": "servers",
    "/os-migrations": "migrations",
}
# For ``pytestmark``: what the SDK says to its own developers.
QUIET = [
    pytest.mark.filterwarnings(f"ignore::openstack.warnings.{name}")
    for name in ("RemovedInSDK50Warning", "RemovedInSDK60Warning", "RemovedFieldWarning")
]


@cache
def _text(release: str, name: str) -> str:
    folders = (FIXTURES / release, FIXTURES)  # what is in the second is the same in all releases
    file = next(each / f"{name}.json" for each in folders if (each / f"{name}.json").exists())
    return file.read_text()


def recorded(name: str, release: str = "newest", url: str = URL) -> Any:
    """A recorded answer, to be changed at will."""
    text = _text(release, name)
    for lab, path in RECORDED_AT.items():
        text = text.replace(lab, f"{url}{path}")
    return json.loads(text)


def as_numbers(version: str) -> tuple[int, ...]:
    """A microversion, to be compared; "latest" is never too new."""
    if version == "latest":
        return ()
    return tuple(map(int, version.split(".")))


@dataclass
class Answer:
    """What comes back. ``body``: bytes as they are, or an object that is written as JSON."""

    body: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)

    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


def refusal(kind: str, status: int, message: str) -> Answer:
    """What Nova says where it does not do what it was asked for."""
    return Answer({kind: {"code": status, "message": message}}, status)


# The server never answers.
SILENCE = Answer(None, status=0)


@dataclass
class Asked:
    """One request."""

    method: str
    url: str
    microversion: str
    token: str
    body: Any

    @property
    def path(self) -> str:
        return urlsplit(self.url).path

    @property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.url).query)

    @property
    def target(self) -> str:
        """Its path and query."""
        parts = urlsplit(self.url)
        return f"{parts.path}?{parts.query}" if parts.query else parts.path

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def asked_of(method: str, url: str, headers: Any, content: bytes | str | None) -> Asked:
    version = headers.get("OpenStack-API-Version", f"compute {NO_MICROVERSION}")
    body = json.loads(content) if content else None
    token = headers.get("X-Auth-Token", "")
    return Asked(method, url, version.rpartition(" ")[2], token, body)


@dataclass
class AnsweringCloud:
    """Keystone, Nova, Placement, Glance, Neutron and Cinder.

    ``answers``: what replaces the usual ones, by "METHOD /path", "METHOD /path?query",
    "METHOD /path action", or "METHOD /path*" for all that begins so. ``pages``: what the first,
    second, ... request gets. ``changed``: other rows than were recorded, by the answer's name.
    ``page``: rows that Nova lists at once. ``newest``: Nova's newest microversion.
    ``catalog``: paths by service type, each with ``interfaces``. ``is_strict``: a request that
    nobody has an answer for is an error. ``may_go_anywhere``: where a test's own catalog names
    other hosts.
    """

    release: str = "newest"
    url: str = URL
    page: int = 1000
    newest: str = ""
    clock_ahead: timedelta = timedelta()
    expires: datetime = field(default_factory=lambda: datetime.now(UTC) + timedelta(hours=1))
    catalog: dict[str, str] = field(default_factory=lambda: dict(CATALOG))
    interfaces: tuple[str, ...] = ("public",)
    answers: dict[str, Answer] = field(default_factory=dict)
    pages: dict[str, list[Answer]] = field(default_factory=dict)
    changed: dict[str, Any] = field(default_factory=dict)
    is_strict: bool = False
    may_go_anywhere: bool = False
    asked: list[Asked] = field(default_factory=list)

    def read(self, name: str) -> Any:
        """What is answered usually, by its name; to be changed at will."""
        if name in self.changed:
            return self.changed[name]
        return recorded(name, self.release, self.url)

    def work(self) -> list[Asked]:
        """The requests besides those that log in and find out what the cloud can do."""
        found = ("/v2.1", "", "/placement")
        return [
            each
            for each in self.asked
            if not each.path.startswith("/identity") and each.path.rstrip("/") not in found
        ]

    def answer(self, asked: Asked) -> Answer:
        """Answer a request; what no test wrote an answer for gets the usual one."""
        is_ours = asked.url.startswith(self.url)
        assert is_ours or self.may_go_anywhere, f"the token went to {asked.url}"
        self.asked = [*self.asked[-999:], asked]
        if self.pages.get(str(asked)):
            return self.pages[str(asked)].pop(0)
        found = self._written(asked) or self.usual(asked)
        assert found or not self.is_strict, f"nobody should ask for {asked}"
        return found or Answer({}, 202 if asked.method == "POST" else 200)

    def _written(self, asked: Asked) -> Answer | None:
        action = next(iter(asked.body), "") if isinstance(asked.body, dict) else ""
        for key in (f"{asked} {action}", f"{asked.method} {asked.target}", str(asked)):
            if key in self.answers:
                return self.answers[key]
        found = (
            answer
            for key, answer in self.answers.items()
            if key.endswith("*") and str(asked).startswith(key[:-1])
        )
        return next(found, None)

    def usual(self, asked: Asked) -> Answer | None:
        """What a healthy cloud answers; None where this one does not know."""
        path = asked.path.rstrip("/")
        if path == "/identity/v3/auth/tokens":
            return Answer(self.token(), 201)
        if path in ("/identity", "/identity/v3"):
            return Answer(self.read("keystone_v3"))
        if path == "/image":
            link = {"rel": "self", "href": f"{self.url}/image/v2/"}
            return Answer({"versions": [{"id": "v2.9", "status": "CURRENT", "links": [link]}]})
        if path.startswith("/placement"):
            return self._placement(path.removeprefix("/placement"))
        if path in ("", "/v2.1"):
            return Answer(self._versions("version" if path else "versions"))
        if path.startswith("/v2.1/"):
            return self._nova(path.removeprefix("/v2.1"), asked)
        return None

    def token(self) -> Any:
        """What Keystone answers to a login. Whenever it was recorded, it is valid now."""
        found = self.read("token")
        found["token"]["expires_at"] = self.expires.isoformat()
        found["token"]["catalog"] = [
            {
                "type": kind,
                "name": kind,
                "endpoints": [
                    {"interface": each, "region_id": "RegionOne", "url": f"{self.url}{path}"}
                    for each in self.interfaces
                ],
            }
            for kind, path in self.catalog.items()
        ]
        return found

    def newest_version(self) -> str:
        return self.newest or str(self.read("version")["version"]["version"])

    def _versions(self, name: str) -> Any:
        found = self.read(name)
        newest = self.newest_version()
        for each in found.get("versions", [found.get("version")]):
            if each["id"] == "v2.1":
                each["version"] = "" if newest == NO_MICROVERSION else newest
        return found

    def _nova(self, path: str, asked: Asked) -> Answer | None:
        if as_numbers(asked.microversion) > as_numbers(self.newest_version()):
            message = "Version is not supported"
            return Answer({"computeFault": {"code": 406, "message": message}}, 406)
        if asked.method != "GET":
            return Answer({}, 202 if path.endswith(("/action", "force_complete")) else 200)
        if path in LISTS:
            return self._list(path, LISTS[path], asked)
        if "/os-instance-actions/" in path:
            return Answer(self.read("instance_action"))
        if path.endswith("/os-instance-actions"):
            return Answer(self.read("instance_actions"))
        if path.startswith("/servers/"):
            rows = self.read("servers")["servers"]
            row = next((each for each in rows if each["id"] == path.split("/")[2]), None)
            return Answer({"server": row}) if row else Answer(self.read("server_not_found"), 404)
        return None

    def _list(self, path: str, name: str, asked: Asked) -> Answer:
        """The rows that were asked for, page by page where Nova does so."""
        query, rows = asked.query, self.read(name)[name]
        if name == "services":
            wanted = query.get("binary", [""])[0]
            return Answer({name: [each for each in rows if wanted in ("", each["binary"])]})
        if name == "hypervisors":
            pattern = query.get("hypervisor_hostname_pattern", [""])[0]
            rows = [each for each in rows if pattern in each["hypervisor_hostname"]]
            return Answer({name: rows}) if rows else Answer(self.read("hypervisors_no_match"), 404)
        if name == "server_groups":
            assert query["all_projects"] == ["True"]
            start = int(query.get("offset", ["0"])[0])
            return Answer({name: rows[start : start + self.page]})  # and no link to the rest
        if name == "servers":
            host = query.get("host", query.get("compute_host", [""]))[0]
            rows = [each for each in rows if host in ("", each["OS-EXT-SRV-ATTR:host"])]
            return Answer(self._page(name, rows, "id", asked))
        if name == "migrations":
            return Answer(self._page(name, rows, "uuid", asked))
        return Answer({name: rows})

    def _page(self, name: str, rows: list[Any], key: str, asked: Asked) -> dict[str, Any]:
        """Nova's own pages: at most ``page`` rows, then a link to what follows the marker."""
        marker = asked.query.get("marker", [None])[0]
        start = [each[key] for each in rows].index(marker) + 1 if marker else 0
        found: dict[str, Any] = {name: rows[start : start + self.page]}
        if start + self.page < len(rows):
            last = rows[start + self.page - 1][key]
            others = "&".join(f"{k}={v[0]}" for k, v in asked.query.items() if k != "marker")
            href = f"{self.url}{asked.path}?{others}&marker={last}"
            found[f"{name}_links"] = [{"rel": "next", "href": href}]
        return found

    def _placement(self, path: str) -> Answer | None:
        if not path:
            return Answer(self.read("placement"))
        if path == "/allocation_candidates":  # as if all hosts were full
            return Answer({"allocation_requests": [], "provider_summaries": {}})
        if not path.startswith("/resource_providers/"):
            return None
        _, _, provider, what = path.split("/")
        known = {each["id"] for each in self.read("hypervisors")["hypervisors"]}
        if provider in known:
            return Answer(self.read(what))
        missing = json.dumps(self.read("provider_not_found"))
        missing = missing.replace("00000000-0000-4000-8000-000000000000", provider)
        return Answer(json.loads(missing), 404)

    def headers(self, answer: Answer) -> dict[str, str]:
        return {
            "Content-Type": "application/json",
            "Date": format_datetime(datetime.now(UTC) + self.clock_ahead, usegmt=True),
            "X-Subject-Token": TOKEN,
            **answer.headers,
        }


Clouds = Callable[..., AnsweringCloud]


def answering(
    monkeypatch: pytest.MonkeyPatch, cloud: AnsweringCloud | None = None
) -> AnsweringCloud:
    """Let a cloud answer, as long as the test runs; nothing is sent."""
    cloud = cloud or AnsweringCloud()

    def send(adapter: Any, request: requests.PreparedRequest, *_: Any, **__: Any) -> Any:
        asked = asked_of(str(request.method), str(request.url), request.headers, request.body)
        answer = cloud.answer(asked)
        response = requests.Response()
        response.status_code = answer.status
        response.headers.update(cloud.headers(answer))
        response.encoding = requests.utils.get_encoding_from_headers(response.headers)
        response.raw = io.BytesIO(answer.content())
        response.request, response.url = request, str(request.url)
        return response

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", send)
    return cloud


@contextmanager
def served(cloud: AnsweringCloud) -> Iterator[AnsweringCloud]:
    """Let a cloud answer over HTTP, at the URL that it gets."""
    is_over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Else each body waits 40 ms for its header's acknowledgement.
        disable_nagle_algorithm = True

        def handle_any(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            url = f"{cloud.url}{self.path}"
            answer = cloud.answer(asked_of(self.command, url, self.headers, content))
            if answer is SILENCE:
                is_over.wait(10)
                return
            self.send_response_only(answer.status)
            for name, value in cloud.headers(answer).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.content())))
            self.end_headers()
            self.wfile.write(answer.content())

        do_GET = do_POST = do_PUT = do_DELETE = handle_any

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet: pytest shows what a test needs."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    cloud.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.005,), daemon=True).start()
    yield cloud
    is_over.set()
    server.shutdown()
    server.server_close()


def options(url: str = URL, **given: Any) -> dict[str, Any]:
    """Arguments of ``openstack.connect``."""
    auth = {
        "auth_url": f"{url}/identity/v3",
        "username": "admin",
        "password": PASSWORD,
        "project_name": "admin",
        "user_domain_name": "Default",
        "project_domain_name": "Default",
    }
    return {"auth": auth, "load_yaml_config": False, "load_envvars": False, **given}


def new_nova(cloud: AnsweringCloud | None = None, **given: Any) -> Nova:
    return Nova("openstack_default", options(cloud.url if cloud else URL, **given))


def new_health(cloud: AnsweringCloud | None = None, **given: Any) -> CloudHealth:
    return CloudHealth("openstack_default", options(cloud.url if cloud else URL, **given))
