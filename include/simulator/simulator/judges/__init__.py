"""Judges: each looks at the simulated world and at what a run claims, never at what the plugin
thinks of itself. A judge watches a story while it is played and says at its end what was wrong.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from simulator.judges.boots import NoGuestIsTakenDown
from simulator.judges.guests import GuestsRunOn
from simulator.judges.limits import NeverMoreThanThePolicy
from simulator.judges.once import NothingTwice
from simulator.judges.ownership import OnlyOurs
from simulator.judges.records import RecordsAreTrue
from simulator.stage import Stage


class Judge(Protocol):
    """Begins to watch when it is made."""

    def verdicts(self) -> Iterable[str]:
        """What was wrong, a sentence each."""


def all_judges(stage: Stage) -> dict[str, Judge]:
    """Every judge, by its name, watching."""
    return {
        "boots": NoGuestIsTakenDown(stage),
        "guests": GuestsRunOn(stage),
        "once": NothingTwice(stage),
        "limits": NeverMoreThanThePolicy(stage),
        "ownership": OnlyOurs(stage),
        "records": RecordsAreTrue(stage),
    }


__all__ = ["Judge", "all_judges"]
