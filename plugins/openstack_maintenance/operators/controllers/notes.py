"""What a controller's steps write down before its first change, and compare with afterwards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from openstack_maintenance.domain.controllers.instance_changes import (
    is_picture_list,
    picture_of,
)
from openstack_maintenance.domain.errors import CheckFailed
from openstack_maintenance.operators.clock import utc_now
from openstack_maintenance.operators.controllers.base import ControllersOperator
from openstack_maintenance.operators.controllers.gate import (
    blockers_of,
)
from openstack_maintenance.operators.deeds import find_deed, note_deed
from openstack_maintenance.records.deeds import Deed
from openstack_maintenance.records.store import find_note, write_note

if TYPE_CHECKING:
    from openstack_maintenance.domain.checks.checked import Checked
    from openstack_maintenance.domain.deployment import Service

_NOTED = "change"


def note_before(
    step: ControllersOperator, asked: Iterable[Service], noted: dict[str, Any], checked: Checked
) -> None:
    """Prove that the controller may be touched, and note how everything is before it.

    ``noted``: what the step itself must know whoever dies after it. Raises: Blocked: it may not;
    nothing was changed on it.
    """
    names = [service.name for service in asked]
    blockers = blockers_of(step, step.host, checked, names)
    step.refuse(f"controller {step.host}", blockers, f"{step.host} was not touched.")
    services = step.nova.services()
    before = {
        "at": utc_now().isoformat(),
        "instances": [picture_of(each) for each in step.nova.instances()],
        "nova_services": [
            [each.binary, each.host] for each in services if each.is_enabled and each.is_up
        ],
    }
    # Written down before the change: whoever dies after it, nothing is done twice.
    write_note(step.policy, step.dag_id_of_run, step.run_id, f"before-{step.host}", before)
    note_deed(step, _change(step), _NOTED, noted)


def noted_of(step: ControllersOperator) -> dict[str, Any] | None:
    """What was noted before the first change; None while nothing was changed.

    Raises: RecordUnreadable, where that is not known.
    """
    return find_deed(step, _change(step), _NOTED) or None


def _change(step: ControllersOperator) -> Deed:
    action = step.request.action
    return Deed(
        f"{action}-{step.host}",
        ("boot_id_before", "ordered_at") if action == "reboot" else ("since", "services"),
        f"whether this run has begun to {action} {step.host}",
        f"`last -x reboot` on {step.host} shows its last boots."
        if action == "reboot"
        else f"`systemctl status SERVICE` on {step.host} shows since when each is active.",
    )


def note_of(step: ControllersOperator, which: str) -> dict[str, Any]:
    """What a step for the same controller noted. Raises: CheckFailed where it is lost."""
    found = find_note(step.policy, step.dag_id_of_run, step.run_id, f"{which}-{step.host}")
    if not is_note(found):
        raise CheckFailed(
            f"controller {step.host}",
            "the snapshot from before its maintenance is gone",
            "Check whether records in the policy was changed. Compare the instances by hand.",
        )
    return dict(found)


def is_note(found: Any) -> bool:
    """Whether it is what `begin` or `CheckInstancesOperator` noted."""
    if not isinstance(found, Mapping) or not isinstance(found.get("at"), str):
        return False
    services = found.get("nova_services", [])
    return (
        is_picture_list(found.get("instances"))
        and isinstance(services, list)
        and all(isinstance(each, list) and len(each) == 2 for each in services)
        and all(isinstance(part, str) for each in services for part in each)
    )
