"""A cloud or a host that does not answer: since when, when to ask again, and when to give up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from openstack_maintenance.domain.errors import CloudError, MaintenanceError
from openstack_maintenance.domain.host.record_in_words import length_in_words

# A deferral that ends sooner can be mistaken for a lost task.
SHORTEST = timedelta(seconds=5)
LONGEST = timedelta(seconds=30)
NO_ANSWER = "There has been no answer since"


@dataclass(frozen=True)
class Silence:
    """Nobody answers. ``since``: when that was first seen."""

    since: datetime

    def is_over(self, patience: timedelta, now: datetime) -> bool:
        """Whether it has lasted as long as it may."""
        return now - self.since >= patience

    def next_look(self, now: datetime) -> datetime:
        """When to ask again: soon at first, then every half a minute."""
        return now + min(max(SHORTEST, (now - self.since) / 2), LONGEST)

    def plan_in_words(self, error: MaintenanceError, patience: timedelta) -> str:
        """For the log: what is silent, and until when it is asked again."""
        until = self.since + patience
        return (
            f"{error.subject}: {error.found.rstrip('.')}. Asking again until "
            f"{until:%Y-%m-%d %H:%M:%S} UTC (api_patience), in no worker slot."
        )

    def in_words(self, found: str, patience: str, now: datetime) -> str:
        """For the error: what was found last, and how long that was waited for."""
        lasted = length_in_words(now - self.since)
        return (
            f"{found.rstrip('.')}. {NO_ANSWER} {self.since:%Y-%m-%d %H:%M:%S} "
            f"UTC, for {lasted}: longer than api_patience ({patience})"
        )


def is_passing(error: MaintenanceError) -> bool:
    """Whether trying again soon may help: the cloud or SSH did not answer as it should."""
    from openstack_maintenance.adapters.cloud_errors import Refused
    from openstack_maintenance.adapters.shell import HostUnreachable

    if isinstance(error, CloudError):
        return not isinstance(error, Refused)
    return isinstance(error, HostUnreachable)


def gives_no_answer(error: MaintenanceError) -> bool:
    """Whether nobody answers. "There is no such thing" is an answer."""
    from openstack_maintenance.adapters.cloud_errors import NotThere

    return is_passing(error) and not isinstance(error, NotThere)
