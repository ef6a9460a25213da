"""Wait for the maintenance window before anything is changed."""

from __future__ import annotations

from openstack_maintenance.operators.host.base import HostOperator


class WaitForWindowOperator(HostOperator):
    """Wait until the window is open, in no worker slot; done at once where it is, or is ignored.

    A step of its own: a run that waits here holds nothing that another run needs.
    """

    waits_for_window = True

    def perform(self) -> None:
        """The window is open."""
        why = "is ignored" if self.request.ignore_window else "is open"
        self.log.info("the window %s %s", self.policy.window, why)
