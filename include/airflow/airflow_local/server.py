"""One local Airflow: its components started, watched, stopped and killed one by one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from airflow_local.errors import AirflowLocalError
from airflow_local.home import ADMIN, PROJECT, Home, write_private
from airflow_local.ports import check_port_is_free
from airflow_local.processes import (
    ProcessId,
    end,
    in_session_of,
    parent_of,
    spawn,
    wait_until_gone,
)
from airflow_local.rest import AirflowApi

# The log servers' ports are fixed and not needed here: the API server reads the same folder.
COMPONENTS = {
    "api-server": ["api-server"],
    "scheduler": ["scheduler", "--skip-serve-logs"],
    "dag-processor": ["dag-processor"],
    "triggerer": ["triggerer", "--skip-serve-logs"],
}
DEFAULT_PORT = 8080
HEARTBEATS = ("scheduler", "dag_processor", "triggerer")
AIRFLOW = Path(sys.executable).with_name("airflow")


@dataclass
class LocalAirflow:
    """An Airflow of this project in a folder of its own.

    `environment` is added to every process: connections (`AIRFLOW_CONN_...`), the policy file.
    """

    home: Home
    port: int = DEFAULT_PORT
    host: str = "127.0.0.1"
    dags: Path = PROJECT / "dags"
    plugins: Path = PROJECT / "plugins"
    environment: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def find_running(cls, home: Home) -> LocalAirflow | None:
        """The Airflow of this home as it was started, if its API server runs."""
        if not home.server_settings.exists():
            return None
        known = json.loads(home.server_settings.read_text())
        found = cls(home, port=known["port"], host=known["host"], dags=Path(known["dags"]))
        return found if found.is_running("api-server") else None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def api(self) -> AirflowApi:
        """A client that is logged in as the administrator."""
        return AirflowApi(self.url, ADMIN, self.home.password)

    def start(self, say: Callable[[str], None] = print, timeout: float = 300) -> None:
        """Start what is not running; return when every component has given a sign of life.

        Raises: AirflowLocalError: something ended or did not get ready in time; the message
        names it and its log. What was started keeps running, for a look; `stop` ends it.
        """
        self.home.prepare()
        missing = [name for name in COMPONENTS if not self.is_running(name)]
        if not missing:
            say(f"Airflow is already running on port {self.port}")
            return
        if "api-server" in missing:
            check_port_is_free(self.host, self.port)
        self.home.database.start()
        self._migrate_database(say)
        since = datetime.now(UTC)
        say(f"starting Airflow's {', '.join(missing)}")
        known = {"port": self.port, "host": self.host, "dags": str(self.dags)}
        write_private(self.home.server_settings, json.dumps(known))
        for name in missing:
            self.start_component(name)
        self._wait_until_healthy(missing, since, timeout)

    def start_component(self, name: str) -> ProcessId:
        """Start one component, without waiting for it."""
        command = [str(AIRFLOW), *COMPONENTS[name]]
        if former := self.process(name):  # its children may still live: `stop` must find them
            self.home.pid_file(name).rename(self.home.pid_file(f"{name}-{former.pid}"))
        process = spawn(command, self._environment(), self.home.log(name), self.home.path)
        process.write(self.home.pid_file(name))
        return process

    def restart_component(self, name: str, timeout: float = 300) -> None:
        """Stop one component if it runs, start it, and wait for its sign of life."""
        self.stop_component(name)
        since = datetime.now(UTC)
        self.start_component(name)
        self._wait_until_healthy([name], since, timeout)

    def stop_component(self, name: str) -> None:
        if process := self.process(name):
            end([process], grace=15)

    def kill_component(self, name: str) -> None:
        """Kill one component as a crash would: at once, its children left behind."""
        process = self.process(name)
        if process is None or not process.is_alive():
            raise AirflowLocalError(f"Airflow's {name} is not running, so it cannot be killed.")
        process.send(signal.SIGKILL)
        wait_until_gone([process], 5)

    def kill_task(self, pid: int | None, *, with_worker: bool = True) -> None:
        """Kill a task's process, and the worker that runs it, as a crash would.

        Raises: AirflowLocalError: it is no running process of this Airflow.
        """
        task = ProcessId.of(pid) if pid else None
        if pid is None or task is None or task not in self.processes():
            raise AirflowLocalError(f"The task has no running process of this Airflow: {pid}.")
        worker = ProcessId.of(parent_of(pid) or 0) if with_worker else None
        victims = [found for found in (worker, task) if found is not None]
        for process in victims:  # the worker first: it would report the task's death
            process.send(signal.SIGKILL)
        wait_until_gone(victims, 5)

    def stop(self, grace: float = 15) -> None:
        """End every process of this home, also those whose parent was killed."""
        end([p for name in COMPONENTS if (p := self.process(name))], grace=grace)
        end(self.processes(), grace=5)
        for file in self.home.pid_files():
            file.unlink()
        if self.home.is_prepared:
            self.home.database.stop()

    def process(self, name: str) -> ProcessId | None:
        return ProcessId.read(self.home.pid_file(name))

    def is_running(self, name: str) -> bool:
        process = self.process(name)
        return process is not None and process.is_alive()

    def processes(self) -> list[ProcessId]:
        """Every process of this home: components, workers, tasks."""
        leaders = [ProcessId.read(file) for file in self.home.pid_files()]
        return [p for leader in leaders if leader for p in in_session_of(leader)]

    def _environment(self) -> dict[str, str]:
        settings = self.home.settings(
            port=self.port, host=self.host, dags=self.dags, plugins=self.plugins
        )
        path = f"{AIRFLOW.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        inherited = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
        return {**inherited, **self.environment, **settings, "PATH": path}

    def _migrate_database(self, say: Callable[[str], None]) -> None:
        """Bring the database to the installed Airflow's schema, unless it is there already."""
        stamp = self.home.path / "schema-version"
        if stamp.exists() and stamp.read_text() == _version():
            return
        say("making Airflow's database")
        with self.home.log("db-migrate").open("ab") as log:
            done = subprocess.run(
                [AIRFLOW, "db", "migrate"],
                env=self._environment(),
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                timeout=600,
            )
        if done.returncode != 0:
            raise AirflowLocalError(
                f"Airflow could not make its database: see {self.home.log('db-migrate')}."
            )
        stamp.write_text(_version())

    def _wait_until_healthy(self, names: list[str], since: datetime, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        waiting = [name.replace("-", "_") for name in names]
        while waiting := self._without_sign_of_life(waiting, since):
            self._check_none_died(names)
            if time.monotonic() > deadline:
                logs = self.home.log(waiting[0].replace("_", "-"))
                raise AirflowLocalError(
                    f"Airflow's {', '.join(waiting)} gave no sign of life within {timeout:.0f} s: "
                    f"see {logs}."
                )
            time.sleep(0.3)

    def _without_sign_of_life(self, waiting: list[str], since: datetime) -> list[str]:
        health = AirflowApi.health(self.url)
        if health is None:
            return waiting
        beats = {name: health[name][f"latest_{name}_heartbeat"] for name in HEARTBEATS}
        return [
            name
            for name in waiting
            if name in beats
            and (beats[name] is None or datetime.fromisoformat(beats[name]) < since)
        ]

    def _check_none_died(self, names: list[str]) -> None:
        for name in names:
            if not self.is_running(name):
                log = self.home.log(name)
                raise AirflowLocalError(f"Airflow's {name} ended right after its start: see {log}.")


def _version() -> str:
    from importlib.metadata import version

    return version("apache-airflow-core")
