"""What all steps of a night share: its request, its beginning, its plan."""

from __future__ import annotations

from datetime import datetime
from functools import cached_property

from openstack_maintenance.domain.mark import Mark
from openstack_maintenance.domain.nights.request import (
    NightRequest,
    night_began,
    read_night_request,
)
from openstack_maintenance.operators.base import MaintenanceOperator
from openstack_maintenance.operators.night_link import CHILD

SELECT, PLAN, APPROVE = "select_hosts", "plan", "approve"
MAINTAIN, REPORT = "maintain_host", "report"
# What plan tells the report, beside the hosts.
NIGHT_KEY = "night"
# The plan as a person reads it, for whom it is to be approved by.
WORDS_KEY = "words"
# Why a host, or all of them, were left after all.
LEFT_KEY = "left"


class NightlyOperator(MaintenanceOperator):
    """A step of a run of nightly_compute_maintenance."""

    gives_way = True

    @cached_property
    def request(self) -> NightRequest:  # type: ignore[override]  # a value there, worked out here
        """What the run was asked to do."""
        return read_night_request(self.params_given)

    @property
    def since(self) -> datetime:
        """When the window of this run's night began."""
        dag_run = self._context["dag_run"]
        return night_began(self.policy.window, dag_run.logical_date, dag_run.run_after)

    @property
    def own_mark(self) -> Mark:
        """With which this night closes hosts."""
        return Mark(self.dag_id_of_run, self.run_id)

    def child_run_id(self, host: str) -> str:
        """The run of compute_host_maintenance for a host: one a night, whoever asks."""
        return f"{CHILD}__{host}__{self.run_id}"
