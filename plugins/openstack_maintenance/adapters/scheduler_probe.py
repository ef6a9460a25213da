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
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from openstack import exceptions as sdk_errors
from openstack.connection import Connection

from openstack_maintenance.adapters.api_answers import Row, body_of, every_page, object_in, rows_in
from openstack_maintenance.adapters.cloud_errors import no_secrets
from openstack_maintenance.adapters.secrets_in_text import cleaned
from openstack_maintenance.domain.errors import CloudError

# More than all disks of any cloud, yet within the 32 bits that Nova and Placement give it.
_DISK_GIB = 2_000_000_000
_PATIENCE_SECONDS = 75.0  # the conductor itself gives a scheduler 60 s
_MICROVERSION = "2.37"  # the first that takes an instance without a network
_NO_HOST = "No valid host was found"


def scheduler_round_trip(
    cloud: Connection, name: str, secrets: Callable[[], Iterable[str]] = no_secrets
) -> dict[str, Any]:
    """Ask for an instance ``name`` that cannot be placed, and wait for the scheduler's word.

    ``secrets``: what is not repeated of it.
    Returns: asked (False, with ``reason``, where no image is there to ask with), seconds, answer.
    Raises: CloudError when no scheduler answered, or not like this.
    """
    images: Any = cloud.image
    found = rows_in(_get(images, "/images", {"status": "active", "limit": "1"}, None), "images")
    if not found:
        return {"asked": False, "reason": "the cloud has no image, which the test request needs"}
    compute: Any = cloud.compute
    image, began = Row("images", found[0]), time.monotonic()
    with _flavor(compute, name, image) as flavor, _server(compute, name, image, flavor) as server:
        answer = _wait_for_answer(compute, server, secrets)
    return {"asked": True, "seconds": round(time.monotonic() - began, 1), "answer": answer}


@contextmanager
def _flavor(compute: Any, name: str, image: Row) -> Iterator[str]:
    # A private flavor is not listed otherwise.
    for left in _every(compute, "/flavors", "flavors", {"is_public": "None"}):
        if left.words("name") == name:
            compute.delete_flavor(left.id("id"), ignore_missing=True)
    body = {
        "name": name,
        "vcpus": 1,
        "ram": max(64, image.find_number("min_ram") or 0),
        "disk": _DISK_GIB,
        "os-flavor-access:is_public": False,
    }
    flavor = _post(compute, "/flavors", "flavor", body)
    try:
        yield flavor
    finally:
        compute.delete_flavor(flavor, ignore_missing=True)


@contextmanager
def _server(compute: Any, name: str, image: Row, flavor: str) -> Iterator[str]:
    for left in _every(compute, "/servers", "servers", {"name": f"^{name}$"}):
        # What does not filter by name must not have others' instances removed.
        if left.words("name") == name:
            compute.delete_server(left.id("id"), ignore_missing=True)
    body = {"name": name, "imageRef": image.id("id"), "flavorRef": flavor, "networks": "none"}
    server = _post(compute, "/servers", "server", body)
    try:
        yield server
    finally:
        compute.delete_server(server, ignore_missing=True)


def _every(compute: Any, path: str, key: str, query: dict[str, str]) -> list[Row]:
    rows = every_page(lambda page: _get(compute, path, {**query, **page}, _MICROVERSION), key)
    return [Row(key, each) for each in rows]


def _get(api: Any, path: str, query: dict[str, str], microversion: str | None) -> dict[str, Any]:
    answer = api.get(path, params=query, microversion=microversion)
    sdk_errors.raise_from_response(answer)
    return body_of(answer)


def _post(compute: Any, path: str, kind: str, body: dict[str, Any]) -> str:
    """Make a thing; its id."""
    answer = compute.post(path, json={kind: body}, microversion=_MICROVERSION)
    sdk_errors.raise_from_response(answer)
    return Row(kind, object_in(body_of(answer), kind)).id("id")


def _wait_for_answer(compute: Any, server_id: str, secrets: Callable[[], Iterable[str]]) -> str:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        body = _get(compute, f"/servers/{server_id}", {}, _MICROVERSION)
        server = Row("server", object_in(body, "server"))
        status = server.name("status")
        said = cleaned(server.find_part("fault").words("message") or "", secrets())
        if said.startswith(_NO_HOST):
            return said
        if status != "BUILD":
            raise _no_answer(f"the instance became {status}: {said or 'no reason given'}")
        if time.monotonic() > deadline:
            raise _no_answer(f"no scheduler answered within {_PATIENCE_SECONDS:g} s")
        time.sleep(0.5)


def _no_answer(found: str) -> CloudError:
    return CloudError(
        "scheduler round trip",
        found,
        "See the logs of nova-conductor and nova-scheduler, and the broker's queues.",
    )
