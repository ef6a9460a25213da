"""A round trip to Nova's scheduler that costs nobody anything.

No read of Nova's API reaches a scheduler: its heartbeat is written into the database by itself,
and tells nothing about the message bus. So the API is asked for an instance that no host can
hold, its disk is an exbibyte and more. nova-api hands the request to a conductor by the bus, the
conductor asks a scheduler by the bus, the scheduler asks Placement and answers; then the conductor
writes "No valid host was found" onto the instance. No host, network, volume or image is touched.
The instance belongs to the connection's own project; it and its flavor are removed at once, also
what an earlier try left.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from openstack import exceptions as sdk_errors
from openstack.connection import Connection

from openstack_maintenance.domain.errors import CloudError

# More than all disks of any cloud, yet within the 32 bits that Nova and Placement give it.
_DISK_GIB = 2_000_000_000
_PATIENCE_SECONDS = 75.0  # the conductor itself gives a scheduler 60 s
_NO_HOST = "No valid host was found"


def scheduler_round_trip(cloud: Connection, name: str) -> dict[str, Any]:
    """Ask for an instance ``name`` that cannot be placed, and wait for the scheduler's word.

    Returns: asked (False, with ``reason``, where no image is there to ask with), seconds, answer.
    Raises: CloudError when no scheduler answered, or not like this.
    """
    image = next(iter(cloud.image.images(status="active", limit=1)), None)
    if image is None:
        return {"asked": False, "reason": "the cloud has no image to ask with"}
    compute: Any = cloud.compute
    began = time.monotonic()
    with _flavor(compute, name, image) as flavor, _server(compute, name, image, flavor) as server:
        answer = _wait_for_answer(compute, server["id"])
    return {"asked": True, "seconds": round(time.monotonic() - began, 1), "answer": answer}


@contextmanager
def _flavor(compute: Any, name: str, image: Any) -> Iterator[dict[str, Any]]:
    for left in compute.flavors(is_public=None):
        if left.name == name:
            compute.delete_flavor(left.id, ignore_missing=True)
    body = {
        "name": name,
        "vcpus": 1,
        "ram": max(64, image.min_ram or 0),
        "disk": _DISK_GIB,
        "os-flavor-access:is_public": False,
    }
    flavor = _post(compute, "/flavors", {"flavor": body}, "2.37")["flavor"]
    try:
        yield flavor
    finally:
        compute.delete_flavor(flavor["id"], ignore_missing=True)


@contextmanager
def _server(
    compute: Any, name: str, image: Any, flavor: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    for left in compute.servers(details=False, name=f"^{name}$"):
        compute.delete_server(left.id, ignore_missing=True)
    body = {"name": name, "imageRef": image.id, "flavorRef": flavor["id"], "networks": "none"}
    server = _post(compute, "/servers", {"server": body}, "2.37")["server"]
    try:
        yield server
    finally:
        compute.delete_server(server["id"], ignore_missing=True)


def _post(compute: Any, path: str, body: dict[str, Any], microversion: str) -> dict[str, Any]:
    answer = compute.post(path, json=body, microversion=microversion)
    sdk_errors.raise_from_response(answer)
    return dict(answer.json())


def _wait_for_answer(compute: Any, server_id: str) -> str:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        server = compute.get_server(server_id)
        said = str((server.fault or {}).get("message") or "")
        if said.startswith(_NO_HOST):
            return said
        if server.status != "BUILD":
            raise _no_answer(f"the instance became {server.status}: {said or 'no reason given'}")
        if time.monotonic() > deadline:
            raise _no_answer(f"no scheduler's answer within {_PATIENCE_SECONDS:g} s")
        time.sleep(0.5)


def _no_answer(found: str) -> CloudError:
    return CloudError(
        "scheduler round trip",
        found,
        "See the logs of nova-conductor and nova-scheduler, and the broker's queues.",
    )
