"""Heartbeats of Nova services: which of them advance."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from openstack_maintenance.domain.cloud import ComputeService

# One advance alone may be a write from before the restart that shows late.
_DIFFERENT_BEATS = 3


class Heartbeats:
    """The heartbeats seen so far of the services that must be back."""

    def __init__(self, wanted: Iterable[tuple[str, ...]]) -> None:
        """``wanted``: binary and host of each."""
        self._beats: dict[tuple[str, ...], list[datetime]] = {key: [] for key in wanted}
        self._up: set[tuple[str, ...]] = set()

    def note(self, services: Iterable[ComputeService]) -> None:
        """Take one look at all services."""
        self._up = set()
        for service in services:
            key = (service.binary, service.host)
            beats = self._beats.get(key)
            if beats is None:
                continue
            if service.is_up:
                self._up.add(key)
            if service.updated_at is not None and service.updated_at not in beats:
                beats.append(service.updated_at)

    def missing(self) -> list[str]:
        """The services that are not up, or whose heartbeat did not advance twice yet."""
        return [
            f"{binary} on {host}"
            for (binary, host), beats in self._beats.items()
            if (binary, host) not in self._up or len(beats) < _DIFFERENT_BEATS
        ]

    def plain(self) -> dict[str, list[str]]:
        """The last beats of each, as plain JSON."""
        return {
            f"{binary} on {host}": [beat.isoformat() for beat in beats[-_DIFFERENT_BEATS:]]
            for (binary, host), beats in self._beats.items()
        }
