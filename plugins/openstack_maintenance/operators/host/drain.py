"""Empty the host: list what is there, move it, and prove that nothing is left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from openstack_maintenance.domain.blocker import in_words
from openstack_maintenance.domain.drain.movability import plan_drain
from openstack_maintenance.domain.errors import Blocked
from openstack_maintenance.operators.base import map_name
from openstack_maintenance.operators.clock import utc_now
from openstack_maintenance.operators.host.base import HostOperator
from openstack_maintenance.operators.host.debts import (
    debts_by_instance,
    owed_elsewhere,
    planned_moves,
)
from openstack_maintenance.operators.host.emptiness import prove_empty, read_incoming
from openstack_maintenance.operators.window_gate import window_argument
from openstack_maintenance.triggers.incoming import IncomingTrigger
from openstack_maintenance.triggers.migrate_instance import MigrateInstanceTrigger

if TYPE_CHECKING:
    from openstack_maintenance.domain.drain.movability import Movement


# For partial(map_index_template=...): a mapped task is called after its instance.
NAMED = map_name("task.instance['name']")


class ListInstancesOperator(HostOperator):
    """List what is to be moved off the host, largest RAM first.

    First waits, without a worker slot, for migrations and builds that are still on their way in.

    Returns: one dict an instance (see `instance_facts`) with its method: live, cold or stop.
    """

    def perform(self) -> list[dict[str, Any]]:
        """List at once when nothing is on its way in."""
        self.check_ownership()
        if read_incoming(self.nova, self.request.host):
            self.defer(
                trigger=IncomingTrigger(
                    self.request.host,
                    (utc_now() + self.policy.length("turn_patience")).isoformat(),
                    self.cloud_conn_id,
                ),
                method_name="execute_complete",
            )
        return self._list()

    def resume(self, event: Any) -> list[dict[str, Any]]:
        """Nothing is on its way in any more."""
        return self._list()

    def _list(self) -> list[dict[str, Any]]:
        host, instances = self.request.host, self.nova.instances_on(self.request.host)
        debts = debts_by_instance(self.policy)
        plan = plan_drain(instances, self.request.on_blocked, self.newest)
        if plan.blockers:
            raise Blocked(
                f"host {self.request.host}",
                f"{len(plan.blockers)} of its instances cannot be moved",
                f"Fix this, then clear {self.task_id} with Downstream:\n{in_words(plan.blockers)}",
            )
        for each in plan.left:
            self.log.info("left where it is: %s, %s", each.label, each.status)
        self.log.info("host %s: to be moved: %s", self.request.host, _counted(plan.moves))
        started = owed_elsewhere(self.nova, self.policy, host, debts, instances)
        for owed in started:
            self.log.info("%s (%s): to be started where it is now", owed["name"], owed["id"])
        return planned_moves(plan.moves, debts) + started


def _counted(moves: Sequence[Movement]) -> str:
    """For example: 4 instances (3 live, 1 cold)."""
    by_method = Counter(each.method for each in moves)
    if not by_method:
        return "no instance"
    how = ", ".join(f"{count} {method}" for method, count in by_method.most_common())
    return f"{len(moves)} {'instance' if len(moves) == 1 else 'instances'} ({how})"


class MigrateInstanceOperator(HostOperator):
    """Move one instance off the host, and prove that it is elsewhere.

    Defers at once: its trigger starts the migration when its turn comes, and ends the task.
    ``instance``: a dict of ListInstancesOperator; NAMED shows its name in the UI.
    """

    template_fields: Sequence[str] = ("instance",)

    waits_for_window = True

    def __init__(self, *, instance: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.instance = instance

    def perform(self) -> None:
        """Hand the move to the triggerer."""
        request = self.request
        self.defer(
            trigger=MigrateInstanceTrigger(
                conn_id=self.cloud_conn_id,
                order=self._order(),
                limits=self._limits(),
                patience=self._patience(),
                destination=request.destination or self._suggested(),
                is_suggestion=request.destination is None,
                block_migration=request.block_migration,
                window=window_argument(self.policy, request),
                owner=[self.mark.dag_id, self.mark.run_id],
                keeps_debts=True,
            ),
            method_name="execute_complete",
        )

    def _order(self) -> dict[str, Any]:
        """What is moved, and how."""
        return {
            "instance_id": self.instance["id"],
            "name": self.instance["name"],
            "source": self.request.host,
            "method": self.instance["method"],
            "was_running": self.instance["was_running"],
            "ram_mib": self.instance["ram_mib"],
            "copied_gib": self._copied_gib(),
            "since": utc_now().isoformat(),
            "may_stop": self.request.on_blocked == "stop",
        }

    def _limits(self) -> dict[str, Any]:
        """How many migrations may go at a time."""
        return {
            "per_host": self.policy.migrations_per_host,
            "total": self.policy.migrations_total,
            "nova_limit": self.policy.nova_live_migration_limit,
        }

    def _patience(self) -> dict[str, Any]:
        """How long it may take, and what happens then."""
        policy = self.policy
        return {
            "retries": policy.migration_retries,
            "timeout_per_gib_seconds": policy.length("migration_timeout_per_gib").total_seconds(),
            "turn_seconds": policy.length("turn_patience").total_seconds(),
            "api_seconds": policy.length("api_patience").total_seconds(),
            "on_stuck": policy.stuck_migration,
        }

    def _copied_gib(self) -> int:
        """The disks that a block migration may copy: Nova's own limit counts them, too."""
        if self.request.block_migration == "false":
            return 0
        # A list of an older release does not say it. No disk counts less than 2 GiB for Nova.
        local = int(self.instance.get("local_gib") or 0)
        return max(2, local) if local else 0

    def _suggested(self) -> str | None:
        """Where a night's plan wants it; None where there is no plan."""
        return self.turn.destinations.get(self.instance["id"])


class CheckHostEmptyOperator(HostOperator):
    """Prove that the host holds no instance and that none is on its way to it.

    Returns the evidence: checked_at, left (instances that on_blocked=leave lets stay), and what
    each witness showed. Raises: CheckFailed, naming each instance that is in the way.
    """

    def perform(self) -> dict[str, Any]:
        """Look, and say what was seen."""
        proof = prove_empty(self)
        names = ", ".join(f"{each['name']} ({each['status']})" for each in proof["left"])
        holds = f"only what is left there, {names}," if names else "no instance"
        self.log.info("host %s: holds %s and none is on its way", self.request.host, holds)
        return proof
