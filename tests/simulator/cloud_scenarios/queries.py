"""Lists with filters and pages; Placement."""

from __future__ import annotations

from cloud_scenarios.client import MIDDLE, NEW, OLD, Client
from cloud_scenarios.live import ENDLESS, migrate

NOWHERE = "00000000-0000-4000-8000-000000000000"


def lists_of_servers(client: Client) -> None:
    """Three instances in each way that a list can be cut."""
    first, second, third = (client.instance(each) for each in ("one", "two", "three"))
    client.off(second)
    mine = f"all_tenants=True&name={client.name}"
    for query in (
        mine,
        f"{mine}&limit=0",
        f"{mine}&limit=1",
        f"{mine}&limit=2",
        f"{mine}&limit=2&marker={second}",
        f"{mine}&limit=3",
        f"{mine}&marker={first}",
        f"{mine}&marker={NOWHERE}",
        f"{mine}&limit=-1",
        f"{mine}&limit=many",
        f"{mine}&status=ACTIVE",
        f"{mine}&status=shutoff",
        f"{mine}&status=nonsense",
        f"{mine}&vm_state=stopped",
        f"{mine}&host={client.here}",
        f"{mine}&host={client.there}",
        f"{mine}&host=nowhere",
        f"{mine}&uuid={third}",
        f"{mine}&changes-since=2020-01-01T00:00:00Z",
        f"{mine}&changes-since=2090-01-01T00:00:00Z",
        f"{mine}&changes-since=yesterday",
        f"{mine}&colour=red",
        "all_tenants=perhaps",
        f"all_tenants=True&name={client.name}-(",
    ):
        client.get(f"/servers?{query}")
    for version in (OLD, MIDDLE, NEW):
        client.get(f"/servers/detail?{mine}&limit=1", version)
        client.get(f"/servers/{second}", version)


def lists_of_migrations(client: Client) -> None:
    """One that found no host and one that was completed."""
    server = client.instance("moved")
    began = client.quietly("GET", f"/servers/{server}")["server"]["created"]
    for host in (client.here, client.there):
        client.act(server, migrate(host))
        client.watch(server)
    mine = f"instance_uuid={server}"
    newest = client.migrations(server)[-1]["uuid"]
    for query in (
        mine,
        f"{mine}&limit=0",
        f"{mine}&limit=1",
        f"{mine}&limit=1&marker={newest}",
        f"{mine}&marker={NOWHERE}",
        f"{mine}&limit=-1",
        f"{mine}&status=completed",
        f"{mine}&status=error",
        f"{mine}&status=nonsense",
        f"{mine}&host={client.here}",
        f"{mine}&host={client.there}",
        f"{mine}&host=nowhere",
        f"{mine}&source_compute={client.here}",
        f"{mine}&source_compute={client.there}",
        f"{mine}&migration_type=live-migration",
        f"{mine}&migration_type=migration",
        f"{mine}&migration_type=nonsense",
        f"{mine}&changes-since={began}",
        f"{mine}&changes-since=2090-01-01T00:00:00Z",
        f"{mine}&changes-since=yesterday",
        f"{mine}&changes-before=2090-01-01T00:00:00Z",
        f"{mine}&colour=red",
        "instance_uuid=nonsense",
    ):
        client.get(f"/os-migrations?{query}")
    for version in ("2.58", OLD, MIDDLE, NEW):
        client.get(f"/os-migrations?{mine}", version)


def placement(client: Client) -> None:
    """What a move holds of both hosts, and for how long."""
    hosts = client.quietly("GET", "/os-hypervisors")["hypervisors"]
    here, there = (
        next(each["id"] for each in hosts if each["hypervisor_hostname"] == name)
        for name in (client.here, client.there)
    )
    client.place(f"/resource_providers?name={client.here}")
    client.place(f"/resource_providers/{here}/inventories")
    client.place(f"/resource_providers/{here}/usages")
    server = client.instance("weight", ram=ENDLESS)
    client.place(f"/allocations/{server}")
    client.act(server, migrate(client.there))
    number = (client.watch(server, "running") or {})["id"]
    _what_is_held(client, here, there, server)
    client.ask("DELETE", f"/servers/{server}/migrations/{number}")
    client.watch(server)
    _what_is_held(client, here, there, server)
    server = client.instance("light")
    client.act(server, {"migrate": {"host": client.there}})
    client.watch(server)
    _what_is_held(client, here, there, server)
    client.act(server, {"confirmResize": None})
    client.watch(server)
    _what_is_held(client, here, there, server)
    _what_is_refused(client)


def _what_is_held(client: Client, here: str, there: str, server: str) -> None:
    client.place(f"/resource_providers/{here}/usages")
    for each in (here, there):
        client.place(f"/resource_providers/{each}/allocations")
    for each in (server, client.migrations(server)[-1]["uuid"]):
        client.place(f"/allocations/{each}")


def _what_is_refused(client: Client) -> None:
    for version in ("1.10", "1.17", "1.36"):
        client.place("/allocation_candidates?resources=MEMORY_MB:9000000", version)
    client.place("/allocation_candidates?resources=MEMORY_MB:0")
    client.place("/allocation_candidates?resources=MEMORY_MB:lots")
    client.place("/allocation_candidates?resources=NONSENSE:1")
    client.place("/allocation_candidates")
    client.place("/allocation_candidates?resources=VCPU:1&required=CUSTOM_NO_SUCH_TRAIT")
    client.place(f"/resource_providers/{NOWHERE}")
    client.place(f"/resource_providers/{NOWHERE}/usages")
    client.place(f"/resource_providers/{NOWHERE}/allocations")
    client.place(f"/allocations/{NOWHERE}")
    client.place("/no-such-thing")
    client.place("/resource_providers", "1.999")
