"""The scenarios on a real Airflow: its database notes each state that a task instance comes to."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2

from airflow_local import Home, LocalAirflow
from airflow_local.ports import free_port
from airflow_scenarios.recorded import Seen, sequence
from airflow_scenarios.scripts import ALONE, SCENARIOS, RunKey, Which

FOLDER = Path(__file__).parent
PATIENCE = 240
# More, and a small machine takes tasks that defer for lost (see the facts on fast deferrals).
AT_A_TIME = 6

_NOTE_CHANGES = """
CREATE TABLE state_changes (
    id bigserial, dag_id text, run_id text, task_id text, map_index int, state text
);
CREATE FUNCTION note_state() RETURNS trigger AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.state IS NOT DISTINCT FROM OLD.state THEN RETURN NEW; END IF;
    IF TG_OP = 'INSERT' AND NEW.state IS NULL THEN RETURN NEW; END IF;
    INSERT INTO state_changes (dag_id, run_id, task_id, map_index, state)
        VALUES (NEW.dag_id, NEW.run_id, NEW.task_id, NEW.map_index, NEW.state);
    RETURN NEW;
END $$ LANGUAGE plpgsql;
CREATE TRIGGER note_state AFTER INSERT OR UPDATE ON task_instance
    FOR EACH ROW EXECUTE FUNCTION note_state();
"""


def started(folder: Path, say: Callable[[str], None] = print) -> LocalAirflow:
    """A local Airflow with the scenarios' DAGs, ready; whoever asks for it stops it."""
    airflow = LocalAirflow(
        Home(folder), port=free_port(), dags=FOLDER / "dags", plugins=FOLDER / "plugins"
    )
    try:
        airflow.start(say)
        _execute(airflow, _NOTE_CHANGES)
        airflow.api().wait_for_dag("approval")
    except BaseException:
        airflow.stop()
        raise
    return airflow


def play_all(
    airflow: LocalAirflow, folder: Path, names: Iterable[str] = SCENARIOS
) -> dict[str, dict[str, Any]]:
    """Every scenario, some of them at the same time: what each comes to."""
    names = list(names)
    together = [name for name in names if name not in ALONE]
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        played = dict(
            zip(together, pool.map(lambda n: play(airflow, n, folder), together), strict=True)
        )
    return played | {name: play(airflow, name, folder) for name in ALONE if name in names}


def play(airflow: LocalAirflow, name: str, folder: Path) -> dict[str, Any]:
    """One scenario: what it comes to."""
    notes = folder / f"{name}.notes"
    driver = RealDriver(airflow, notes)
    run = driver.trigger(name)
    SCENARIOS[name](driver, run)
    driver.wait_for_end(run)
    time.sleep(15)  # what is killed, or told to end, has its time
    like = (run[1], f"child_of_{run[1]}")
    rows = driver.read(
        "SELECT dag_id, task_id, map_index, state FROM state_changes "
        "WHERE run_id IN %s ORDER BY id",
        like,
    )
    ends = driver.read("SELECT dag_id, state FROM dag_run WHERE run_id IN %s", like)
    lines = notes.read_text().splitlines() if notes.exists() else []
    return sequence([Seen(*row) for row in rows], dict(ends), lines)


class RealDriver:
    """Plays a script on a real Airflow, as a person with its API and the machine's root does."""

    def __init__(self, airflow: LocalAirflow, notes: Path) -> None:
        self.airflow, self.notes = airflow, notes
        self.api = airflow.api()

    def read(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        return self.airflow.home.database.read(query, *values)

    def trigger(self, dag_id: str) -> RunKey:
        run_id = f"played_{dag_id}_{time.time_ns()}"
        return dag_id, self.api.trigger(dag_id, {"notes": str(self.notes)}, run_id)

    def wait_for(self, run: RunKey, task: Which, state: str) -> None:
        task_id, index = task if isinstance(task, tuple) else (task, -1)
        query = (
            "SELECT state FROM task_instance "
            "WHERE dag_id = %s AND run_id = %s AND task_id = %s AND map_index = %s"
        )
        self._until(lambda: self.read(query, *run, task_id, index) == [(state,)], run, task, state)

    def wait_for_end(self, run: RunKey) -> None:
        query = "SELECT state FROM dag_run WHERE dag_id = %s AND run_id = %s"
        ended = [("success",)], [("failed",)]
        self._until(lambda: self.read(query, *run) in ended, run, "its end")

    def wait_for_note(self, text: str) -> None:
        def is_there() -> bool:
            return self.notes.exists() and text in self.notes.read_text().splitlines()

        self._until(is_there, text)

    def rest(self, seconds: float) -> None:
        time.sleep(seconds)

    def clear(self, run: RunKey, tasks: list[Which] | None, downstream: bool = True) -> None:
        self.api.clear(*run, tasks, downstream=downstream)

    def mark(self, run: RunKey, task: str | None, state: str) -> None:
        if task is None:
            self.api.set_run_state(*run, state)
        else:
            self.api.set_task_state(*run, task, state)

    def kill_task(self, run: RunKey, task: str) -> None:
        os.kill(self._pid(run, task), signal.SIGKILL)

    def kill_worker(self, run: RunKey, task: str) -> None:
        pid = self._pid(run, task)
        supervisor = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        for each in (supervisor, pid):
            os.kill(each, signal.SIGKILL)

    def kill_triggerer(self) -> None:
        process = self.airflow.process("triggerer")
        assert process is not None
        children = [int(p.name) for p in _children(process.pid)]
        for each in (process.pid, *children):
            os.kill(each, signal.SIGKILL)
        time.sleep(1)

    def start_triggerer(self) -> None:
        self.airflow.start_component("triggerer")

    def kill_scheduler(self) -> None:
        self.airflow.kill_component("scheduler")

    def start_scheduler(self) -> None:
        self.airflow.start_component("scheduler")

    def answer(self, run: RunKey, task: str, option: str) -> None:
        self.api.answer(*run, task, option)

    def _pid(self, run: RunKey, task: str) -> int:
        query = "SELECT pid FROM task_instance WHERE dag_id = %s AND run_id = %s AND task_id = %s"
        return int(self.read(query, *run, task)[0][0])

    def _until(self, is_so: Callable[[], bool], *what: Any) -> None:
        deadline = time.monotonic() + PATIENCE
        while not is_so():
            assert time.monotonic() < deadline, f"waited in vain for {what}"
            time.sleep(0.5)


def _children(pid: int) -> Iterable[Path]:
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if parent == pid:
            yield folder


def _execute(airflow: LocalAirflow, statements: str) -> None:
    url = airflow.home.database.url.replace("+psycopg2", "")
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(statements)
