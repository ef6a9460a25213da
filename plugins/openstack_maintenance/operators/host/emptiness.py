"""The proof that a host is empty, by witnesses that do not depend on each other."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from openstack_maintenance.domain.cloud import incoming, instance_facts
from openstack_maintenance.domain.drain.movability import still_in_the_way
from openstack_maintenance.domain.errors import CheckFailed
from openstack_maintenance.domain.host.holders import holders_in_words
from openstack_maintenance.domain.host.rules import in_the_way_in_words
from openstack_maintenance.operators.clock import utc_now
from openstack_maintenance.operators.host.arrivals import remedy_of_arrival

if TYPE_CHECKING:
    from collections.abc import Collection

    from openstack_maintenance.adapters.nova import Nova
    from openstack_maintenance.domain.cloud import ComputeService, Instance, Migration
    from openstack_maintenance.domain.host.holders import Holder
    from openstack_maintenance.operators.host.base import HostOperator

# Nova gives a moved instance's room back a moment after it shows the instance as moved.
PAUSES = (1.0, 2.0, 4.0, 8.0, 15.0)
_RECENT = timedelta(days=1)
NO_GUEST = "no guest process"


def prove_empty(step: HostOperator) -> dict[str, Any]:
    """The evidence that nothing is in the way on the step's host, now, and that it is still ours.

    Nova's lists leave out, without a word, a cell that does not answer. So Placement is asked, too,
    and the host's service last: it says whether the cell answered. The guests' processes on the
    host are looked at by whoever stops something there.

    Raises: CheckFailed when anything is there, or is coming; OwnershipLost; CloudError.
    """
    host, nova = step.request.host, step.nova
    arriving = read_incoming(nova, host)
    instances = nova.instances_on(host)
    provider = step.hypervisor_id
    blocking = still_in_the_way(instances, step.request.on_blocked)
    in_the_way = bool(blocking or arriving)
    holders = [] if in_the_way else other_holders(nova, host, provider, instances)
    service = step.check_ownership()
    if in_the_way:
        raise CheckFailed(
            f"host {host}",
            f"it is not empty: {in_the_way_in_words(blocking, arriving)}",
            remedy_of_arrival(step.task_id, host, step.deployment.nova_compute),
        )
    _check_held(step, provider, holders)
    return {
        "checked_at": utc_now().isoformat(),
        "instances": 0,
        "left": [instance_facts(each) for each in instances],
        "witnesses": _witnesses(instances, holders, provider, service),
    }


def _witnesses(
    instances: Collection[Instance],
    holders: Collection[Holder],
    provider: str,
    service: ComputeService,
) -> dict[str, str]:
    """What each of them showed, for the record."""
    left = len(instances)
    return {
        "nova": _in_words("instance", left) + ", and none is on its way",
        "placement": f"{_in_words('allocation', left)}{_left_over(holders)} "
        f"(resource provider {provider})",
        "service": f"answers, and is disabled by this run: {service.disabled_reason}",
    }


def read_incoming(nova: Nova, host: str) -> list[Migration]:
    """What is on its way to a host, now. Raises: CloudError."""
    return nova.without_left_behind(incoming(nova.migrations(utc_now() - _RECENT), host))


def other_holders(
    nova: Nova,
    host: str,
    provider: str,
    on_it: Collection[Instance],
    pauses: Collection[float] = PAUSES,
) -> list[Holder]:
    """Who else than the instances ``on_it`` holds room on a host in Placement. Raises: CloudError.

    What goes within a moment (``pauses``, in seconds) is waited for; what is left over is not.
    """
    known = {each.id for each in on_it}
    found: list[Holder] = []
    for pause in (*pauses, 0.0):
        others = nova.consumers(provider) - known
        found = nova.holders(others, host, utc_now() - _RECENT)
        if all(each.is_left_over(host) for each in found):
            break
        time.sleep(pause)
    return found


def _check_held(step: HostOperator, provider: str, holders: list[Holder]) -> None:
    """Raises: CheckFailed, where anything holds room there that is not only left over."""
    host = step.request.host
    if held := [each for each in holders if not each.is_left_over(host)]:
        found, remedy = holders_in_words(held, host, provider)
        raise CheckFailed(
            f"host {host}",
            f"it is not empty, although Nova lists nothing in the way there: {found}",
            f"The host was not rebooted. {remedy}",
        )
    for each in holders:
        step.log.warning("host %s: %s", host, each.blocker(host, provider))


def _left_over(holders: Collection[Holder]) -> str:
    """What Placement still holds for migrations that have ended elsewhere."""
    if not holders:
        return ""
    ids = ", ".join(each.id for each in holders)
    return f" but those of migrations that have ended, which Nova forgot ({ids})"


def _in_words(what: str, left: int) -> str:
    return f"no {what}" if not left else f"no {what} but those of the {left} that may stay"
