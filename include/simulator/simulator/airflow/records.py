"""What Airflow's database holds: runs, task instances, XComs, stored states, and their history."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

State = str | None

FINISHED = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})
SCHEDULABLE = frozenset({None, "up_for_retry"})
FAILED = frozenset({"failed", "upstream_failed"})
SUCCEEDED = frozenset({"success", "skipped"})
WORKING = frozenset({"running", "queued"})
ACTIVE = WORKING | {"deferred", "awaiting_input"}
FINISHED_RUN = frozenset({"success", "failed"})


@dataclass(frozen=True)
class Change:
    """A state that a task instance has come to. ``str`` of it is a line of a timeline."""

    at: datetime
    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    try_number: int
    state: State

    @property
    def name(self) -> str:
        """As the UI names it: the task, and which element."""
        return self.task_id if self.map_index < 0 else f"{self.task_id}[{self.map_index}]"

    def __str__(self) -> str:
        return f"{self.at:%H:%M:%S} {self.dag_id} {self.run_id} {self.name} {self.state}"


@dataclass(eq=False)
class TaskInstance:
    """A task of a run, or one element of a mapped task."""

    run: Run
    task_id: str
    map_index: int
    id: UUID
    state: State = None
    try_number: int = 0
    max_tries: int = 0
    start_date: datetime | None = None
    end_date: datetime | None = None
    retry_delay: timedelta | None = None
    reschedule_at: datetime | None = None
    next_method: str | None = None
    next_kwargs: Any = None
    trigger_id: int | None = None
    timeout_at: datetime | None = None
    queued_by: Any = None  # the scheduler
    process: Any = None  # its worker's
    rendered_map_index: str | None = None
    operator: str = ""
    logs: dict[int, list[tuple[datetime, str, str]]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """As the UI names it: the task, and which element."""
        return self.task_id if self.map_index < 0 else f"{self.task_id}[{self.map_index}]"

    @property
    def duration(self) -> float | None:
        """Seconds between its start and its end."""
        if self.start_date is None or self.end_date is None:
            return None
        return (self.end_date - self.start_date).total_seconds()

    @property
    def is_finished(self) -> bool:
        return self.state in FINISHED

    def forget_wait(self) -> None:
        """What it would go on with after a trigger is forgotten."""
        self.next_method = self.next_kwargs = self.trigger_id = self.timeout_at = None


@dataclass(frozen=True, eq=False)
class Backfill:
    """What the runs of past nights belong to that a person asked for at once."""

    max_active_runs: int


@dataclass(eq=False)
class Run:
    """A DAG run."""

    dag_id: str
    run_id: str
    run_type: str
    run_after: datetime
    state: str = "queued"
    logical_date: datetime | None = None
    data_interval: tuple[datetime | None, datetime | None] = (None, None)
    conf: dict[str, Any] = field(default_factory=dict)
    queued_at: datetime | None = None
    start_date: datetime | None = None
    end_date: datetime | None = None
    clear_number: int = 0
    triggering_user_name: str | None = None
    backfill: Backfill | None = None
    tasks: dict[str, dict[int, TaskInstance]] = field(default_factory=dict)
    dirty: set[str] = field(default_factory=set)  # tasks whose turn may have come
    unfinished: int = 0

    @property
    def key(self) -> tuple[str, str]:
        return self.dag_id, self.run_id

    @property
    def is_finished(self) -> bool:
        return self.state in FINISHED_RUN

    def instances(self, task_id: str | None = None) -> Iterator[TaskInstance]:
        """Its task instances, in the DAG's order, or those of one task, by map_index."""
        for each in list(self.tasks) if task_id is None else [task_id]:
            by_index = self.tasks.get(each, {})
            yield from [by_index[index] for index in sorted(by_index)]


@dataclass
class Store:
    """The tables."""

    runs: dict[tuple[str, str], Run] = field(default_factory=dict)
    # (dag_id, run_id, task_id, key) -> map_index -> JSON text
    xcoms: dict[tuple[str, str, str, str], dict[int, str]] = field(default_factory=dict)
    # what a mapped task is expanded over: (dag_id, run_id, task_id)
    lengths: dict[tuple[str, str, str], int] = field(default_factory=dict)
    # (dag_id, run_id, task_id, map_index) -> key -> JSON text, and when it expires
    task_states: dict[tuple[str, str, str, int], dict[str, tuple[str, datetime | None]]] = field(
        default_factory=dict
    )
    questions: dict[UUID, dict[str, Any]] = field(default_factory=dict)  # of people, by attempt
    paused: set[str] = field(default_factory=set)
    # What would otherwise be looked for among all task instances; in the order of their coming.
    scheduled: dict[TaskInstance, None] = field(default_factory=dict)
    active: dict[TaskInstance, None] = field(default_factory=dict)
    history: list[Change] = field(default_factory=list)
    _open: list[Run] = field(default_factory=list)  # runs that may go on

    @property
    def are_runs_finished(self) -> bool:
        """Whether each run has ended. Asked after each step of a world: who goes on is asked
        first, and soon found.
        """
        while self._open and self._open[-1].is_finished:
            self._open.pop()
        if not self._open:
            self._open = [run for run in self.runs.values() if not run.is_finished]
        return not self._open

    def runs_of(self, dag_id: str) -> list[Run]:
        """The runs of a DAG, in the order of their making."""
        return [run for run in self.runs.values() if run.dag_id == dag_id]

    def note_state(self, ti: TaskInstance) -> None:
        """Keep the lists of what waits and of what is under way."""
        for table, states in ((self.scheduled, {"scheduled"}), (self.active, ACTIVE)):
            if ti.state in states:
                table[ti] = None
            else:
                table.pop(ti, None)

    def forget_run(self, run: Run) -> None:
        """Delete a run and all that belongs to it."""
        del self.runs[run.key]
        self._open.clear()
        for ti in run.instances():
            self.scheduled.pop(ti, None)
            self.active.pop(ti, None)
        tables: tuple[dict[Any, Any], ...] = (self.xcoms, self.lengths, self.task_states)
        for table in tables:
            for key in [key for key in table if key[:2] == run.key]:
                del table[key]
