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
    from openstack_maintenance.domain.cloud import Instance, Migration
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
    if holders:
        raise _held(host, provider, holders)
    return {
        "checked_at": utc_now().isoformat(),
        "instances": 0,
        "left": [instance_facts(each) for each in instances],
        "witnesses": {
            "nova": _in_words("instance", len(instances)) + ", and none is on its way",
            "placement": f"{_in_words('allocation', len(instances))} (resource provider "
            f"{provider})",
            "service": f"answers, and is disabled by this run: {service.disabled_reason}",
        },
    }


def read_incoming(nova: Nova, host: str) -> list[Migration]:
    """What is on its way to a host, now. Raises: CloudError."""
    return incoming(nova.migrations(utc_now() - _RECENT), host)


def other_holders(
    nova: Nova,
    host: str,
    provider: str,
    on_it: Collection[Instance],
    pauses: Collection[float] = PAUSES,
) -> list[Holder]:
    """Who else than the instances ``on_it`` holds room on a host in Placement. Raises: CloudError.

    What goes within a moment (``pauses``, in seconds) is waited for.
    """
    known = {each.id for each in on_it}
    others = nova.consumers(provider) - known
    for pause in pauses:
        if not others:
            break
        time.sleep(pause)
        others = nova.consumers(provider) - known
    return nova.holders(others, host, utc_now() - _RECENT)


def _held(host: str, provider: str, holders: list[Holder]) -> CheckFailed:
    found, remedy = holders_in_words(holders, host, provider)
    return CheckFailed(
        f"host {host}",
        f"it is not empty, although Nova lists nothing in the way there: {found}",
        f"The host was not rebooted. {remedy}",
    )


def _in_words(what: str, left: int) -> str:
    return f"no {what}" if not left else f"no {what} but those of the {left} that may stay"
