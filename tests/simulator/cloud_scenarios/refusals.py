"""What is not there, and what makes no sense."""

from __future__ import annotations

from cloud_scenarios.client import MIDDLE, NEW, OLD, Client
from cloud_scenarios.live import migrate
from cloud_scenarios.queries import NOWHERE


def bad_live_migrations(client: Client) -> None:
    """To the same host, to none that is known, with bodies of another time."""
    server = client.instance("stays")
    client.act(server, migrate(client.here))
    client.watch(server)
    client.history(server)
    client.get(f"/os-migrations?instance_uuid={server}")
    for version in (OLD, MIDDLE, NEW):
        client.act(server, migrate("nowhere"), version)
        client.act(server, migrate(client.there, "perhaps"), version)
        client.act(server, migrate(client.there, disk_over_commit=True), version)
        client.act(server, {"os-migrateLive": {"host": client.there}}, version)
        client.act(server, {"os-migrateLive": {"block_migration": "auto"}}, version)
        client.act(server, {"os-migrateLive": None}, version)
        client.act(server, migrate(7), version)  # type: ignore[arg-type]
        client.act(server, migrate(""), version)
    client.act(server, migrate(client.there, force=True), NEW)
    client.act(server, migrate(None, force=True), OLD)
    client.act(server, migrate(client.here, force=True), OLD)
    client.watch(server)
    client.history(server)
    client.get(f"/servers/{server}")


def unknown_things(client: Client) -> None:
    """404, and the words for each kind."""
    for version in (OLD, NEW):
        client.get(f"/servers/{NOWHERE}", version)
        client.get(f"/servers/{NOWHERE}/migrations", version)
        client.get(f"/servers/{NOWHERE}/migrations/1", version)
        client.get(f"/servers/{NOWHERE}/os-instance-actions", version)
    client.get("/servers/nonsense")
    client.ask("DELETE", f"/servers/{NOWHERE}")
    client.ask("DELETE", f"/servers/{NOWHERE}/migrations/1")
    client.ask("POST", f"/servers/{NOWHERE}/migrations/1/action", {"force_complete": None})
    for body in ({"os-stop": None}, migrate(None), {"migrate": None}, {"confirmResize": None}):
        client.act(NOWHERE, body)
    client.act(NOWHERE, {"os-resetState": {"state": "active"}})
    server = client.instance("known")
    client.get(f"/servers/{server}/os-instance-actions/req-{NOWHERE}")
    client.get(f"/servers/{server}/migrations/1")
    client.ask("DELETE", f"/servers/{server}/migrations/1")
    client.ask("POST", f"/servers/{server}/migrations/1/action", {"force_complete": None})
    client.get(f"/os-hypervisors/{NOWHERE}")
    client.get("/os-hypervisors/7")
    client.get("/flavors/no-such-flavor")
    client.get("/no-such-thing")
    client.get(f"/servers/{server}/no-such-thing")


def bad_bodies(client: Client) -> None:
    """400; and microversions that there are not."""
    server = client.instance("asked")
    for body in (
        {},
        {"no-such-action": None},
        {"os-stop": None, "os-start": None},
        {"migrate": {"host": 7}},
        {"migrate": {"surprise": 1}},
        {"reboot": {}},
        {"confirmResize": {"surprise": 1}},
        [],
        "text",
    ):
        client.act(server, body)
    client.act(server, {"os-stop": {"now": True}})
    client.watch(server)
    client.ask("PUT", f"/servers/{server}/action", {"os-stop": None})
    client.get(f"/servers/{server}", "2.999")
    client.get(f"/servers/{server}", "3.1")
    wrong = {"X-Auth-Token": "wrong"}
    client.ask("GET", f"/servers/{server}", headers=wrong, authenticated=False)
    client.ask("GET", f"/servers/{server}", authenticated=False)
    client.place("/resource_providers", headers=wrong, authenticated=False)
