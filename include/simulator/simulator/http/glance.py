"""Glance: its images."""

from __future__ import annotations

from typing import Any

from simulator.cloud import Cloud
from simulator.cloud.model import Image
from simulator.http.messages import Answer, Request


class Glance:
    """As much as the checks and the round trip to the scheduler ask for."""

    def __init__(self, cloud: Cloud, url: str) -> None:
        self._cloud = cloud
        self._url = url

    def answer(self, request: Request) -> Answer:
        """One request."""
        if request.path == "/" or request.path == "/versions":
            links = [{"rel": "self", "href": f"{self._url}/v2/"}]
            return Answer({"versions": [{"id": "v2.9", "status": "CURRENT", "links": links}]}, 300)
        if request.method == "GET" and request.path == "/v2/images":
            return self._images(request.query)
        if request.method == "GET" and request.path.startswith("/v2/images/"):
            image = self._cloud.state.images.get(request.path.rpartition("/")[2])
            if image is not None:
                return Answer(_row(image))
        return Answer("<html><body><h1>404 Not Found</h1></body></html>", 404, dict(_HTML))

    def _images(self, query: dict[str, str]) -> Answer:
        rows = [_row(each) for each in self._cloud.state.images.values()]
        rows = [row for row in rows if row["status"] == query.get("status", row["status"])]
        if "marker" in query:
            ids = [row["id"] for row in rows]
            rows = rows[ids.index(query["marker"]) + 1 :] if query["marker"] in ids else []
        limit = int(query.get("limit", 25))
        body: dict[str, Any] = {"images": rows[:limit], "first": "/v2/images"}
        if len(rows) > limit > 0:
            body["next"] = f"/v2/images?limit={limit}&marker={rows[limit - 1]['id']}"
        return Answer({**body, "schema": "/v2/schemas/images"})


def _row(image: Image) -> dict[str, Any]:
    return {
        "id": image.id,
        "name": image.name,
        "status": image.status,
        "visibility": "public",
        "disk_format": "qcow2",
        "container_format": "bare",
        "min_ram": image.min_ram,
        "min_disk": image.min_disk,
        "size": 1024,
        "schema": "/v2/schemas/image",
        **image.properties,
    }


_HTML = {"Content-Type": "text/html; charset=UTF-8"}
