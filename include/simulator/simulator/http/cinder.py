"""Cinder: that it serves, and its services."""

from __future__ import annotations

from simulator.cloud import Cloud
from simulator.http.messages import Answer, Request


class Cinder:
    """As much as the checks ask for."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self.is_up = True

    def answer(self, request: Request) -> Answer:
        """One request."""
        if request.path == "/v3":
            return Answer({"versions": [{"id": "v3.0", "status": "CURRENT", "links": []}]})
        if request.path == "/v3/limits":
            return Answer({"limits": {"rate": [], "absolute": {}}})
        if request.path == "/v3/os-services":
            updated = f"{self._cloud.state.now():%Y-%m-%dT%H:%M:%S}.000000"
            row = {
                "binary": "cinder-volume",
                "host": "ctl01@rbd",
                "zone": "nova",
                "status": "enabled",
                "state": "up" if self.is_up else "down",
                "updated_at": updated,
                "disabled_reason": None,
            }
            return Answer({"services": [row]})
        message = "The resource could not be found."
        return Answer({"itemNotFound": {"code": 404, "message": message}}, 404)
