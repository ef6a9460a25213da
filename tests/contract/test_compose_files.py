"""docker-compose.yaml and what belongs to it, as far as that can be seen without starting it."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).resolve().parents[2]
FOLDER = PROJECT / "include/compose"
AIRFLOW = ("init", "api-server", "scheduler", "dag-processor", "triggerer", "worker")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return dict(yaml.safe_load((PROJECT / "docker-compose.yaml").read_text()))


@pytest.fixture
def site(tmp_path: Path) -> Path:
    prepare(tmp_path / "site")
    return tmp_path / "site"


def prepare(site: Path) -> str:
    done = subprocess.run([FOLDER / "prepare", site], capture_output=True, text=True, check=True)
    return done.stdout


def test_every_component_is_there_and_has_no_privilege(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert set(services) == {*AIRFLOW, "postgres", "redis"}
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "mem_limit" in service, name
        assert "privileged" not in service and "cap_add" not in service, name
    # The project's image has its own user; the others begin as root unless they are told.
    assert (services["postgres"]["user"], services["redis"]["user"]) == ("postgres", "redis")
    for name in AIRFLOW:
        service = services[name]
        assert "user" not in service
        assert service["command"] == name
        code = [each for each in service["volumes"] if not each.startswith(("logs:", "records:"))]
        assert len(code) == 4
        assert all(each.endswith(":ro") for each in code)
    for name in set(services) - {"init"}:
        assert services[name]["healthcheck"]["test"]
        assert services[name]["restart"] == "unless-stopped"


NEEDED = {
    "postgres": {"database_password"},
    "redis": {"broker_password"},
    "init": {"connections.json", "database_url", "fernet_key", "result_backend"},
    "api-server": {"api_secret_key", "database_url", "fernet_key", "jwt_secret", "passwords.json"},
    "scheduler": {"broker_url", "database_url", "jwt_secret", "result_backend"},
    "dag-processor": {"database_url"},
    "triggerer": {"database_url", "fernet_key"},
    "worker": {"broker_url", "result_backend"},
}


def test_each_component_has_the_secrets_that_it_needs_and_no_other(
    compose: dict[str, Any],
) -> None:
    assert {n: set(service["secrets"]) for n, service in compose["services"].items()} == NEEDED
    for name, service in compose["services"].items():
        named = (
            {
                str(value).removeprefix("secret ")
                for key, value in service["environment"].items()
                if key.endswith("_CMD")
            }
            if name in AIRFLOW
            else set()
        )
        assert named <= NEEDED[name], name


def test_a_user_without_a_password_keeps_the_api_server_from_starting(tmp_path: Path) -> None:
    """Airflow would make one up, and print it into the log, at each start."""
    airflow = tmp_path / "airflow"
    airflow.write_text("#!/bin/sh\necho started\n")
    airflow.chmod(0o755)
    serve = tmp_path / "serve"
    serve.write_text(
        (FOLDER / "serve")
        .read_text()
        .replace("/run/secrets", str(tmp_path))
        .replace("/tmp/passwords.json", str(tmp_path / "copied"))  # noqa: S108
    )
    (tmp_path / "passwords.json").write_text('{"admin": "x", "eve": ""}')

    def start(users: str) -> tuple[int, str]:
        done = subprocess.run(
            ["/bin/sh", serve, "api-server"],
            capture_output=True,
            text=True,
            env={
                "PATH": f"{tmp_path}:{os.environ['PATH']}",
                "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": users,
            },
        )
        return done.returncode, done.stdout + done.stderr

    assert start("admin:admin") == (0, "started\n")
    for users in ("admin:admin,bob:viewer", "bob:viewer", "admin:admin, eve:op"):
        status, said = start(users)
        assert status != 0 and "started" not in said
        assert "AIRFLOW_USERS names users who have no password: " in said
        assert "site/secrets/passwords.json" in said


def test_every_secret_is_a_file(compose: dict[str, Any], site: Path) -> None:
    wanted = {file.name for file in (site / "secrets").iterdir()}
    assert set(compose["secrets"]) == wanted
    for name, secret in compose["secrets"].items():
        assert secret == {"file": f"${{SITE:-./site}}/secrets/{name}"}


def test_nothing_secret_has_a_value_in_the_file(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        for name, value in service.get("environment", {}).items():
            if str(value).startswith("sqlite:////tmp/"):  # a file of nobody's, behind no login
                continue
            if any(word in name for word in ("KEY", "SECRET", "PASSWORD", "CONN", "URL_CMD")):
                assert name.endswith(("_CMD", "_FILE")), name
                assert str(value).startswith(("secret ", "/run/secrets/", "/tmp/")), name  # noqa: S108


def test_what_prepare_made_is_kept_and_nobody_else_may_enter(site: Path) -> None:
    before = {file: file.read_text() for file in site.rglob("*") if file.is_file()}
    assert stat.S_IMODE(site.stat().st_mode) == 0o700
    said = prepare(site)
    assert {file: file.read_text() for file in site.rglob("*") if file.is_file()} == before
    assert "made " not in said


def test_no_two_installations_share_a_secret(site: Path, tmp_path: Path) -> None:
    prepare(tmp_path / "other")
    for file in (site / "secrets").iterdir():
        same = file.read_text() == (tmp_path / "other/secrets" / file.name).read_text()
        assert same is (file.name == "connections.json"), file.name


def test_the_urls_carry_the_passwords_and_the_templates_can_be_read(site: Path) -> None:
    secrets = site / "secrets"
    password = (secrets / "database_password").read_text().strip()
    assert f":{password}@postgres:5432/airflow" in (secrets / "database_url").read_text()
    # Workers have a login that is not Airflow's own.
    results = (secrets / "result_backend").read_text()
    assert results.startswith("db+postgresql+psycopg2://celery:")
    assert results.strip().endswith("@postgres:5432/celery") and password not in results
    broker = (secrets / "broker_password").read_text().strip()
    assert (secrets / "broker_url").read_text().strip() == f"redis://:{broker}@redis:6379/0"
    assert set(json.loads((secrets / "connections.json").read_text())) == {
        "openstack_default",
        "openstack_ssh",
    }
    assert len(json.loads((secrets / "passwords.json").read_text())["admin"]) >= 40


@pytest.mark.parametrize(
    ("asked", "runs"),
    [
        (["scheduler"], "airflow scheduler"),
        (["worker"], "airflow celery worker --skip-serve-logs"),
        (["airflow", "version"], "airflow version"),
        (["bash", "-c", "echo as the chart asks"], "as the chart asks"),
    ],
)
def test_the_image_runs_components_by_name_and_any_other_command_as_it_is(
    tmp_path: Path, asked: list[str], runs: str
) -> None:
    airflow = tmp_path / "airflow"
    airflow.write_text('#!/bin/sh\necho "airflow $*"\n')
    airflow.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    done = subprocess.run(
        [FOLDER / "serve", *asked], capture_output=True, text=True, env={"PATH": path}, check=True
    )
    assert done.stdout.strip() == runs
