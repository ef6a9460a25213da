"""Hosts that wait for their turn: closed for new instances meanwhile, and opened again."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from openstack_maintenance.domain.mark import CLOSED, Mark
from openstack_maintenance.operators.base import StepFailed
from openstack_maintenance.operators.nights.base import REPORT, NightlyOperator
from openstack_maintenance.operators.runs import running_among

if TYPE_CHECKING:
    from airflow.sdk import Context

    from openstack_maintenance.adapters.nova import Nova
    from openstack_maintenance.domain.cloud import ComputeService


class OpenHostsOperator(NightlyOperator):
    """Open whatever this night, or one that has ended, has closed for new instances.

    A teardown: it runs however the night ends, also when a person ends it. Returns: the hosts.
    Raises: StepFailed, when a person did: without a report, the night would look green.
    """

    asks_again = False  # its retries do, for longer

    def __init__(self, **kwargs: Any) -> None:
        # What is closed costs capacity: a cloud that does not answer is asked again for an hour.
        super().__init__(retries=60, retry_delay=timedelta(minutes=1), **kwargs)

    def perform(self) -> list[str]:
        """Look for closed hosts, and open them."""
        opened = open_closed(self._context, self.nova, Mark(self.dag_id_of_run, self.run_id))
        for host in opened:
            self.log.info("host %s: open for new instances again", host)
        ti: Any = self._context["ti"]
        ended = ti.get_task_breadcrumbs(self.dag_id_of_run, self.run_id)
        if any(row["task_id"] == REPORT and row["state"] == "skipped" for row in ended):
            raise StepFailed(
                "nightly maintenance: a person has ended it. No further host is started; those "
                "that are under way have runs of their own. Trigger a new night for the others."
            )
        return opened


def open_closed(context: Context, nova: Nova, own: Mark) -> list[str]:
    """Open every host that this night has closed, or one whose run has ended; returns them."""
    closed = [each for each in nova.services("nova-compute") if each.is_closed]
    at_work = running_among(context, [each.mark for each in closed], own)
    mine = [each for each in closed if each.mark and each.mark.run_id not in at_work]
    for each in mine:
        nova.enable(each)
    return [each.host for each in mine]


def as_if_open(services: Iterable[ComputeService]) -> tuple[ComputeService, ...]:
    """The services, those that a night has closed as if it had not."""
    return tuple(
        replace(each, is_enabled=True, disabled_reason=None) if each.is_closed else each
        for each in services
    )


def close_only(nova: Nova, close: Collection[str], turn: str, dag_id: str, run_id: str) -> None:
    """Close these hosts for new instances and open the others that a night has closed.

    The host whose ``turn`` it is stays as it is: its own run takes it out. What a person, or
    another run, has disabled is not touched. Raises: CloudError.
    """
    mark = Mark(dag_id, run_id, CLOSED, kind="closed")
    for each in nova.services("nova-compute"):
        if each.host == turn:
            continue
        if each.is_closed and each.host not in close:
            nova.enable(each)
        elif each.is_enabled and each.host in close and mark.is_readable:
            # Closed under a mark that cannot be read back, nobody would ever open it again.
            nova.disable(each, str(mark))
