"""What owners and other admins do meanwhile, by ids: the faults and draws of a story call it.

Nobody waits for an answer here: what Nova refuses is False.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from simulator.cloud.builds import Builds
from simulator.cloud.cold_migration import ColdMigrations
from simulator.cloud.lifecycle import Lifecycle
from simulator.cloud.live_requests import LiveRequests
from simulator.cloud.model import Instance
from simulator.cloud.refusals import Refusal
from simulator.cloud.state import State


class Owners:
    """People and programs that use the cloud while it is maintained."""

    def __init__(
        self,
        state: State,
        lifecycle: Lifecycle,
        live: LiveRequests,
        cold: ColdMigrations,
        builds: Builds,
    ) -> None:
        self._state = state
        self._lifecycle = lifecycle
        self._live = live
        self._cold = cold
        self._builds = builds

    def perform(self, instance_id: str, name: str) -> bool:
        """Ask for one of `simulator.cloud.lifecycle.KINDS`: stop, start, pause, rebuild, ..."""
        return self._try(instance_id, lambda each: self._lifecycle.perform(each, name))

    def shuts_down_inside(self, instance_id: str) -> bool:
        """The guest is shut down from within."""
        return self._try(instance_id, self._lifecycle.guest_shuts_down)

    def resizes(self, instance_id: str, flavor_id: str) -> bool:
        """Ask for another flavor."""
        flavor = self._state.flavors[flavor_id]
        return self._try(
            instance_id, lambda each: self._cold.accept(each, flavor=flavor, who="owner")
        )

    def confirms(self, instance_id: str) -> bool:
        """Confirm a resize."""
        return self._try(instance_id, lambda each: self._cold.confirm(each, "owner"))

    def reverts(self, instance_id: str) -> bool:
        """Revert a resize."""
        return self._try(instance_id, self._cold.revert)

    def deletes(self, instance_id: str) -> bool:
        """Delete an instance."""
        return self._try(instance_id, self._lifecycle.delete)

    def live_migrates(self, instance_id: str, host: str | None = None) -> bool:
        """Another admin's live migration."""
        return self._try(
            instance_id, lambda each: self._live.accept(each, host, who="another admin")
        )

    def creates(
        self,
        name: str,
        flavor_id: str,
        project: str = "demo",
        host: str | None = None,
        group_id: str | None = None,
        *,
        is_forced: bool = False,
    ) -> str:
        """A new instance, booted from the first image; its id. ``is_forced``: see Builds."""
        image = next(iter(self._state.images.values()))
        group = self._state.groups[group_id] if group_id else None
        flavor = self._state.flavors[flavor_id]
        instance = self._builds.new(name, flavor, image, project, group=group)
        self._builds.create(instance, host, is_forced=is_forced)
        return instance.id

    def _try(self, instance_id: str, what: Callable[[Instance], Any]) -> bool:
        instance = self._state.instances.get(instance_id)
        if instance is None:
            return False
        try:
            what(instance)
        except Refusal as refused:
            self._state.note("nova", f"refuses: {refused.message}", instance_id)
            return False
        return True
