"""Nova's scheduler: which host takes an instance.

The filters of a default nova.conf as far as they can differ here; of the hosts that pass, the one
with the most free RAM, as the RAM weigher chooses.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from simulator.cloud.model import Cell, ComputeHost, Flavor, Instance
from simulator.cloud.refusals import no_valid_host
from simulator.cloud.services import DISABLED_TRAIT, Services
from simulator.cloud.state import State


class Scheduler:
    """Chooses hosts."""

    def __init__(self, state: State, services: Services) -> None:
        self._state = state
        self._services = services

    def choose(
        self,
        instance: Instance,
        flavor: Flavor,
        *,
        only: str | None = None,
        ignored: Iterable[str] = (),
        cell: Cell | None = None,
    ) -> ComputeHost:
        """The host for an instance. Raises: MigrationRefused (no valid host).

        ``only``: a host that was asked for. ``cell``: moves never leave their own.
        """
        amounts = self._state.resources(flavor, instance.is_volume_backed)
        ignored = frozenset(ignored)
        hosts: Collection[ComputeHost] = self._state.hosts.values()
        if only is not None:
            named = self._state.hosts.get(only)
            hosts = [named] if named is not None else []
        best, most = None, -1
        for host in hosts:
            free = host.capacity["MEMORY_MB"] - host.used["MEMORY_MB"]
            if free <= most or host.service.is_disabled or host.name in ignored:
                continue
            if cell in (None, host.cell) and self._passes(host, instance, amounts):
                best, most = host, free
        if best is None:
            has_candidates = any(self._is_candidate(each, amounts) for each in hosts)
            raise no_valid_host(has_candidates=has_candidates)
        return best

    def is_up(self, host: ComputeHost) -> bool:
        """Whether Nova takes its nova-compute for up."""
        return self._services.is_up(host.service)

    def _passes(self, host: ComputeHost, instance: Instance, amounts: dict[str, int]) -> bool:
        if not self._is_candidate(host, amounts) or host.cell.is_away:
            return False
        if instance.zone is not None and (host.zone or "nova") != instance.zone:
            return False
        return self.is_up(host) and self._suits_group(host, instance)

    def _is_candidate(self, host: ComputeHost, amounts: dict[str, int]) -> bool:
        return self.has_room(host, amounts) and DISABLED_TRAIT not in host.traits

    @staticmethod
    def has_room(host: ComputeHost, amounts: dict[str, int]) -> bool:
        """Whether Placement would give the host as a candidate."""
        return all(
            host.used[kind] + amount <= host.capacity[kind] for kind, amount in amounts.items()
        )

    def _suits_group(self, host: ComputeHost, instance: Instance) -> bool:
        group = instance.group
        if group is None or group.policy.startswith("soft-"):
            return True
        if group.policy == "affinity":
            # Only hosts of the group pass; where it moves away from, it counts itself.
            hosts = {self._host_of(each) for each in group.members} - {None}
            return not hosts or host.name in hosts
        # As in ServerGroupAntiAffinityFilter: by what the host holds, and holds already.
        if instance.id in host.instances:
            return True
        members = group.members
        if len(members) <= len(host.instances):
            count = sum(1 for each in members if each in host.instances)
        else:
            wanted = set(members)
            count = sum(1 for each in host.instances if each in wanted)
        return count < group.rules.get("max_server_per_host", 1)

    def _host_of(self, instance_id: str) -> str | None:
        found = self._state.instances.get(instance_id)
        return found.host if found is not None else None
