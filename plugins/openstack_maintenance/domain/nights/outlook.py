"""Whether nights like this one keep up with the fleet."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from openstack_maintenance.domain.nights.plan import NightPlan
from openstack_maintenance.domain.nights.tonight import Tonight


@dataclass(frozen=True)
class Outlook:
    """``due`` and ``planned``: hosts tonight; ``fleet``: hosts that come to be due at all.

    ``nights``: that those who are due need at this pace; None where none is planned.
    ``needed``: hosts a night by which each has its turn within ``days``, the policy's
    days_since_boot.
    """

    due: int
    planned: int
    fleet: int
    days: int

    @property
    def nights(self) -> int | None:
        return math.ceil(self.due / self.planned) if self.planned else None

    @property
    def needed(self) -> float:
        return self.fleet / self.days

    @property
    def keeps_up(self) -> bool:
        """A night on which all who are due have their turn says nothing against it."""
        return self.planned >= self.due or self.planned >= self.needed

    def in_words(self) -> str | None:
        """One sentence for the plan and the report; None where there is nothing to say."""
        if self.planned >= self.due:
            return None
        if self.nights is None:
            return f"None of the {self.due} hosts that are due has its turn tonight."
        said = (
            f"At this pace the {self.due} hosts that are due need {self.nights} nights "
            f"({self.planned} a night)."
        )
        if self.keeps_up:
            return said
        return (
            f"{said} It will not keep up: {self.fleet} hosts, each due every {self.days} days, "
            f"need {self.needed:.1f} a night. A longer window, more max_hosts_out or less "
            "reserve_hosts help."
        )

    def as_json(self) -> dict[str, Any]:
        """For the record."""
        return {
            **asdict(self),
            "nights": self.nights,
            "needed": round(self.needed, 2),
            "keeps_up": self.keeps_up,
            "said": self.in_words(),
        }


def outlook_of(tonight: Tonight, plan: NightPlan, days: int) -> Outlook:
    """``days``: the policy's days_since_boot."""
    hosts = {each.name: each.is_due for each in tonight.fleet.hosts}
    # Who is a person's, or Ironic's, is none of the nights'.
    ours = [each for each in tonight.verdicts if each.kind != "passed_over" or each.is_open]
    fleet = sum(each.host in hosts for each in ours)
    return Outlook(sum(hosts.values()), len(plan.hosts), fleet, days)
