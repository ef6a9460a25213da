"""All scenarios, and which are played one after the other.

Four lanes go on at the same time, each with the instances of one host: they share no queue of
migrations. What needs the scheduler, disables or breaks a host is in the last lane: its host
c04 is in no other one.
"""

from __future__ import annotations

from collections.abc import Callable

from cloud_scenarios import hosts, live, moves, power, queries, refusals, services
from cloud_scenarios.client import Client

Script = Callable[[Client], None]

# Host of a lane: where its instances go, and what is played.
LANES: dict[str, tuple[str, tuple[Script, ...]]] = {
    "c01": (
        "c02",
        (
            live.to_a_host,
            live.under_way,
            live.queue,
            live.abort_of_many,
            refusals.bad_live_migrations,
        ),
    ),
    "c02": (
        "c03",
        (
            live.forced,
            live.refused,
            live.failed,
            live.paused,
            moves.cold_to_a_host,
            moves.cold_of_a_stopped_one,
            moves.cold_that_fails,
        ),
    ),
    "c03": (
        "c01",
        (
            power.stop_and_start,
            power.pause_and_suspend,
            power.locked,
            power.reset,
            power.create,
            refusals.unknown_things,
            refusals.bad_bodies,
            queries.lists_of_servers,
            queries.lists_of_migrations,
            moves.group_apart,
        ),
    ),
    "c04": (
        "c01",
        (
            services.listed,
            services.disabled_and_enabled,
            live.by_the_scheduler,
            moves.cold_by_the_scheduler,
            queries.placement,
            hosts.disabled_destination,
            hosts.compute_is_killed,
            hosts.reboot,
        ),
    ),
}
SCENARIOS: dict[str, tuple[Script, str, str]] = {
    script.__name__: (script, here, there)
    for here, (there, scripts) in LANES.items()
    for script in scripts
}


def play(client: Client) -> None:
    """Play the client's scenario; what it has made is gone afterwards."""
    script = SCENARIOS[client.name][0]
    try:
        script(client)
    finally:
        client.delete_all()
