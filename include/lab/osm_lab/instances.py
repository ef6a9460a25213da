"""Instances of the lab's cloud."""

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from .book import Book
from .cloud import Cloud, HttpError, quote
from .counter import make_counter_image
from .errors import LabError
from .progress import wait_until

CREATE_VERSION = "2.74"
WORKERS = 8
WAIT_SECONDS = 180
ACTIONS: dict[str, dict[str, Any] | None] = {
    "ACTIVE": None,
    "PAUSED": {"pause": None},
    "SHUTOFF": {"os-stop": None},
    "SUSPENDED": {"suspend": None},
    "ERROR": {"os-resetState": {"state": "error"}},
}
IMAGE = "lab"


@dataclass(frozen=True)
class Order:
    """What instances to create."""

    host: str
    count: int
    state: str
    ram_mib: int
    disk_gib: int
    prefix: str
    group: str | None = None  # the name of an anti-affinity group, made if it is missing


def ensure_image(cloud: Cloud, book: Book) -> str:
    """The image that instances boot: with real guests the counter, else a kibibyte of nothing."""
    for image in cloud.get("image", "/images" + quote(name=IMAGE))["images"]:
        if image["status"] == "active":
            return str(image["id"])
    data, kind = (make_counter_image(), "qcow2") if book.virt == "libvirt" else (bytes(1024), "raw")
    body = {
        "name": IMAGE,
        "disk_format": kind,
        "container_format": "bare",
        "visibility": "public",
    }
    image = cloud.ask("POST", "image", "/images", body)
    cloud.ask("PUT", "image", f"/images/{image['id']}/file", data)
    return str(image["id"])


def ensure_flavor(cloud: Cloud, ram_mib: int, disk_gib: int) -> str:
    """A flavor of this size."""
    name = f"lab-{ram_mib}-{disk_gib}"
    size = {"ram": ram_mib, "disk": disk_gib, "vcpus": 1}
    try:
        cloud.ask("POST", "compute", "/flavors", {"flavor": {"id": name, "name": name, **size}})
    except HttpError as error:
        if error.code != 409:
            raise
    return name


def ensure_group(cloud: Cloud, name: str) -> str:
    """The id of the anti-affinity group of this name."""
    for group in cloud.get("compute", "/os-server-groups")["server_groups"]:
        if group["name"] == name:
            return str(group["id"])
    wanted = {"server_group": {"name": name, "policy": "anti-affinity"}}
    made = cloud.ask("POST", "compute", "/os-server-groups", wanted, version=CREATE_VERSION)
    return str(made["server_group"]["id"])


def list_instances(cloud: Cloud) -> list[dict[str, Any]]:
    """All instances: name, id, host, status, task_state, ram_mib."""
    found = []
    path = "/servers/detail" + quote(all_tenants="1", limit="500")
    while True:
        page = cloud.get("compute", path)["servers"]
        found += [
            {
                "name": server["name"],
                "id": server["id"],
                "host": server["OS-EXT-SRV-ATTR:host"],
                "status": server["status"],
                "task_state": server["OS-EXT-STS:task_state"],
                "ram_mib": server["flavor"]["ram"],
            }
            for server in page
        ]
        if not page:
            return sorted(found, key=lambda instance: (instance["host"] or "", instance["name"]))
        path = "/servers/detail" + quote(all_tenants="1", limit="500", marker=page[-1]["id"])


def choose_names(prefix: str, count: int, taken: set[str]) -> list[str]:
    """Names with the next free numbers."""
    pattern = re.compile(re.escape(prefix) + r"-(\d+)")
    numbers = [int(match[1]) for name in taken if (match := pattern.fullmatch(name))]
    first = max(numbers, default=0) + 1
    return [f"{prefix}-{number:02d}" for number in range(first, first + count)]


def create(book: Book, order: Order) -> list[str]:
    """Create instances on the host and bring them to the state that is wanted.

    Returns: their names.
    """
    book.get_host(order.host)
    cloud = Cloud(book)
    image = ensure_image(cloud, book)
    flavor = ensure_flavor(cloud, order.ram_mib, order.disk_gib)
    hints = {"group": ensure_group(cloud, order.group)} if order.group else {}
    taken = {instance["name"] for instance in list_instances(cloud)}
    names = choose_names(order.prefix, order.count, taken)

    def create_one(name: str) -> None:
        server = {
            "name": name,
            "imageRef": image,
            "flavorRef": flavor,
            "host": order.host,
            "networks": "none",
        }
        body = {"server": server, "os:scheduler_hints": hints}
        made = cloud.ask("POST", "compute", "/servers", body, version=CREATE_VERSION)
        answer = made["server"]["id"]
        wait_status(cloud, answer, name, "ACTIVE")
        action = ACTIONS[order.state]
        if action:
            cloud.ask("POST", "compute", f"/servers/{answer}/action", action)
            wait_status(cloud, answer, name, order.state)

    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(create_one, names))
    return names


def wait_status(cloud: Cloud, server: str, name: str, status: str) -> None:
    """Wait until the instance has this status and no task.

    Raises: LabError at once when it falls into ERROR instead.
    """

    def missing() -> str:
        found = cloud.get("compute", f"/servers/{server}")["server"]
        if found["status"] == status and found["OS-EXT-STS:task_state"] is None:
            return ""
        if found["status"] == "ERROR":
            fault = found.get("fault", {}).get("message", "no fault given")
            raise LabError(f"The instance {name} is in ERROR: {fault}.")
        return f"it is {found['status']}, task {found['OS-EXT-STS:task_state']}"

    wait_until(f"the instance {name} to be {status}", missing, WAIT_SECONDS)


def delete(book: Book, names: list[str]) -> list[str]:
    """Delete instances by name; all of them when no name is given.

    Returns: the names of those deleted.
    """
    cloud = Cloud(book)
    there = list_instances(cloud)
    unknown = set(names) - {instance["name"] for instance in there}
    if unknown:
        raise LabError(f"There is no instance {', '.join(sorted(unknown))}.")
    doomed = {
        instance["id"]: instance["name"]
        for instance in there
        if not names or instance["name"] in names
    }

    def delete_one(server: str) -> None:
        try:
            cloud.ask("DELETE", "compute", f"/servers/{server}")
        except HttpError as error:
            if error.code != 404:
                raise

    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(delete_one, doomed))

    def missing() -> str:
        left = [item["name"] for item in list_instances(cloud) if item["id"] in doomed]
        return f"{', '.join(left)} still there" if left else ""

    wait_until("the instances to be gone", missing, WAIT_SECONDS)
    return sorted(doomed.values())
