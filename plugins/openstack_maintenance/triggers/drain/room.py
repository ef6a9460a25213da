"""Is there a host for a cold move? Asked before a guest is shut down for one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from openstack_maintenance.domain.drain.capacity import check_room, need_of
from openstack_maintenance.domain.errors import MigrationFailed

if TYPE_CHECKING:
    from openstack_maintenance.adapters.nova import Nova
    from openstack_maintenance.triggers.drain.move import Move


def check_room_for_cold(nova: Nova, move: Move) -> None:
    """Only a certain no counts: what only Nova can tell, its scheduler tells.

    Raises: MigrationFailed, before the guest is shut down for nothing; CloudError.
    """
    instance, request = move.instance, move.request
    need = need_of(instance) if instance else None
    source = nova.find_hypervisor(move.order.source)
    if instance is None or need is None or source is None:
        return
    wanted = None if request.is_suggestion else request.destination
    to = nova.find_hypervisor(wanted) if wanted else None
    room = {need: nova.hosts_with_room(need)}
    for blocker in check_room([instance], room, source.id, to.id if to else None):
        raise MigrationFailed(
            move.subject,
            f"it cannot move live, and {blocker.reason} to move it cold: it was not shut down",
            f"{blocker.remedy} Then clear this task.",
        )
