"""Airflow's database: a PostgreSQL server of this home's own, on loopback.

Not SQLite, although that is what `airflow standalone` takes: an API server with SQLite waits for
itself when two requests change something at the same time (its audit log is written on the event
loop, which the other request needs for its commit), and a scheduler that finds the database locked
meanwhile ends.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2

from airflow_local.errors import AirflowLocalError
from airflow_local.ports import free_port
from airflow_local.processes import ProcessId, end, spawn, wait_until_gone

USER = "airflow"
PACKAGE = "postgresql"
DEBIAN = Path("/usr/lib/postgresql")
START_SECONDS = 120
# What was committed in the last half second before a power cut may be lost, nothing is damaged:
# a local Airflow need not wait for the disk at each of its thousand small commits.
OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "synchronous_commit": "off",
    "password_encryption": "scram-sha-256",
    # A killed scheduler's connection lives on in the workers that it forked, and so do the locks
    # of its transaction: the next scheduler passes over whatever they cover.
    "idle_in_transaction_session_timeout": "30s",
}


@dataclass(frozen=True)
class Database:
    """The server whose files are in `folder`; `password` is its only user's."""

    folder: Path
    pid_file: Path
    log: Path
    password: str

    @property
    def url(self) -> str:
        """The address for SQLAlchemy, password included."""
        return f"postgresql+psycopg2://{USER}:{self.password}@127.0.0.1:{self._port}/{USER}"

    def start(self) -> None:
        """Start the server, made at first use; returns when it answers.

        Raises: AirflowLocalError: PostgreSQL is not installed and could not be, or does not start.
        """
        if self.is_running():
            return
        programs = _programs()
        if not (self.folder / "PG_VERSION").exists():
            self._make(programs)
        self._port_file.write_text(json.dumps(free_port()))
        options = [f"-c{name}={value}" for name, value in OPTIONS.items()]
        command = [str(programs / "postgres"), "-D", str(self.folder), "-p", str(self._port)]
        process = spawn(
            [*_not_as_root(), *command, *options], os.environ, self.log, self.folder.parent
        )
        process.write(self.pid_file)
        self._wait_until_it_answers(process)

    def stop(self) -> None:
        """End it, and wait until its files are whole."""
        if process := self.process():
            process.send(signal.SIGINT)  # SIGTERM would wait for every client to go by itself
            if not wait_until_gone([process], 30):
                end([process], grace=0)
            self.pid_file.unlink()

    def is_running(self) -> bool:
        process = self.process()
        return process is not None and process.is_alive()

    def process(self) -> ProcessId | None:
        return ProcessId.read(self.pid_file)

    def read(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """The rows that a query finds."""
        with self._connect() as connection, connection.cursor() as cursor:
            cursor.execute(query, values)
            return list(cursor.fetchall())

    @property
    def _port_file(self) -> Path:
        return self.pid_file.with_suffix(".port")

    @property
    def _port(self) -> int:
        return int(json.loads(self._port_file.read_text()))

    def _make(self, programs: Path) -> None:
        """Make the files: complete, or not there at all."""
        making = self.folder.with_name(f"{self.folder.name}.making")
        shutil.rmtree(making, ignore_errors=True)
        command = [str(programs / "initdb"), "-D", str(making), "-U", USER, "-A", "scram-sha-256"]
        command += ["--pwfile=/dev/stdin", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
        self._run([*_not_as_root(), *command], self.password)
        single = [str(programs / "postgres"), "--single", "-D", str(making), "postgres"]
        self._run([*_not_as_root(), *single], f'CREATE DATABASE "{USER}"\n')
        making.rename(self.folder)

    def _run(self, command: list[str], told: str) -> None:
        with self.log.open("a") as log:
            done = subprocess.run(
                command, input=told, text=True, stdout=log, stderr=log, timeout=300, check=False
            )
        if done.returncode != 0:
            raise AirflowLocalError(f"PostgreSQL could not make its database: see {self.log}.")

    def _wait_until_it_answers(self, process: ProcessId) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self._connect().close()
                return
            except psycopg2.OperationalError as error:
                if not process.is_alive() or time.monotonic() > deadline:
                    raise AirflowLocalError(
                        f"PostgreSQL does not answer ({error}): see {self.log}."
                    ) from error
            time.sleep(0.1)

    def _connect(self) -> Any:
        return psycopg2.connect(
            host="127.0.0.1",
            port=self._port,
            user=USER,
            password=self.password,
            dbname=USER,
            connect_timeout=10,
        )


def _programs() -> Path:
    """The folder of PostgreSQL's programs; on Debian, as root, they are installed if missing."""
    if (found := _find_programs()) is None and os.geteuid() == 0 and shutil.which("apt-get"):
        print(f"installing Debian's {PACKAGE} (apt)", flush=True)
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (
            ["apt-get", "-q", "update"],
            ["apt-get", "-q", "install", "-y", "--no-install-recommends", PACKAGE],
        ):
            subprocess.run(command, env=environment, capture_output=True, timeout=600, check=False)
        found = _find_programs()
    if found is None:
        raise AirflowLocalError(
            f"PostgreSQL was not found: install the package {PACKAGE} (here only root could)."
        )
    return found


def _find_programs() -> Path | None:
    versions = [folder for folder in DEBIAN.glob("*/bin") if (folder / "initdb").exists()]
    if versions:
        return max(versions, key=lambda folder: float(folder.parent.name))
    initdb = shutil.which("initdb")
    return Path(initdb).parent if initdb else None


def _not_as_root() -> list[str]:
    """What goes before a command of PostgreSQL, which refuses to run as root.

    In a user namespace root is nobody to PostgreSQL and still itself to the files, so that
    they can lie in a folder that only root may enter.
    """
    if os.geteuid() != 0:
        return []
    return ["unshare", "--user", "--map-user=65534", "--map-group=65534"]
