"""A guest that a drain has shut down is owed its start: by whom, and how that is paid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from openstack_maintenance.domain.cloud import Instance, Migration
from openstack_maintenance.domain.drain.move_order import Decision, Step
from openstack_maintenance.domain.mark import Mark
from openstack_maintenance.domain.moment import read_moment


@dataclass(frozen=True)
class Debt:
    """Written before a guest is asked to shut down, and struck out only once it was seen running.

    ``host``: where it was shut down. ``since``: when it was last seen running, by Nova's clock:
    what its owner did before says nothing about its start. ``starts``: False where it was off
    before and only its cold move has to be confirmed, because the move's task is gone.
    """

    instance_id: str
    name: str
    host: str
    dag_id: str
    run_id: str
    since: datetime
    starts: bool = True

    @property
    def what(self) -> str:
        """What happened, for people."""
        if self.starts:
            return f"its guest was shut down on {self.host} for its move"
        return f"it was on its cold move off {self.host} when the move's task was ended"

    @property
    def fear(self) -> str:
        """What may be true of it while this is open."""
        return "it may be off" if self.starts else "it may wait to be confirmed"

    @property
    def label(self) -> str:
        """Name and id, for people."""
        return f"{self.name} ({self.instance_id})"

    @property
    def command(self) -> str:
        """What a person types where nobody else can pay."""
        verb = "start" if self.starts else "resize confirm"
        return f"`openstack server {verb} {self.instance_id}`"

    def is_of(self, mark: Mark) -> bool:
        """Whether this run has made it."""
        return (self.dag_id, self.run_id) == (mark.dag_id, mark.run_id)


def plain_debt(debt: Debt) -> dict[str, Any]:
    """A debt as plain JSON, as it is kept."""
    return {
        "instance_id": debt.instance_id,
        "name": debt.name,
        "host": debt.host,
        "dag_id": debt.dag_id,
        "run_id": debt.run_id,
        "since": debt.since.isoformat(),
        "starts": debt.starts,
    }


def read_debt(found: Any) -> Debt | None:
    """A debt as it was kept; None where it is none. What a newer release adds is ignored."""
    if not isinstance(found, Mapping):
        return None
    names = ("instance_id", "name", "host", "dag_id", "run_id")
    texts = {name: found.get(name) for name in names}
    since = read_moment(found.get("since"))
    if since is None or not all(isinstance(each, str) for each in texts.values()):
        return None
    starts = found.get("starts") is not False
    return Debt(**texts, since=since, starts=starts)  # type: ignore[arg-type]


def owed_facts(debt: Debt | None) -> dict[str, Any]:
    """What a list of instances says of a guest that is off and owed its start."""
    if debt is None or not debt.starts:
        return {}
    return {"was_running": True, "owed_by": debt.run_id}


def payment_step(
    debt: Debt, instance: Instance | None, migrations: Sequence[Migration], acted: str | None
) -> Decision:
    """What to do next for a guest that is owed its start; DONE strikes the debt out.

    ``migrations``: the instance's, oldest first. ``acted``: what its owner did to it since.
    """
    last = migrations[-1] if migrations else None
    if instance is None:
        return Decision(Step.DONE, "was deleted meanwhile")
    # Nova lists one for ever whose conductor died; without a task of the instance it is over.
    is_over = last is None or (last.destination is None and instance.task_state is None)
    if last is not None and last.is_moving and not is_over:
        return Decision(Step.WAIT, f"migration {last.status}", migration=last)
    if instance.task_state is not None:
        return Decision(Step.WAIT, f"Nova is busy with it ({instance.task_state})")
    if instance.vm_state in {"active", "paused"}:
        return Decision(Step.DONE, f"its guest runs on {instance.host}")
    if instance.vm_state == "soft-delete":
        return Decision(Step.DONE, "was deleted meanwhile")
    if acted is not None:
        return Decision(Step.DONE, f"it stays as it is: {acted}")
    if instance.status == "VERIFY_RESIZE":
        return _arrived(debt, instance, last)
    if instance.vm_state == "stopped" and not debt.starts:
        return Decision(Step.DONE, f"it is {instance.status} on {instance.host}, as it was before")
    if instance.vm_state == "stopped":
        return Decision(Step.START_GUEST, f"it is {instance.status} on {instance.host}")
    return _cannot_start(debt, instance)


def _arrived(debt: Debt, instance: Instance, last: Migration | None) -> Decision:
    is_ours = last is not None and last.kind == "migration" and last.source == debt.host
    if not is_ours or last is None:
        return _cannot_start(debt, instance)
    if last.status in {"confirming", "confirmed"}:
        return Decision(Step.WAIT, "arrived cold, Nova is confirming it")
    return Decision(Step.CONFIRM, "arrived cold", migration=last)


def _cannot_start(debt: Debt, instance: Instance) -> Decision:
    fault = f" ({instance.fault})" if instance.fault else ""
    return Decision(
        Step.FAIL,
        f"it is {instance.status}{fault} on {instance.host}, which Nova cannot start or confirm",
        f"Bring it to SHUTOFF, then run {debt.command}.",
    )
