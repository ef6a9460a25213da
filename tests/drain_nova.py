"""The cloud of one guest's drain, its debts, and the request of its move.

One list of the migrations is one second of its clock.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from in_memory_nova import CloudState, InMemoryNova
from openstack_maintenance.adapters.cloud_errors import Refused
from openstack_maintenance.domain.drain.debt import Debt
from openstack_maintenance.domain.drain.move_step import Order, Step
from openstack_maintenance.domain.drain.slots import Limits
from openstack_maintenance.domain.errors import CloudError
from openstack_maintenance.domain.mark import Mark
from openstack_maintenance.triggers.drain.move import MoveRequest

SOURCE, DESTINATION = "c01", "c02"
OWNER = Mark("compute_host_maintenance", "r1", "kernel")
SILENCE = CloudError("compute API", "the cloud lab answered 503: busy", "Wait.")


def drain_nova(takes: int = 2) -> InMemoryNova:
    """A cloud whose c01 is ours. ``takes``: the seconds of a migration."""
    cloud = CloudState(takes=takes)
    cloud.add_host(SOURCE, reason=str(OWNER))
    cloud.add_host(DESTINATION)
    return InMemoryNova(cloud, second_a_list=1, why="libvirt: no such disk")


class DebtsInMemory:
    """Debts as the records keep them. ``error``: what every call raises."""

    def __init__(self) -> None:
        self.open: dict[str, Debt] = {}
        self.error: Exception | None = None

    def write(self, debt: Debt) -> None:
        if self.error:
            raise self.error
        self.open[debt.instance_id] = debt

    def find(self, instance_id: str) -> Debt | None:
        return self.open.get(instance_id)

    def all(self) -> list[Debt]:
        return list(self.open.values())

    def strike(self, instance_id: str) -> None:
        self.open.pop(instance_id, None)


def debt(name: str = "i1", **given: Any) -> Debt:
    """A guest that run r0 has shut down on the source."""
    facts = {"host": SOURCE, "dag_id": OWNER.dag_id, "run_id": "r0", "since": datetime.now(UTC)}
    return Debt(**{"instance_id": name, "name": name, **facts, **given})


def request(nova: InMemoryNova, name: str = "i1", **given: Any) -> MoveRequest:
    """A move of one instance off the source, by run r1."""
    there = nova.cloud.instances[name]
    order = Order(
        instance_id=name,
        name=name,
        source=given.pop("source", SOURCE),
        method=given.pop("method", "live" if there.vm_state == "active" else "cold"),
        was_running=given.pop("was_running", there.vm_state == "active"),
        ram_mib=there.ram_mib,
        since=nova.cloud.began,
        retries=given.pop("retries", 0),
        timeout_per_gib=given.pop("per_gib", timedelta(seconds=800)),
        on_stuck=Step.ABORT,
        may_stop=given.pop("may_stop", True),
        copied_gib=given.pop("copied_gib", 0),
    )
    asked = {
        "destination": None,
        "block_migration": "auto",
        "limits": Limits(1, 4),
        "turn_patience": timedelta(hours=1),
        "api_patience": timedelta(hours=1),
        "may_start": lambda now: None,
        "owner": OWNER,
        **given,
    }
    return MoveRequest(order=order, **asked)


REFUSED = Refused("instance i1", "Nova refused: No valid host was found.", "Fix it.")
