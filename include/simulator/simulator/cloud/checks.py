"""In which states Nova's API takes a request."""

from __future__ import annotations

from simulator.cloud.model import Instance
from simulator.cloud.refusals import wrong_state


def check_state(
    instance: Instance,
    action: str,
    vm_states: tuple[str, ...] | None,
    task_states: tuple[str | None, ...] | None = (None,),
    *,
    must_have_launched: bool = True,
) -> None:
    """Source: nova.compute.api.check_instance_state. Raises: Conflict."""
    if vm_states is not None and instance.vm_state not in vm_states:
        raise wrong_state(instance.id, action, "vm_state", instance.vm_state)
    if task_states is not None and instance.task_state not in task_states:
        raise wrong_state(instance.id, action, "task_state", instance.task_state)
    if must_have_launched and instance.launched_at is None:
        raise wrong_state(instance.id, action, "launched_at", None)
