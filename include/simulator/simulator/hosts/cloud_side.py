"""What hosts and the cloud tell each other; the simulated cloud has these methods."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class CloudSide(Protocol):
    """The cloud as a host knows it. ``host`` is the name that Nova has for it."""

    def guests_on(self, host: str) -> Sequence[str]:
        """The ids of the instances whose guests run on it now, in a fixed order."""

    def host_starts_nova_compute(self, host: str) -> None:
        """Its nova-compute has reached the broker: from now on it sends heartbeats."""

    def host_stops_nova_compute(self, host: str) -> None:
        """Its nova-compute has ended, or lost the broker: no more heartbeats."""

    def host_reboots(self, host: str) -> None:
        """It goes down, in order or not: every guest on it ends."""


class EmptyCloud:
    """A cloud without instances, where a test needs none."""

    def guests_on(self, host: str) -> Sequence[str]:
        return ()

    def host_starts_nova_compute(self, host: str) -> None: ...

    def host_stops_nova_compute(self, host: str) -> None: ...

    def host_reboots(self, host: str) -> None: ...
