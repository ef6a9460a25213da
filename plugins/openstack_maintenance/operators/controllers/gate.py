"""Whether a controller may be touched: read again before the run, and before each change."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from openstack_maintenance.domain.blocker import Blocker
from openstack_maintenance.domain.controllers.plan import is_called, is_used, used_services
from openstack_maintenance.domain.controllers.request import named_services
from openstack_maintenance.domain.controllers.rules import (
    health_blockers,
    one_machine_blockers,
    others_blockers,
    redundancy_blocker,
)
from openstack_maintenance.domain.errors import CloudError
from openstack_maintenance.operators.clock import utc_now
from openstack_maintenance.operators.controllers.base import CHECK

if TYPE_CHECKING:
    from openstack_maintenance.domain.checks.checked import Checked
    from openstack_maintenance.domain.checks.controller_facts import SeenController
    from openstack_maintenance.domain.cloud import ComputeService
    from openstack_maintenance.domain.deployment import Service
    from openstack_maintenance.operators.controllers.base import ControllersOperator

# Older rows that still say that they move have been forgotten by Nova.
_A_DAY = timedelta(days=1)


def services_of(step: ControllersOperator, controller: SeenController) -> list[Service]:
    """What the run restarts on a controller; with action=reboot nothing by itself."""
    if step.request.action == "reboot":
        return []
    wanted = named_services(step.request.services, step.deployment)
    return used_services(wanted, step.deployment, controller)


def touched_services(step: ControllersOperator, controller: SeenController) -> list[Service]:
    """What is down for a while on a controller."""
    if step.request.action == "restart":
        return services_of(step, controller)
    used = {each.name for each in controller.services if is_used(each)}
    return [service for service in step.deployment if service.name in used]


def blockers_of(
    step: ControllersOperator, host: str, checked: Checked, asked: Collection[str]
) -> list[Blocker]:
    """Everything that forbids to touch ``host`` now; ``asked``: services that may be down there."""
    if host not in checked.seen:
        return [unreadable(host, checked)]
    blockers = one_machine_blockers(checked.seen)
    try:
        blockers += under_way_blockers(step)
        blockers += compute_blockers(step, host, checked.seen[host])
    except CloudError as error:  # what Nova does not say is not taken for nothing
        if step.task_id != CHECK:  # the pre-check names everything at once
            step.ask_again_later(error)
        blockers.append(Blocker(error.subject, error.found, error.remedy))
    blockers += health_blockers(host, asked, checked)
    touched = touched_services(step, checked.seen[host])
    return blockers + _outage_blockers(step, host, touched, checked)


def blockers_midway(
    step: ControllersOperator, host: str, checked: Checked, left: Sequence[Service]
) -> list[Blocker]:
    """What forbids to go on with a controller of which a part was restarted already.

    Neither it nor the cloud need be well at this moment, and no API is asked: the others are what
    everything hangs on.
    """
    if host not in checked.seen:
        return [unreadable(host, checked)]
    return others_blockers(host, checked) + _outage_blockers(step, host, left, checked)


def _outage_blockers(
    step: ControllersOperator, host: str, touched: Sequence[Service], checked: Checked
) -> list[Blocker]:
    if step.request.allow_outage:
        return []
    is_reboot = step.request.action == "reboot"
    lost = redundancy_blocker(host, touched, checked.seen, is_reboot)
    return [lost] if lost else []


def unreadable(host: str, checked: Checked) -> Blocker:
    """A controller that cannot be read is not touched."""
    return Blocker(
        f"controller {host}",
        checked.services[host][0].text,
        "Fix its address in the policy's controllers, the login, sudo or the controller itself. "
        "docs/controller_checks.md says what the login needs.",
    )


def under_way_blockers(step: ControllersOperator) -> list[Blocker]:
    """Instances that are on their way somewhere: without a conductor they could be stranded."""
    marks = [service.mark for service in step.nova.services("nova-compute")]
    runs = step.running_among(marks)
    rows = [each for each in step.nova.migrations(utc_now() - _A_DAY) if each.is_moving]
    moving = step.nova.without_left_behind(rows)
    found = [
        Blocker(
            f"run {run}",
            "is maintaining a compute host at this moment",
            "Wait until it has ended, then run again.",
        )
        for run in sorted(runs)
    ]
    if moving:
        ways = ", ".join(f"{each.instance_id} off {each.source}" for each in moving[:5])
        more = f" and {len(moving) - 5} more" if len(moving) > 5 else ""
        found.append(
            Blocker(
                "migrations",
                f"{len(moving)} are running: {ways}{more}",
                "Wait until they have ended (see `openstack server migration list`), then run "
                "again.",
            )
        )
    return found


def compute_blockers(
    step: ControllersOperator, host: str, controller: SeenController
) -> list[Blocker]:
    """A controller that is a compute host as well must not hold an instance, nor get one."""
    found = []
    for service in step.nova.services("nova-compute"):
        if is_called(service.host, (host, controller.hostname)):
            found += _compute_blocker(step, host, service)
    return found


def _compute_blocker(
    step: ControllersOperator, host: str, service: ComputeService
) -> list[Blocker]:
    instances = step.nova.instances_on(service.host)
    if instances:
        names = ", ".join(each.label for each in instances[:5])
        more = f" and {len(instances) - 5} more" if len(instances) > 5 else ""
        found = f"is also the compute host {service.host} and holds {names}{more}"
    elif step.request.action == "reboot" and service.is_enabled:
        found = f"is also the compute host {service.host}: instances could arrive at any time"
    else:
        return []
    remedy = f"Drain it first: compute_host_maintenance with host={service.host}"
    if step.request.action == "reboot":
        remedy += ", which reboots it, too"
    return [Blocker(f"controller {host}", found, f"{remedy}.")]
