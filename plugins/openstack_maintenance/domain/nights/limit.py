"""What a run of a night is limited to: hosts by name, a zone, an aggregate."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from openstack_maintenance.domain.blocker import Blocker
from openstack_maintenance.domain.params import NAMED, and_more, did_you_mean, in_short


@dataclass(frozen=True)
class Limit:
    """All that are given must hold; a limit of nothing limits nothing."""

    hosts: tuple[str, ...] = ()
    zone: str | None = None
    aggregate: str | None = None

    def why_outside(self, host: str, zone: str, aggregates: Collection[str]) -> str | None:
        """Why a host is none of this run's; None where it is."""
        if self.hosts and host not in self.hosts:
            return "is not among the hosts of this run"
        if self.zone and zone != self.zone:
            return f"is in zone {zone}, and this run is limited to {self.zone}"
        if self.aggregate and self.aggregate not in aggregates:
            return f"is not in the aggregate {self.aggregate}, to which this run is limited"
        return None

    def unknown(
        self, hosts: Collection[str], zones: Collection[str], aggregates: Collection[str]
    ) -> list[Blocker]:
        """The names that Nova does not know. The arguments are all that it knows."""
        return [*self._unknown(hosts, zones, aggregates)]

    def _unknown(
        self, hosts: Collection[str], zones: Collection[str], aggregates: Collection[str]
    ) -> Iterator[Blocker]:
        strange = [each for each in dict.fromkeys(self.hosts) if each not in hosts]
        for host in strange[:NAMED]:
            yield _blocker("hosts", "no compute host", host, hosts)
        yield from and_more("param hosts", len(strange) - NAMED, "See the list.")
        if self.zone and self.zone not in zones:
            yield _blocker("zone", "no compute host in a zone", self.zone, zones)
        if self.aggregate and self.aggregate not in aggregates:
            yield _blocker("aggregate", "no host in an aggregate", self.aggregate, aggregates)


def _blocker(param: str, what: str, name: str, known: Collection[str]) -> Blocker:
    return Blocker(
        f"param {param}",
        f"Nova has {what} {in_short(name)}{did_you_mean(name, known)}",
        "Write it as `openstack compute service list` and `openstack aggregate list` show it.",
    )
