"""What hosts and the cloud tell each other; the simulated cloud has these methods."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class CloudSide(Protocol):
    """The cloud as a host knows it. ``host`` is the name that Nova has for it."""

    def guest_names_on(self, host: str) -> Sequence[str]:
        """libvirt's names of the guests that run on it now, in a fixed order."""

    def host_starts_nova_compute(self, host: str) -> None:
        """Its nova-compute has started and is on the broker: it sends heartbeats."""

    def host_stops_nova_compute(self, host: str, *, in_order: bool = True) -> None:
        """Its nova-compute has ended, by a stop or (not ``in_order``) a kill."""

    def host_loses_broker(self, host: str) -> None:
        """Its nova-compute runs on, and nothing of it reaches Nova."""

    def host_reaches_broker(self, host: str) -> None:
        """What nova-compute sends reaches Nova again."""

    def host_reboots(self, host: str) -> None:
        """It goes down in order: this is the moment in which its guests end."""

    def host_fails(self, host: str) -> None:
        """It panics, or loses its power: its guests end."""

    def host_has_booted(self, host: str) -> None:
        """It is up again; nova-compute starts by itself, or does not."""


class EmptyCloud:
    """A cloud without instances, where a test needs none."""

    def guest_names_on(self, host: str) -> Sequence[str]:
        return ()

    def _told(self, host: str, **_: bool) -> None: ...

    host_starts_nova_compute = host_stops_nova_compute = _told
    host_loses_broker = host_reaches_broker = _told
    host_reboots = host_fails = host_has_booted = _told
