"""What a night tells the run of one of its hosts, beside its params: a note by the run's record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from types import NoneType
from typing import TYPE_CHECKING, Any

from openstack_maintenance.domain.errors import RecordUnreadable
from openstack_maintenance.domain.moment import read_moment
from openstack_maintenance.records.store import find_note, note_path, write_note

if TYPE_CHECKING:
    from openstack_maintenance.domain.policy import Policy

_NOTE = "turn"


@dataclass(frozen=True)
class Turn:
    """``boot_id``: the boot in which the night found the host due; it is maintained in no other.

    ``destinations``: suggested hosts, by instance id. ``given_at``: since when it has its turn;
    None while it has none, or has given it back.
    """

    boot_id: str | None = None
    destinations: Mapping[str, str] = field(default_factory=dict)
    given_at: datetime | None = None

    def __str__(self) -> str:
        to = Counter(self.destinations.values())
        moves = ", ".join(f"{count} to {host}" for host, count in sorted(to.items()))
        return f"instances go {moves}" if moves else "it is empty"


def write_turn(policy: Policy, dag_id: str, run_id: str, turn: Turn) -> None:
    """Tell a run, before it is triggered. Raises: PolicyError."""
    given_at = turn.given_at.isoformat() if turn.given_at else None
    write_note(policy, dag_id, run_id, _NOTE, {**asdict(turn), "given_at": given_at})


def find_turn(policy: Policy, dag_id: str, run_id: str) -> Turn:
    """What a night told a run; nothing where a person started it.

    Raises: RecordUnreadable, naming the note and what to do; PolicyError.
    """
    named = (policy, dag_id, run_id, _NOTE)
    found = find_note(*named)
    if found is None:
        return Turn()
    turn = _read_turn(found)
    if turn is None:  # without it the host could be rebooted twice
        raise RecordUnreadable(
            f"note {note_path(*named)}",
            "it is not what a night writes for the run of a host",
            "Remove it, then clear maintain_host of this host in the night's run: it writes the "
            "note again.",
        )
    return turn


def _read_turn(found: Any) -> Turn | None:
    """What a newer release says beside these is not for this one; an older says less."""
    if not isinstance(found, Mapping):
        return None
    boot_id, destinations = found.get("boot_id"), found.get("destinations", {})
    is_whole = (
        isinstance(boot_id, (str, NoneType))
        and isinstance(destinations, Mapping)
        and all(isinstance(each, str) for each in destinations.values())
    )
    given_at = read_moment(found.get("given_at"))
    return Turn(boot_id, dict(destinations), given_at) if is_whole else None
