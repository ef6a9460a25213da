"""The ownership mark in Nova's disabled_reason: which run took a host out, and why."""

from __future__ import annotations

import re
from dataclasses import dataclass

# Nova keeps at most 255 characters.
_LONGEST = 255
_SHAPE = re.compile(r"\[airflow (?P<dag_id>[^\s\]]+) (?P<run_id>[^\]]+)\] ?(?P<text>.*)", re.S)
LONGEST_RUN_ID = 180
FAILED_AT = "failed at"
# What a night says of a host that waits for its turn: it is in service, but nothing new comes.
CLOSED = "closed for new instances until its turn"


@dataclass(frozen=True)
class Mark:
    """Says that one DAG run of this project disabled a nova-compute service."""

    dag_id: str
    run_id: str
    text: str = ""

    def __str__(self) -> str:
        return f"[airflow {self.dag_id} {self.run_id}] {self.text}"[:_LONGEST]

    @property
    def has_failed(self) -> bool:
        """Whether its run has ended badly: the host stays out until a person has mended it."""
        return self.text.startswith(f"{FAILED_AT} ")

    @property
    def is_closed(self) -> bool:
        """Whether the host is not out, but only closed for new instances by a night."""
        return self.text.startswith(CLOSED)

    def same_run(self, other: Mark | None) -> bool:
        """Whether both marks are of one run, whatever their texts say."""
        return other is not None and (self.dag_id, self.run_id) == (other.dag_id, other.run_id)


def find_mark(disabled_reason: str | None) -> Mark | None:
    """The mark in a disabled_reason; None when a person (or nobody) wrote it."""
    found = _SHAPE.fullmatch(disabled_reason or "")
    return Mark(found["dag_id"], found["run_id"], found["text"]) if found else None
