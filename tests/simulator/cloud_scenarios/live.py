"""Live migrations."""

from __future__ import annotations

from typing import Any

from cloud_scenarios.client import MIDDLE, NEW, OLD, Client

# Both clouds take 40 s per GiB (`on_simulator.SECONDS_PER_GIB`): these do not end by themselves.
ENDLESS = 4096


def migrate(host: str | None, block: bool | str = "auto", **more: Any) -> dict[str, dict[str, Any]]:
    """The body that asks for a live migration."""
    return {"os-migrateLive": {"host": host, "block_migration": block, **more}}


def to_a_host(client: Client) -> None:
    """At each of three microversions, with action, events and migration."""
    for version in (OLD, MIDDLE, NEW):
        server = client.instance(f"at-{version}")
        client.act(server, migrate(client.there), version)
        client.watch(server)
        client.get(f"/servers/{server}", version)
        client.get(f"/os-migrations?instance_uuid={server}", version)
        client.get(f"/servers/{server}/migrations", version)
        client.history(server, version)


def by_the_scheduler(client: Client) -> None:
    """To whatever host; with a flag that does not suit the storage."""
    server = client.instance("any")
    client.act(server, migrate(None))
    client.watch(server)
    client.history(server)


def under_way(client: Client) -> None:
    """What may be asked while it runs, an abort of it, and what may be asked afterwards."""
    server = client.instance("busy", ram=ENDLESS)
    client.act(server, migrate(client.there))
    number = (client.watch(server, "running") or {})["id"]
    path = f"/servers/{server}/migrations"
    for version in (OLD, NEW):
        client.get(path, version)
        client.get(f"{path}/{number}", version)
    client.get(f"{path}/999999")
    client.get(f"/os-migrations?instance_uuid={server}")
    client.get(f"/servers/{server}", OLD)
    for body in (migrate(client.there), {"migrate": None}, {"os-stop": None}, {"pause": None}):
        client.act(server, body)
    client.act(server, {"reboot": {"type": "SOFT"}})
    client.ask("DELETE", f"{path}/999999")
    client.ask("POST", f"{path}/999999/action", {"force_complete": None})
    client.ask("DELETE", f"{path}/{number}")
    client.watch(server)
    client.history(server)
    client.ask("DELETE", f"{path}/{number}")
    client.ask("POST", f"{path}/{number}/action", {"force_complete": None})
    client.get(path)
    client.get(f"{path}/{number}")


def queue(client: Client) -> None:
    """Three wait for one source, which migrates one at a time."""
    servers = [client.instance(f"turn-{number}", ram=ENDLESS) for number in (1, 2, 3)]
    migrations = []
    for server, status in zip(servers, ("running", "queued", "queued"), strict=True):
        client.act(server, migrate(client.there))
        migrations.append((client.watch(server, status) or {})["id"])
    first, second, third = (
        f"/servers/{server}/migrations/{number}"
        for server, number in zip(servers, migrations, strict=True)
    )
    client.get(f"/os-migrations?instance_uuid={servers[1]}")
    client.get(f"/servers/{servers[1]}/migrations")
    client.ask("DELETE", second, version=OLD)
    client.ask("POST", f"{second}/action", {"force_complete": None})
    client.ask("DELETE", second, version="2.65")
    client.watch(servers[1])
    client.history(servers[1])
    client.ask("POST", f"{first}/action", {"force_complete": None})
    client.watch(servers[0])
    client.watch(servers[2], "running")
    client.ask("DELETE", third, version=OLD)
    client.watch(servers[2])


def abort_of_many(client: Client) -> None:
    """The one that runs is aborted: the next one runs."""
    servers = [
        client.instance(f"turn-{number}", ram=ram) for number, ram in ((1, ENDLESS), (2, 64))
    ]
    client.act(servers[0], migrate(client.there))
    number = (client.watch(servers[0], "running") or {})["id"]
    client.act(servers[1], migrate(client.there))
    client.watch(servers[1], "queued")
    client.ask("DELETE", f"/servers/{servers[0]}/migrations/{number}")
    client.watch(servers[0])
    client.watch(servers[1])


def forced(client: Client) -> None:
    """Told to complete, twice."""
    server = client.instance("slow", ram=ENDLESS)
    client.act(server, migrate(client.there))
    number = (client.watch(server, "running") or {})["id"]
    path = f"/servers/{server}/migrations/{number}/action"
    client.ask("POST", path, {"force_complete": {}})
    client.ask("POST", path, {"force": None})
    client.ask("POST", path, {"force_complete": None})
    client.watch(server)
    client.history(server)
    client.ask("POST", path, {"force_complete": None})


def refused(client: Client) -> None:
    """The destination refuses in its check: accepted, and then an error."""
    server = client.instance("unwanted")
    client.ground.migrations_are_refused(client.there, f"{client.name}-unwanted")
    for version in (OLD, NEW):
        client.act(server, migrate(client.there), version)
        client.watch(server)
        client.history(server, version)
    client.get(f"/servers/{server}")
    client.get(f"/os-migrations?instance_uuid={server}")


def failed(client: Client) -> None:
    """It fails half way: rolled back."""
    server = client.instance("unlucky")
    client.ground.migrations_fail(client.here, f"{client.name}-unlucky")
    client.act(server, migrate(client.there))
    client.watch(server)
    client.history(server)
    client.get(f"/servers/{server}")
    client.get(f"/os-migrations?instance_uuid={server}")
    client.get(f"/servers/{server}/migrations")


def paused(client: Client) -> None:
    """A paused one stays paused, and cannot be forced."""
    server = client.instance("still", ram=ENDLESS)
    client.act(server, {"pause": None})
    client.watch(server)
    client.act(server, migrate(client.there))
    number = (client.watch(server, "running") or {})["id"]
    path = f"/servers/{server}/migrations/{number}"
    client.ask("POST", f"{path}/action", {"force_complete": None})
    client.act(server, {"unpause": None})
    client.ask("DELETE", path)
    client.watch(server)
