"""What the lab looks like now."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from . import docker, faults
from .book import Book
from .cloud import Cloud
from .errors import LabError
from .instances import list_instances
from .layout import Host


def collect(book: Book) -> dict[str, Any]:
    """Hosts with boot_id, services, instances and faults; `nova` tells why Nova said nothing."""
    with ThreadPoolExecutor(8) as pool:
        hosts = dict(pool.map(lambda host: (host.name, collect_host(book, host)), book.hosts))
    answer: dict[str, Any] = {
        "name": book.names.lab,
        "virt": book.virt,
        "subnet": book.subnet,
        "hosts": hosts,
        "faults": faults.list_set(book),
        "settings": book.settings,
        "services": [],
        "instances": [],
        "nova": "answers",
    }
    try:
        cloud = Cloud(book)
        answer["services"] = [
            {name: entry[name] for name in
             ("binary", "host", "status", "state", "disabled_reason", "updated_at")}
            for entry in cloud.get("compute", "/os-services")["services"]
        ]  # fmt: skip
        answer["instances"] = list_instances(cloud)
    except LabError as error:
        answer["nova"] = str(error)
    return answer


def collect_host(book: Book, host: Host) -> dict[str, str]:
    """A host's container as it is now."""
    container = book.names.container(host.name)
    there = docker.inspect_container(container)
    state = there["State"]["Status"] if there else "missing"
    boot_id = (
        docker.execute(container, "cat", "/var/lib/osm-lab/boot_id") if state == "running" else ""
    )
    return {"address": host.address, "state": state, "boot_id": boot_id}


def show(found: dict[str, Any]) -> None:
    """Print it for a person."""
    print(f"lab {found['name'] or '(default)'}: profile {found['virt']}, {found['subnet']}")
    services = {(entry["host"], entry["binary"]): entry for entry in found["services"]}
    for name, host in found["hosts"].items():
        there = [item for item in found["instances"] if item["host"] == name]
        words = [f"{name:<6}{host['address']:<16}{host['state']:<9}boot {host['boot_id'][:8]:<9}"]
        compute = services.get((name, "nova-compute"))
        if compute:
            reason = f" ({compute['disabled_reason']})" if compute["disabled_reason"] else ""
            words.append(f"nova-compute {compute['status']} {compute['state']}{reason}")
            words.append(f"{len(there)} instances")
        print("  ".join(words))
        for item in there:
            task = f" {item['task_state']}" if item["task_state"] else ""
            print(f"        {item['name']:<24}{item['status']}{task}")
        for fault in found["faults"].get(name, []):
            print(f"        fault: {fault}")
    for (host_name, binary), entry in services.items():
        if binary != "nova-compute":
            print(f"{binary} on {host_name}: {entry['status']} {entry['state']}")
    for item in found["instances"]:
        if item["host"] not in found["hosts"]:
            print(f"on no host: {item['name']} {item['status']}")
    if found["nova"] != "answers":
        print(f"Nova: {found['nova']}")
    if found["settings"].get("all") or len(found["settings"]) > 1:
        print(f"settings: {json.dumps(found['settings'])}")
