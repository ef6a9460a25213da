"""Cold migrations, and what server groups say to moves."""

from __future__ import annotations

from cloud_scenarios.client import MIDDLE, NEW, OLD, Client
from cloud_scenarios.live import migrate


def cold_to_a_host(client: Client) -> None:
    """It waits for its confirmation, which is asked for too early, in time, and twice."""
    server = client.instance("cold")
    client.act(server, {"confirmResize": None})
    client.act(server, {"revertResize": None})
    client.act(server, {"migrate": {"host": client.here}})
    client.act(server, {"migrate": {"host": "nowhere"}})
    client.act(server, {"migrate": {"host": client.there}}, OLD)
    client.act(server, {"confirmResize": None})
    client.watch(server)
    client.get(f"/servers/{server}", MIDDLE)
    client.get(f"/os-migrations?instance_uuid={server}", OLD)
    client.get(f"/servers/{server}/migrations")
    client.history(server)
    client.act(server, migrate(client.here))
    client.act(server, {"migrate": None})
    client.act(server, {"pause": None})
    client.act(server, {"confirmResize": None})
    client.act(server, {"confirmResize": None})
    client.watch(server)
    client.act(server, {"confirmResize": None})
    client.history(server)


def cold_by_the_scheduler(client: Client) -> None:
    """To whatever host, and back."""
    server = client.instance("cold")
    client.act(server, {"migrate": None}, NEW)
    client.watch(server)
    client.act(server, {"revertResize": None})
    client.watch(server)
    client.history(server)
    client.get(f"/os-migrations?instance_uuid={server}")
    client.act(server, {"revertResize": None})


def cold_of_a_stopped_one(client: Client) -> None:
    """It is off afterwards; and it cannot be moved live."""
    server = client.off(client.instance("off"))
    client.act(server, migrate(client.there), OLD)
    client.act(server, migrate(client.there), NEW)
    client.act(server, {"migrate": {"host": client.there}})
    client.watch(server)
    client.act(server, {"os-start": None})
    client.act(server, {"confirmResize": None})
    client.watch(server)
    client.get(f"/servers/{server}")


def cold_that_fails(client: Client) -> None:
    """Nothing has changed, but its migration says so."""
    server = client.instance("unlucky")
    client.ground.migrations_fail(client.here, f"{client.name}-unlucky")
    client.act(server, {"migrate": {"host": client.there}})
    client.watch(server)
    client.history(server)
    client.get(f"/servers/{server}")
    client.get(f"/os-migrations?instance_uuid={server}")


def group_apart(client: Client) -> None:
    """Two that must not meet: a move to the other's host ends without a valid host."""
    body = {"server_group": {"name": f"{client.name}-apart", "policy": "anti-affinity"}}
    group = client.ask("POST", "/os-server-groups", body)["server_group"]["id"]
    first = client.instance("one", client.here, group=group)
    client.instance("two", client.there, group=group)
    for version in (OLD, NEW):
        client.get("/os-server-groups?limit=1000", version)
    client.get(f"/servers/{first}")
    client.act(first, migrate(client.there))
    client.watch(first)
    client.history(first)
    client.act(first, {"migrate": {"host": client.there}})
    client.watch(first)
    client.history(first)
    client.get(f"/os-migrations?instance_uuid={first}")
