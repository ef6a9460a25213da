"""The scenarios on the model of Airflow."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from airflow_scenarios.recorded import Seen, sequence
from airflow_scenarios.scripts import SCENARIOS, RunKey, Which
from simulator.airflow import Airflow, Settings
from simulator.airflow.records import Run
from simulator.clock import VirtualTime

FOLDER = Path(__file__).parent


class ModelDriver:
    """Plays a script on the model."""

    def __init__(self, airflow: Airflow, notes: Path) -> None:
        self.airflow, self.notes = airflow, notes

    def trigger(self, dag_id: str) -> RunKey:
        return self.airflow.trigger(dag_id, {"notes": str(self.notes)}).key

    def run(self, key: RunKey) -> Run:
        return self.airflow.core.store.runs[key]

    def wait_for(self, run: RunKey, task: Which, state: str) -> None:
        assert self.airflow.run_until_state(self.run(run), task, state)

    def wait_for_end(self, run: RunKey) -> None:
        assert self.airflow.run_until(lambda: self.run(run).is_finished, at_most=3600)

    def wait_for_note(self, text: str) -> None:
        def is_there() -> bool:
            return self.notes.exists() and text in self.notes.read_text().splitlines()

        assert self.airflow.run_until(is_there, at_most=3600)

    def rest(self, seconds: float) -> None:
        self.airflow.clock.run(at_most=seconds)

    def clear(self, run: RunKey, tasks: list[Which] | None, downstream: bool = True) -> None:
        self.airflow.clear(self.run(run), tasks, downstream=downstream)

    def mark(self, run: RunKey, task: str | None, state: str) -> None:
        self.airflow.mark(self.run(run), task, state)

    def kill_task(self, run: RunKey, task: str) -> None:
        self.airflow.kill_task(self.run(run).tasks[task][-1])

    def kill_worker(self, run: RunKey, task: str) -> None:
        self.airflow.kill_worker(self.run(run).tasks[task][-1])

    def kill_triggerer(self) -> None:
        self.airflow.kill_triggerer()

    def start_triggerer(self) -> None:
        self.airflow.start_triggerer()

    def kill_scheduler(self) -> None:
        self.airflow.kill_scheduler()

    def start_scheduler(self) -> None:
        self.airflow.start_scheduler()

    def answer(self, run: RunKey, task: str, option: str) -> None:
        self.airflow.answer(self.run(run), task, option)


def play(name: str, notes: Path) -> tuple[dict[str, Any], Airflow]:
    """One scenario in a world of its own: what it comes to, and its Airflow."""
    if (plugins := str(FOLDER / "plugins")) not in sys.path:
        sys.path.append(plugins)
    clock = VirtualTime()
    airflow = Airflow(clock, FOLDER / "dags", Settings(parallelism=8))
    with clock.installed(), airflow.installed():
        driver = ModelDriver(airflow, notes)
        run = driver.trigger(name)
        SCENARIOS[name](driver, run)
        driver.wait_for_end(run)
        clock.run(at_most=30)  # what is killed, or told to end, has its time
    seen = [Seen(each.dag_id, each.task_id, each.map_index, each.state) for each in airflow.history]
    ends = {run.dag_id: run.state for run in airflow.runs}
    lines = notes.read_text().splitlines() if notes.exists() else []
    return sequence(seen, ends, lines), airflow
