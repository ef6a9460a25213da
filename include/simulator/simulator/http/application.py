"""All APIs of one cloud behind one address, each below a folder of its own."""

from __future__ import annotations

import copy
import threading
import uuid
from collections.abc import Callable
from email.utils import format_datetime

from simulator.cloud import Cloud
from simulator.http.cinder import Cinder
from simulator.http.glance import Glance
from simulator.http.keystone import Keystone
from simulator.http.messages import Answer, Request
from simulator.http.neutron import Neutron
from simulator.http.nova import Nova
from simulator.http.placement import Placement

URL = "http://cloud.invalid"
FOLDERS = {
    "identity": "identity/v3",
    "compute": "compute/v2.1",
    "placement": "placement",
    "network": "network",
    "image": "image",
    "block-storage": "volume/v3",
}


class Application:
    """Answers requests. ``url``: where the catalog says that it is."""

    def __init__(self, cloud: Cloud, url: str = URL) -> None:
        self.cloud = cloud
        self.url = url.rstrip("/")
        self.catalog = {kind: f"{self.url}/{folder}" for kind, folder in FOLDERS.items()}
        self.keystone = Keystone(cloud, self.catalog)
        self.nova = Nova(cloud, f"{self.url}/compute")
        self._services: dict[str, Callable[[Request], Answer]] = {
            "identity": self.keystone.answer,
            "compute": self.nova.answer,
            "placement": Placement(cloud).answer,
            "network": Neutron(cloud, f"{self.url}/network").answer,
            "image": Glance(cloud, f"{self.url}/image").answer,
            "volume": Cinder(cloud).answer,
        }
        # A plugin's thread pools ask at the same time.
        self._lock = threading.RLock()
        self._count = 0

    @property
    def services(self) -> set[str]:
        """The folders that requests can go to."""
        return set(self._services)

    def answer(self, request: Request) -> Answer:
        """Do what a request asks for."""
        with self._lock:
            return self.dated(self._answer(request))

    def dated(self, answer: Answer) -> Answer:
        """An answer with the headers that all have."""
        self._count += 1  # not drawn: one request more must not change a story's draws
        headers = {
            "Content-Type": "application/json",
            "Date": format_datetime(self.cloud.state.now(), usegmt=True),
            "X-Openstack-Request-Id": f"req-{uuid.UUID(int=self._count)}",
        }
        found = copy.copy(answer)
        found.headers = {**headers, **answer.headers}
        return found

    def _answer(self, request: Request) -> Answer:
        service = self._services.get(request.service)
        if service is None:
            return Answer("<html><body><h1>404 Not Found</h1></body></html>", 404, _HTML.copy())
        is_open = request.service == "identity" or request.path in ("/", "/v2.1", "/v2.0", "/v3")
        if not is_open and not self.keystone.is_valid(request.token):
            return self.keystone.unauthorized()
        return self._acting(request, service)

    def _acting(self, request: Request, service: Callable[[Request], Answer]) -> Answer:
        """An action that is asked for is noted as the caller's."""
        token = self.keystone.tokens.get(request.token)
        state = self.cloud.state
        state.acting = None if token is None else (f"id-of-{token.user}", f"id-of-{token.project}")
        try:
            return service(request)
        finally:
            state.acting = None


_HTML = {"Content-Type": "text/html"}
