"""What hosts do to moves and instances. Their host is disabled, as in a maintenance."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from cloud_scenarios.client import Client
from cloud_scenarios.live import ENDLESS, migrate


@contextmanager
def disabled(client: Client) -> Iterator[None]:
    """While this lasts, no scheduler chooses the client's host."""
    shown = f"/os-services?host={client.here}&binary=nova-compute"
    path = f"/os-services/{client.quietly('GET', shown)['services'][0]['id']}"
    client.ask("PUT", path, {"status": "disabled", "disabled_reason": "maintenance"})
    try:
        yield
    finally:
        client.quietly("PUT", path, {"status": "enabled"})


def disabled_destination(client: Client) -> None:
    """Accepted, and then no valid host; from a disabled host everything goes."""
    server = client.instance("comes", client.there)
    leaves = client.instance("leaves", client.here)
    with disabled(client):
        client.act(server, migrate(client.here))
        client.watch(server)
        client.history(server)
        client.act(server, {"migrate": {"host": client.here}})
        client.watch(server)
        client.history(server)
        client.get(f"/os-migrations?instance_uuid={server}")
        client.get(f"/servers/{leaves}")
        client.act(leaves, migrate(client.there))
        client.watch(leaves)


def compute_is_killed(client: Client) -> None:
    """nova-compute of the source dies while one migration runs and another waits.

    (Told to end, it would cancel what waits; under load systemd kills it before it has.)
    """
    runs, waits = (client.instance(each, ram=ENDLESS) for each in ("runs", "waits"))
    with disabled(client):
        client.act(runs, migrate(client.there))
        client.watch(runs, "running")
        client.act(waits, migrate(client.there))
        client.watch(waits, "queued")
        client.ground.kill_nova_compute(client.here)
        client.get(f"/os-migrations?instance_uuid={waits}")
        client.get(f"/os-migrations?instance_uuid={runs}")
        client.act(waits, migrate(client.there))
        client.ground.start_nova_compute(client.here)
        for each in (runs, waits):
            client.watch(each, "ACTIVE")
            client.get(f"/servers/{each}")
            client.history(each)
        client.get(f"/os-migrations?instance_uuid={runs}")
        client.get(f"/os-migrations?instance_uuid={waits}")


def reboot(client: Client) -> None:
    """Guests are off afterwards; Nova sees it some time later."""
    runs = client.instance("runs")
    is_off = client.off(client.instance("off"))
    with disabled(client):
        client.ground.reboot(client.here)
        client.watch(runs, "SHUTOFF")
        client.history(runs)
        client.get(f"/servers/{runs}")
        client.watch(is_off)
        client.act(runs, {"os-start": None})
        client.watch(runs)
