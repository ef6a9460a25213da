"""The folder that one local Airflow lives in: settings, secrets, database, logs."""

from __future__ import annotations

import base64
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_local.database import Database

PROJECT = Path(__file__).resolve().parents[3]
ADMIN = "admin"


@dataclass(frozen=True)
class Home:
    """An AIRFLOW_HOME with the secrets that belong to it, made at first use."""

    path: Path

    @property
    def is_prepared(self) -> bool:
        return self._secrets_file.exists()

    @property
    def database(self) -> Database:
        # Its process is not one of Airflow's, so its file does not lie among theirs.
        folder, log = self.path / "postgresql", self.log("postgresql")
        return Database(folder, self.path / "postgresql.json", log, self._secrets()["database"])

    @property
    def passwords(self) -> Path:
        return self.path / "passwords.json"

    @property
    def password(self) -> str:
        return str(json.loads(self.passwords.read_text())[ADMIN])

    @property
    def server_settings(self) -> Path:
        return self.path / "server.json"

    def log(self, component: str) -> Path:
        return self.path / "logs" / f"{component}.log"

    def pid_file(self, component: str) -> Path:
        return self.path / "run" / f"{component}.json"

    def pid_files(self) -> list[Path]:
        return sorted((self.path / "run").glob("*.json"))

    def prepare(self) -> None:
        """Make the folders and, once, the secrets: readable by their owner alone."""
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name in ("logs", "run", "records"):
            (self.path / name).mkdir(exist_ok=True)
        known = self._secrets() if self._secrets_file.exists() else {}
        if _new_secrets().keys() - known.keys():
            write_private(self._secrets_file, json.dumps(_new_secrets() | known))
        if not self.passwords.exists():
            write_private(self.passwords, json.dumps({ADMIN: secrets.token_urlsafe(12)}))

    def settings(self, *, port: int, host: str, dags: Path, plugins: Path) -> dict[str, str]:
        """The environment that makes an Airflow process part of this home."""
        keys = self._secrets()
        options = {
            "core__dags_folder": str(dags),
            "core__plugins_folder": str(plugins),
            "core__load_examples": "False",
            "core__executor": "LocalExecutor",
            "core__parallelism": "8",
            "core__dags_are_paused_at_creation": "False",
            "core__hostname_callable": "socket.gethostname",
            "core__fernet_key": keys["fernet"],
            "core__execution_api_server_url": f"http://127.0.0.1:{port}/execution/",
            "core__simple_auth_manager_users": f"{ADMIN}:admin",
            "core__simple_auth_manager_passwords_file": str(self.passwords),
            "api__host": host,
            "api__port": str(port),
            "api__base_url": f"http://{host if host != '0.0.0.0' else '127.0.0.1'}:{port}",  # noqa: S104 - compared, not bound
            "api__workers": "1",
            "api__secret_key": keys["api"],
            "api_auth__jwt_secret": keys["jwt"],
            "database__sql_alchemy_conn": self.database.url,
            "logging__base_log_folder": str(self.path / "logs"),
            "logging__colored_console_log": "False",
            # With the default of 5 s, tasks that defer at once are marked failed at random.
            "workers__min_heartbeat_interval": "1",
            # A killed worker is noticed in half a minute, not in five.
            "scheduler__task_instance_heartbeat_timeout": "30",
            # With the default of 1 s, a run of fifteen steps loses that at each of them.
            "scheduler__scheduler_idle_sleep_time": "0.2",
            "dag_processor__refresh_interval": "30",
            "usage_data_collection__enabled": "False",
        }
        named = {f"AIRFLOW__{name.upper()}": value for name, value in options.items()}
        return {"AIRFLOW_HOME": str(self.path), **named}

    @property
    def _secrets_file(self) -> Path:
        return self.path / "secrets.json"

    def _secrets(self) -> dict[str, str]:
        found: dict[str, Any] = json.loads(self._secrets_file.read_text())
        return {name: str(value) for name, value in found.items()}


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, at no moment otherwise."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)


def _new_secrets() -> dict[str, str]:
    return {
        "database": secrets.token_urlsafe(24),
        "fernet": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "api": secrets.token_urlsafe(32),
        "jwt": secrets.token_urlsafe(48),
    }
