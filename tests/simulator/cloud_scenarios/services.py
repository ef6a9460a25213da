"""Services of Nova."""

from __future__ import annotations

from cloud_scenarios.client import MIDDLE, NEW, OLD, Client


def listed(client: Client) -> None:
    """By host, by kind, all; hypervisors beside them."""
    found = client.get("/os-hypervisors")["hypervisors"]
    name = found[-1]["hypervisor_hostname"]
    for version in ("2.1", "2.30", OLD, MIDDLE, NEW):
        client.get(f"/os-services?host={name}&binary=nova-compute", version)
    client.get("/os-services?binary=nova-compute")
    client.get("/os-services?binary=nova-scheduler")
    client.get("/os-services?host=nowhere")
    client.get("/os-services?binary=nova-nonsense")
    client.get("/os-services?colour=red")
    for version in (OLD, MIDDLE, NEW):
        found = client.get("/os-hypervisors", version)["hypervisors"]
        path = f"/os-hypervisors/{found[-1]['id']}"
        client.get(path, version)
    client.get("/os-hypervisors/detail?limit=1")
    client.get(f"/os-hypervisors?limit=1&marker={found[0]['id']}")
    client.get("/os-hypervisors?limit=-1")
    client.get(f"/os-hypervisors?hypervisor_hostname_pattern={name}")
    client.get("/os-hypervisors?hypervisor_hostname_pattern=nowhere")
    client.get(f"/os-hypervisors?hypervisor_hostname_pattern={name}&limit=1")


def disabled_and_enabled(client: Client) -> None:
    """With reasons good and bad."""
    shown = f"/os-services?host={client.here}&binary=nova-compute"
    path = f"/os-services/{client.get(shown)['services'][0]['id']}"
    for body in (
        {"status": "disabled", "disabled_reason": "x" * 256},
        {"status": "disabled", "disabled_reason": ""},
        {"status": "disabled", "disabled_reason": 7},
        {"status": "sideways"},
        {"status": "enabled", "disabled_reason": "no reason"},
        {"disabled_reason": "nothing else"},
        {"forced_down": "perhaps"},
        {"status": "enabled", "surprise": 1},
        {},
    ):
        client.ask("PUT", path, body)
        client.ask("PUT", path, body, version=OLD)
    client.get(shown)
    for body in (
        {"status": "disabled", "disabled_reason": "y" * 255},
        {"status": "disabled", "disabled_reason": "maintenance"},
        {"status": "disabled"},
        {"forced_down": True},
        {"forced_down": True, "status": "disabled", "disabled_reason": "both"},
        {"forced_down": False},
        {"status": "enabled"},
        {"status": "enabled"},
    ):
        client.ask("PUT", path, body)
        client.get(shown)
    for identifier in ("00000000-0000-4000-8000-000000000000", "7", "nonsense"):
        client.ask("PUT", f"/os-services/{identifier}", {"status": "enabled"})
    for binary in ("nova-scheduler", "nova-conductor"):
        row = client.get(f"/os-services?binary={binary}")["services"][0]
        client.ask("PUT", f"/os-services/{row['id']}", {"status": "disabled"})
    client.ask("PUT", "/os-services/disable", {"host": client.here, "binary": "nova-compute"})
