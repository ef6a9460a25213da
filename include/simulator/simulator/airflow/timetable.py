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
from simulator.airflow.records import FINISHED_RUN, Run

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
    _timers: dict[str, float] = field(default_factory=dict)

    def make_due(self) -> None:
        """Make each run that is due, and wake the schedulers for the next."""
        for dag_id in self.core.dags:
            if dag_id in self.core.store.paused or self.core.dags[dag_id].source.schedule is None:
                continue
            while (info := self._next(dag_id)) is not None and info.run_after <= self.core.now():
                self._last[dag_id] = info.data_interval
                self._make(dag_id, info, "scheduled")
            if info is not None:
                self._wake_at(dag_id, info.run_after.timestamp())

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
        runs = []
        for info in self._between(dag_id, start, end):
            existing = self._run_of(dag_id, info.logical_date)
            if existing is None:
                made = self._make(dag_id, info, "backfill", max_active_runs, conf)
                runs.append(made)
            elif existing.state in _REPROCESSED[reprocess]:
                self.people.clear(existing)
                existing.run_type, existing.conf = "backfill", dict(conf or {})
                existing.backfill = max_active_runs
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
        backfill: int | None = None,
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

    def _wake_at(self, dag_id: str, moment: float) -> None:
        if self._timers.get(dag_id) != moment:
            self._timers[dag_id] = moment
            self.core.clock.at(moment, self.core.wake)
