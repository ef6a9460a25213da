"""Whether the machine already routes the lab's subnet elsewhere."""

import ipaddress
from pathlib import Path

ROUTES = Path("/proc/net/route")


def parse_routes(text: str) -> list[tuple[str, ipaddress.IPv4Network]]:
    """Interface and destination of each route but the default ones, as /proc/net/route has them."""
    routes = []
    for line in text.splitlines()[1:]:
        fields = line.split()
        if len(fields) < 8:
            continue
        address, mask = (bytes.fromhex(fields[column])[::-1] for column in (1, 7))
        destination = ipaddress.IPv4Network(
            f"{ipaddress.IPv4Address(address)}/{ipaddress.IPv4Address(mask)}"
        )
        if destination.prefixlen:
            routes.append((fields[0], destination))
    return routes


def find_conflict(subnet: str, routes_text: str) -> str | None:
    """A sentence that names the route in the way, or None."""
    wanted = ipaddress.IPv4Network(subnet)
    for interface, destination in parse_routes(routes_text):
        if destination.overlaps(wanted):
            return (
                f"The subnet {subnet} is already routed by this machine "
                f"({destination} on {interface}): choose another with --subnet."
            )
    return None


def read_routes() -> str:
    """The machine's IPv4 routes."""
    return ROUTES.read_text()
