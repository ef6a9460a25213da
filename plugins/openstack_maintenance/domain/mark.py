"""The ownership mark in Nova's disabled_reason: which run took a host out, and why."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

from openstack_maintenance.domain.foreign_text import storable

HOST_DAG, NIGHT_DAG = "compute_host_maintenance", "nightly_compute_maintenance"
# out: a run has the host. failed: the run has ended badly. closed: the host is in service, but a
# night has closed it for new instances until its turn.
Kind = Literal["out", "failed", "closed"]

# Nova keeps at most 255 characters.
LONGEST_REASON = 255
# The kind stands outside of the text, which is anyone's: [airflow DAG RUN][failed] text.
_SHAPE = re.compile(
    r"\[airflow (?P<dag_id>[^\s\]]+) (?P<run_id>[^\]]+)\](?:\[(?P<kind>[^\]]*)\])? ?(?P<text>.*)",
    re.S,
)
LONGEST_RUN_ID = 180
FAILED_AT = "failed at"
_STEP = re.compile(rf"{FAILED_AT} (\w+)")
# What a night says of a host that waits for its turn.
CLOSED = "closed for new instances until its turn"


@dataclass(frozen=True)
class Mark:
    """Says that one DAG run of this project disabled a nova-compute service."""

    dag_id: str
    run_id: str
    text: str = ""
    kind: Kind = field(default="out", kw_only=True)

    def __str__(self) -> str:
        whole = f"[airflow {self.dag_id} {self.run_id}][{self.kind}] {self.text}"
        return str(storable(whole[:LONGEST_REASON]))

    @property
    def has_failed(self) -> bool:
        """Whether its run has ended badly: the host stays out until a person has fixed it."""
        return self.kind == "failed"

    @property
    def failed_at(self) -> str | None:
        """The step at which its run has failed, where the mark says so."""
        found = _STEP.match(self.text) if self.has_failed else None
        return found[1] if found else None

    @property
    def is_closed(self) -> bool:
        """Whether the host is not out, but only closed for new instances by a night."""
        return self.kind == "closed"

    @property
    def is_readable(self) -> bool:
        """Whether it can be read back from Nova: not every run id fits into it."""
        found = find_mark(str(self))
        return self.same_run(found) and found is not None and found.kind == self.kind

    def same_run(self, other: Mark | None) -> bool:
        """Whether both marks are of one run, whatever their texts say."""
        return other is not None and (self.dag_id, self.run_id) == (other.dag_id, other.run_id)


def find_mark(disabled_reason: str | None) -> Mark | None:
    """The mark in a disabled_reason; None when a person (or nobody) wrote it."""
    found = _SHAPE.fullmatch(disabled_reason) if isinstance(disabled_reason, str) else None
    if found is None:
        return None
    dag_id, text = found["dag_id"], found["text"]
    kind = _kind_in_text(dag_id, text) if found["kind"] is None else _read_kind(found["kind"])
    return Mark(dag_id, found["run_id"], text, kind=kind)


def _read_kind(text: str) -> Kind:
    # What a newer release may say beside these: the host is out, that much is certain.
    return "failed" if text == "failed" else "closed" if text == "closed" else "out"


def _kind_in_text(dag_id: str, text: str) -> Kind:
    """The kind in a mark of a release that had no other place for it.

    Each kind counts only of the DAG that wrote it: the text may be what a person gave as reason.
    """
    if dag_id == NIGHT_DAG and text.startswith(CLOSED):
        return "closed"
    if dag_id == HOST_DAG and text.startswith(f"{FAILED_AT} "):
        return "failed"
    return "out"
