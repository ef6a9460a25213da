"""What a night tells the run of one of its hosts, beside its params: a note by the run's record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from openstack_maintenance.operators.run_record import find_note, write_note

if TYPE_CHECKING:
    from openstack_maintenance.domain.policy import Policy
    from openstack_maintenance.operators.base import MaintenanceOperator

_NOTE = "turn"


@dataclass(frozen=True)
class Turn:
    """``boot_id``: the boot in which the night found the host due; it is maintained in no other.

    ``destinations``: suggested hosts, by instance id.
    """

    boot_id: str | None = None
    destinations: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        to = Counter(self.destinations.values())
        moves = ", ".join(f"{count} to {host}" for host, count in sorted(to.items()))
        return f"instances go {moves}" if moves else "it is empty"


def write_turn(policy: Policy, dag_id: str, run_id: str, turn: Turn) -> None:
    """Tell a run, before it is triggered. Raises: PolicyError."""
    write_note(policy, dag_id, run_id, _NOTE, asdict(turn))


def turn_of(step: MaintenanceOperator) -> Turn:
    """What a night told the step's run; nothing where a person started it. Raises: PolicyError."""
    found = find_note(step.policy, step.dag_id_of_run, step.run_id, _NOTE)
    return Turn(**found) if found else Turn()
