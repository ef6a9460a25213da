"""Runs that nobody triggers: by schedule, and the nights of a backfill."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pendulum
from airflow.timetables.base import DagRunInfo, TimeRestriction

from simulator.airflow.core import Core
from simulator.airflow.errors import BadRequest
from simulator.airflow.people import People
from simulator.airflow.records import FINISHED_RUN, Backfill, Run

# What becomes of a night that has its run already.
_REPROCESSED: dict[str, frozenset[str]] = {
    "none": frozenset(),
    "failed": frozenset({"failed"}),
    "completed": FINISHED_RUN,
}


@dataclass
class Timetables:
    """Makes the runs that are due. A paused DAG has none, and the last missed one afterwards."""

    core: Core
    people: People
    _last: dict[str, Any] = field(default_factory=dict)  # data interval of a DAG's last run
    _upcoming: dict[str, DagRunInfo | None] = field(default_factory=dict)

    def make_due(self) -> None:
        """Make each run that is due, and wake the schedulers for the next."""
        for dag_id in self.core.dags:
            if self.core.dags[dag_id].source.schedule is None:
                continue
            if dag_id in self.core.store.paused:
                self._upcoming.pop(dag_id, None)
                continue
            self._make_due_of(dag_id)

    def _make_due_of(self, dag_id: str) -> None:
        """No more runs than the DAG may have at a time: what comes meanwhile is left out."""
        limit = self.core.dags[dag_id].source.max_active_runs
        while True:
            if dag_id not in self._upcoming:
                self._upcoming[dag_id] = info = self._next(dag_id)
                if info is not None:
                    self.core.clock.at(info.run_after.timestamp(), self.core.wake)
            info = self._upcoming[dag_id]
            if info is None or info.run_after > self.core.now():
                return
            runs = self.core.store.runs_of(dag_id)
            if sum(not run.is_finished and run.backfill is None for run in runs) >= limit:
                return
            del self._upcoming[dag_id]
            self._last[dag_id] = info.data_interval
            if self._run_of(dag_id, info.logical_date) is None:
                self._make(dag_id, info, "scheduled")

    def backfill(
        self,
        dag_id: str,
        start: datetime,
        end: datetime,
        *,
        max_active_runs: int = 10,
        reprocess: str = "none",
        conf: dict[str, Any] | None = None,
    ) -> list[Run]:
        """A run for each night between two moments. ``reprocess``: none, failed or completed,
        what becomes of a night that has its run already. Raises: BadRequest.
        """
        timetable = self.core.dags[dag_id].timetable
        if not timetable.can_be_scheduled:
            raise BadRequest(f"{dag_id} has no schedule")
        runs, backfill = [], Backfill(max_active_runs)
        for info in self._between(dag_id, start, end):
            existing = self._run_of(dag_id, info.logical_date)
            if existing is None:
                made = self._make(dag_id, info, "backfill", backfill, conf)
                runs.append(made)
            elif existing.state in _REPROCESSED[reprocess]:
                self.people.clear(existing)
                existing.run_type, existing.conf = "backfill", dict(conf or {})
                existing.backfill = backfill
                runs.append(existing)
        return runs

    def _between(self, dag_id: str, start: datetime, end: datetime) -> Iterator[DagRunInfo]:
        timetable, last = self.core.dags[dag_id].timetable, None
        limits = TimeRestriction(pendulum.instance(start), pendulum.instance(end), catchup=True)
        while True:
            info = timetable.next_dagrun_info(last_automated_data_interval=last, restriction=limits)
            if info is None:
                return
            yield info
            last = info.data_interval

    def _next(self, dag_id: str) -> DagRunInfo | None:
        dag = self.core.dags[dag_id]
        begins = dag.source.start_date
        restriction = TimeRestriction(
            None if begins is None else pendulum.instance(begins), None, dag.source.catchup
        )
        return dag.timetable.next_dagrun_info(
            last_automated_data_interval=self._last.get(dag_id), restriction=restriction
        )

    def _make(
        self,
        dag_id: str,
        info: DagRunInfo,
        run_type: str,
        backfill: Backfill | None = None,
        conf: dict[str, Any] | None = None,
    ) -> Run:
        date, interval = info.logical_date, info.data_interval
        assert date is not None  # noqa: S101  these timetables give one
        return self.people.trigger(
            dag_id,
            conf,
            run_id=f"{run_type}__{date.isoformat()}",
            run_type=run_type,
            user="admin" if run_type == "backfill" else None,
            logical_date=date,
            data_interval=(interval.start, interval.end) if interval else (None, None),
            run_after=info.run_after,
            backfill=backfill,
        )

    def _run_of(self, dag_id: str, date: datetime | None) -> Run | None:
        runs = self.core.store.runs_of(dag_id)
        return next((run for run in runs if run.logical_date == date), None)
