"""Every read of a cloud: the request that counts, and an answer to it that was recorded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from answering_cloud import Answer, recorded
from builders import migration
from openstack_maintenance.adapters.cloud_health import CloudHealth
from openstack_maintenance.adapters.nova import Nova
from openstack_maintenance.domain.drain.capacity import Need
from openstack_maintenance.domain.host import rights

INSTANCE = "62c07774-1ded-49a1-bedb-2514590200b1"
PROVIDER = "4c8d95dd-fefa-5f8a-a953-f86694cabc46"
ACTIONS = f"GET /v2.1/servers/{INSTANCE}/os-instance-actions"
REQUEST = recorded("instance_action")["instanceAction"]["request_id"]
SINCE = datetime(2026, 11, 22, tzinfo=UTC)
PROBE = "openstack-maintenance-probe-1"
NO_HOST = {"message": "No valid host was found.", "code": 500}


@dataclass(frozen=True)
class Read:
    """One read of a cloud: the request that counts, where its rows are, what was answered once."""

    asked: str
    key: str
    body: Callable[[], Any]
    call: Callable[[Nova], Any]
    also: Callable[[], dict[str, Answer]] = dict


def _rows(name: str, least: int = 2) -> Callable[[], Any]:
    return lambda: {key: rows[:least] for key, rows in recorded(name).items()}


def _server() -> Any:
    return {"server": next(e for e in recorded("servers")["servers"] if e["id"] == INSTANCE)}


def _on_one_host() -> Any:
    rows = recorded("servers")["servers"][:2]
    return {"servers": [row | {"OS-EXT-SRV-ATTR:host": "c01"} for row in rows]}


def _probed() -> dict[str, Answer]:
    server = {"server": {"id": "s1", "status": "ERROR", "fault": NO_HOST}}
    return {
        "GET /image/v2/images": Answer({"images": [{"id": "i1", "min_ram": 512}]}),
        "GET /v2.1/flavors": Answer({"flavors": [{"id": "f0", "name": PROBE}]}),
        "GET /v2.1/servers": Answer({"servers": [{"id": "s0", "name": PROBE}]}),
        "POST /v2.1/flavors": Answer({"flavor": {"id": "f1"}}),
        "POST /v2.1/servers": Answer({"server": {"id": "s1"}}, 202),
        "GET /v2.1/servers/s1": Answer(server),
    }


def _probe(asked: str, key: str) -> Read:
    return Read(
        asked, key, lambda: _probed()[asked].body, lambda nova: nova.ask_scheduler(PROBE), _probed
    )


def _right(right: rights.Right, asked: str, key: str, body: Callable[[], Any]) -> Read:
    needed = [rights.Needed(right, INSTANCE)]
    return Read(asked, key, body, lambda nova: nova.missing_rights(needed))


# As a Placement of 1.39 says it to 1.27.
CANDIDATE = {
    "resources": {
        "VCPU": {"capacity": 256, "used": 1},
        "MEMORY_MB": {"capacity": 65024, "used": 512},
        "DISK_GB": {"capacity": 2000, "used": 1},
    },
    "traits": ["COMPUTE_NODE", "COMPUTE_TRUSTED_CERTS"],
}
PLACEMENT = "GET /placement/resource_providers"
READS = {
    "services": Read(
        "GET /v2.1/os-services", "services", _rows("services", 4), lambda nova: nova.services()
    ),
    "service": Read(
        "GET /v2.1/os-services", "services", _rows("services", 4), lambda n: n.get_service("c02")
    ),
    "hypervisors": Read(
        "GET /v2.1/os-hypervisors/detail",
        "hypervisors",
        _rows("hypervisors"),
        lambda nova: nova.hypervisors(),
    ),
    "hypervisor": Read(
        "GET /v2.1/os-hypervisors/detail",
        "hypervisors",
        _rows("hypervisors"),
        lambda nova: nova.find_hypervisor("c01"),
    ),
    "aggregates": Read(
        "GET /v2.1/os-aggregates", "aggregates", _rows("aggregates"), lambda nova: nova.aggregates()
    ),
    "properties": Read(
        "GET /v2.1/os-aggregates", "aggregates", _rows("aggregates"), lambda nova: nova.properties()
    ),
    "left to copy": Read(
        f"GET /v2.1/servers/{INSTANCE}/migrations",
        "migrations",
        lambda: {"migrations": [{"id": 7, "memory_total_bytes": 9, "memory_remaining_bytes": 5}]},
        lambda nova: nova.left_to_copy(migration(id=7, instance_id=INSTANCE)),
    ),
    "server groups": Read(
        "GET /v2.1/os-server-groups",
        "server_groups",
        lambda: {"server_groups": []},
        lambda nova: nova.anti_affinity_groups(),
    ),
    "server groups that allow one on a host": Read(
        "GET /v2.1/os-server-groups",
        "server_groups",
        lambda: {"server_groups": []},
        lambda nova: nova.one_a_host_groups(),
    ),
    "server groups that hold together": Read(
        "GET /v2.1/os-server-groups",
        "server_groups",
        lambda: {"server_groups": []},
        lambda nova: nova.affinity_groups(),
    ),
    "instances": Read(
        "GET /v2.1/servers/detail", "servers", _rows("servers"), lambda nova: nova.instances()
    ),
    "instances of a host": Read(
        "GET /v2.1/servers/detail", "servers", _on_one_host, lambda nova: nova.instances_on("c01")
    ),
    "instance": Read(
        f"GET /v2.1/servers/{INSTANCE}", "server", _server, lambda nova: nova.get_instance(INSTANCE)
    ),
    "migrations": Read(
        "GET /v2.1/os-migrations",
        "migrations",
        _rows("migrations"),
        lambda nova: nova.migrations(SINCE),
    ),
    "migrations that wait for their confirmation": Read(
        "GET /v2.1/os-migrations",
        "migrations",
        _rows("migrations"),
        lambda nova: nova.unconfirmed("c01"),
    ),
    "actions": Read(
        ACTIONS,
        "instanceActions",
        _rows("instance_actions", 99),
        lambda nova: nova.why_it_failed(INSTANCE),
        lambda: {f"{ACTIONS}/{REQUEST}": Answer(recorded("instance_action"))},
    ),
    "action": Read(
        f"{ACTIONS}/{REQUEST}",
        "instanceAction",
        lambda: recorded("instance_action"),
        lambda nova: nova.why_it_failed(INSTANCE),
        lambda: {ACTIONS: Answer(recorded("instance_actions"))},
    ),
    "inventories": Read(
        f"{PLACEMENT}/{PROVIDER}/inventories",
        "inventories",
        lambda: recorded("inventories"),
        lambda nova: nova.capacities([PROVIDER]),
    ),
    "capacities": Read(
        "GET /placement/allocation_candidates",
        "provider_summaries",
        lambda: {"allocation_requests": [], "provider_summaries": {PROVIDER: CANDIDATE}},
        lambda nova: nova.capacities([PROVIDER]),
    ),
    "traits": Read(
        f"{PLACEMENT}/{PROVIDER}/traits",
        "traits",
        lambda: recorded("traits"),
        lambda nova: nova.traits([PROVIDER]),
    ),
    "allocations": Read(
        f"{PLACEMENT}/{PROVIDER}/allocations",
        "allocations",
        lambda: {"allocations": {INSTANCE: {"resources": {"VCPU": 1}}}},
        lambda nova: nova.consumers(PROVIDER),
    ),
    "room": Read(
        "GET /placement/allocation_candidates",
        "provider_summaries",
        lambda: {"allocation_requests": [], "provider_summaries": {PROVIDER: {}}},
        lambda nova: nova.hosts_with_room(Need(vcpus=1, ram_mib=512, disk_gib=1)),
    ),
    "right to list migrations": _right(
        rights.LIST_MIGRATIONS, "GET /v2.1/os-migrations", "migrations", _rows("migrations")
    ),
    "right to see an instance": _right(
        rights.SHOW, f"GET /v2.1/servers/{INSTANCE}", "server", _server
    ),
    "image of the probe": _probe("GET /image/v2/images", "images"),
    "flavors of the probe": _probe("GET /v2.1/flavors", "flavors"),
    "instances of the probe": _probe("GET /v2.1/servers", "servers"),
    "flavor of the probe": _probe("POST /v2.1/flavors", "flavor"),
    "instance of the probe": _probe("POST /v2.1/servers", "server"),
    "answer to the probe": _probe("GET /v2.1/servers/s1", "server"),
}
HEALTH_READS: dict[str, tuple[str, str, Any, Callable[[CloudHealth], Any]]] = {
    "compute services": (
        "GET /v2.1/os-services",
        "services",
        [{"binary": "nova-compute", "host": "c01", "status": "enabled", "state": "up"}],
        lambda health: health.compute_services(),
    ),
    "volume services": (
        "GET /volume/v3/p1/os-services",
        "services",
        [{"binary": "cinder-volume", "host": "v1", "status": "enabled", "state": "up"}],
        lambda health: health.volume_services(),
    ),
    "network agents": (
        "GET /network/v2.0/agents",
        "agents",
        [{"binary": "neutron-l3-agent", "host": "n1", "admin_state_up": True, "alive": True}],
        lambda health: health.network_agents(),
    ),
    "network agents of a host": (
        "GET /network/v2.0/agents",
        "agents",
        [{"id": "a1", "binary": "b", "host": "c01", "admin_state_up": True, "alive": True}],
        lambda health: health.agents("c01"),
    ),
    "ports of a host": (
        "GET /network/v2.0/ports",
        "ports",
        [{"device_id": "i1", "binding:vnic_type": "normal"}],
        lambda health: health.ports("c01"),
    ),
    "images": (
        "GET /image/v2/images",
        "images",
        [{"id": "i1"}],
        lambda health: health.count_images(),
    ),
}
