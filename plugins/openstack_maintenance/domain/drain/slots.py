"""May one more migration start? Decided by what Nova itself lists as in flight."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from openstack_maintenance.domain.cloud import Migration


@dataclass(frozen=True)
class Limits:
    """Migrations in flight: per source host, in the whole cloud, and Nova's own per host.

    ``nova_limit`` is max_concurrent_live_migrations of nova.conf, where the policy knows it.
    """

    per_host: int
    total: int
    nova_limit: int | None = None


def busy_because(
    in_flight: Iterable[Migration], source: str, is_live: bool, limits: Limits
) -> str | None:
    """Why a migration off ``source`` must wait; None when it may start now.

    Where Nova's own limit equals ours, each slot's next live migration may wait in Nova's queue:
    it does not move until one ends, and Nova then starts it with no delay at all. Migrations
    that started together end together, so one for all slots would leave most of them empty.
    """
    flying = list(in_flight)
    here = [each for each in flying if each.source == source]
    if len(here) >= limits.per_host:
        only_live = is_live and all(each.is_live for each in here)
        may_queue = only_live and limits.nova_limit == limits.per_host
        if may_queue and len(here) < 2 * limits.per_host:
            return None
        return f"{len(here)} of {limits.per_host} migrations off {source} in flight"
    sources = {each.source for each in flying}
    moving = sum(_moving(flying, each, limits.nova_limit) for each in sources)
    if moving >= limits.total:
        return f"{moving} of {limits.total} migrations of the cloud in flight"
    return None


def _moving(in_flight: list[Migration], source: str, nova_limit: int | None) -> int:
    """How many move off a source: also those that Nova may take off its queue at any moment."""
    here = [each for each in in_flight if each.source == source]
    taken = sum(each.status != "queued" for each in here)
    return taken if nova_limit is None else max(taken, min(len(here), nova_limit))
