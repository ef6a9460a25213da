"""Everything that a plan and a rehearsal of a night need of the cloud, at one moment."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from openstack_maintenance.domain.drain.movability import OnBlocked
from openstack_maintenance.domain.nights.due import Verdict
from openstack_maintenance.domain.nights.fleet import Fleet
from openstack_maintenance.domain.nights.fleet_facts import (
    FleetInCloud,
    compose_fleet,
    drain_blockers,
)


@dataclass(frozen=True)
class Blocking:
    """An instance that is in the way of its host's maintenance, why, and what to do."""

    host: str
    instance: str
    reason: str
    remedy: str


@dataclass(frozen=True)
class Tonight:
    """``working``: hosts that runs have taken out and are at work on; ``failed``: those that stay
    out until a person has fixed them. ``on_blocked``: the policy's, by which ``blocking`` are.
    """

    fleet: Fleet
    verdicts: tuple[Verdict, ...] = ()
    blocking: tuple[Blocking, ...] = ()
    working: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    on_blocked: OnBlocked = "fail"


def compose_tonight(
    facts: FleetInCloud,
    verdicts: Iterable[Verdict],
    left_for: Mapping[str, timedelta] | None = None,
    on_blocked: OnBlocked = "fail",
    affinity_filter: bool = True,
) -> Tonight:
    """What was read, as a plan takes it; the arguments are those of `compose_fleet`."""
    judged = tuple(verdicts)
    marks = {each.host: each.out_by for each in facts.services if each.out_by is not None}
    due = {each.host for each in judged if each.kind == "due"}
    return Tonight(
        compose_fleet(facts, judged, left_for, on_blocked, affinity_filter),
        judged,
        _blocking(facts, due, on_blocked, affinity_filter),
        working=tuple(host for host, mark in marks.items() if not mark.has_failed),
        failed=tuple(host for host, mark in marks.items() if mark.has_failed),
        on_blocked=on_blocked,
    )


def _blocking(
    facts: FleetInCloud, due: Collection[str], on_blocked: OnBlocked, affinity_filter: bool
) -> tuple[Blocking, ...]:
    together = facts.together if affinity_filter else ()
    on_host = defaultdict(list)
    for each in facts.instances:
        if each.host in due:
            on_host[str(each.host)].append(each)
    return tuple(
        Blocking(host, each.subject.removeprefix("instance "), each.reason, each.remedy)
        for host in sorted(on_host)
        for each in drain_blockers(on_host[host], on_blocked, together, facts.newest)
    )
