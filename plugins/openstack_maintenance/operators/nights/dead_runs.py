"""Hosts that are out by a run that has ended without saying so: nobody will ever give them back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from openstack_maintenance.domain.mark import FAILED_AT, Mark
from openstack_maintenance.operators.nights.base import NightlyOperator
from openstack_maintenance.operators.runs import running_among

if TYPE_CHECKING:
    from openstack_maintenance.domain.cloud import ComputeService

_WHY = f"{FAILED_AT} an unknown step: its run has ended without a report"

# Nova cuts a mark at its end.
_SURE = len(f"{FAILED_AT} an unknown step")


@dataclass(frozen=True)
class Judged:
    """All services as they are to be taken. ``dead``: by host, the mark of a run that has ended."""

    services: tuple[ComputeService, ...]
    dead: Mapping[str, Mark]


def judge_marks(step: NightlyOperator, services: Iterable[ComputeService]) -> Judged:
    """Take a host for failed whose run was marked as failed, deleted, or has ended otherwise.

    Such a run could not write that into Nova. Changes nothing. Raises: CloudError.
    """
    services = tuple(services)
    out = {each.host: each.out_by for each in services}
    working = {host: mark for host, mark in out.items() if mark and not mark.has_failed}
    at_work = running_among(step._context, working.values(), step.own_mark)
    ended = {
        host: mark
        for host, mark in working.items()
        if mark.run_id not in at_work and not mark.same_run(step.own_mark)
    }
    if not ended:
        return Judged(services, {})
    # Read again: a run that ended well just now has given its host back before that.
    now = {each.host: each for each in step.nova.services("nova-compute")}
    dead = {host: mark for host, mark in ended.items() if host in now and now[host].out_by == mark}
    return Judged(tuple(_as_failed(now.get(each.host, each), dead) for each in services), dead)


def set_marks_right(step: NightlyOperator, judged: Judged) -> None:
    """Write "failed" into Nova where the run could not, for everybody. Raises: CloudError."""
    for each in judged.services:
        if each.host in judged.dead and each.disabled_reason:
            step.nova.disable(each, each.disabled_reason)


def is_dead(mark: Mark) -> bool:
    """Whether a mark was set right by a night: its own run has said nothing of its end."""
    return mark.has_failed and mark.text.startswith(_WHY[:_SURE])


def dead_in_words(host: str, mark: Mark) -> str:
    """What is the matter with such a host, and what to do."""
    return (
        f"host {host} is out by run {mark.run_id} of {mark.dag_id}, which has ended without a "
        "report: it was marked as failed, or deleted. Clear the failed tasks of that run, and it "
        f"goes on. If it is deleted, trigger {mark.dag_id} with host={host}: it takes the host over"
    )


def _as_failed(service: ComputeService, dead: Mapping[str, Mark]) -> ComputeService:
    if service.host not in dead:
        return service
    mark = replace(dead[service.host], text=_WHY, kind="failed")
    return replace(service, disabled_reason=str(mark))
