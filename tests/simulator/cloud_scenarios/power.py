"""What owners do with their instances."""

from __future__ import annotations

from cloud_scenarios.client import NEW, OLD, Client
from cloud_scenarios.live import migrate


def stop_and_start(client: Client) -> None:
    """Each in a state that suits it, and in one that does not."""
    server = client.instance("switch")
    client.act(server, {"os-start": None})
    client.act(server, {"os-stop": None})
    client.watch(server)
    client.get(f"/servers/{server}")
    client.act(server, {"os-stop": None})
    client.act(server, {"pause": None})
    client.act(server, {"suspend": None})
    client.history(server, OLD)
    client.act(server, {"os-start": None})
    client.watch(server)
    client.act(server, {"reboot": {"type": "HARD"}})
    client.watch(server)
    client.history(server)
    client.act(server, {"reboot": {"type": "WARM"}})
    client.ask("DELETE", f"/servers/{server}")
    client.watch(server, "gone")
    client.get(f"/servers/{server}")
    client.get(f"/servers/{server}/os-instance-actions")
    client.ask("DELETE", f"/servers/{server}")


def pause_and_suspend(client: Client) -> None:
    """Paused and suspended instances, and what cannot be done with them."""
    server = client.instance("rest")
    client.act(server, {"unpause": None})
    client.act(server, {"pause": None})
    client.watch(server)
    for body in ({"pause": None}, {"os-stop": None}, {"migrate": None}):
        client.act(server, body)
    client.act(server, {"unpause": None})
    client.watch(server)
    client.act(server, {"suspend": None})
    client.watch(server)
    client.act(server, migrate(client.there))
    client.act(server, {"migrate": None})
    client.act(server, {"resume": None})
    client.watch(server)
    client.act(server, {"resume": None})


def locked(client: Client) -> None:
    """An administrator is not stopped by a lock."""
    server = client.instance("safe")
    client.act(server, {"lock": {"locked_reason": "mine"}}, NEW)
    client.get(f"/servers/{server}")
    client.act(server, migrate(client.there))
    client.watch(server)
    client.act(server, {"unlock": None})
    client.get(f"/servers/{server}", OLD)


def reset(client: Client) -> None:
    """An instance in ERROR, by decree, and back."""
    server = client.instance("wrong")
    client.act(server, {"os-resetState": {"state": "error"}})
    client.watch(server, "ERROR")
    client.get(f"/servers/{server}")
    client.act(server, migrate(client.there))
    client.act(server, {"migrate": None})
    client.act(server, {"os-start": None})
    client.act(server, {"os-resetState": {"state": "paused"}})
    client.act(server, {"os-resetState": {}})
    client.act(server, {"os-resetState": {"state": "active"}})
    client.watch(server)
    client.history(server)


def create(client: Client) -> None:
    """New instances: refused, built, and in ERROR because no host has room for one."""
    body = client.wanted("new", client.here)
    server = body["server"]
    for change in (
        {"flavorRef": "no-such-flavor"},
        {"host": "nowhere"},
        {"imageRef": "00000000-0000-4000-8000-000000000000"},
        {"name": ""},
        {"surprise": 1},
    ):
        client.ask("POST", "/servers", {"server": {**server, **change}})
    lacking = {name: value for name, value in server.items() if name != "networks"}
    client.ask("POST", "/servers", {"server": lacking})
    client.ask("POST", "/servers", {})
    made = client.ask("POST", "/servers", body)["server"]["id"]
    client.adopt(made)
    client.watch(made)
    client.get(f"/servers/{made}")
    client.history(made)
    large = client.wanted("large", client.here, ram=9_000_000)
    made = client.ask("POST", "/servers", large)["server"]["id"]
    client.adopt(made)
    client.watch(made, "ERROR")
    client.get(f"/servers/{made}")
    client.history(made)
    client.act(made, migrate(client.there))
    client.ask("DELETE", f"/servers/{made}")
    client.watch(made, "gone")
