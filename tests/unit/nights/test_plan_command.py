"""`make plan` where something is missing: one sentence and exit code 1, never a traceback."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from night_plan.__main__ import main

PROJECT = Path(__file__).resolve().parents[3]
CLOUD = {"conn_type": "openstack", "host": "http://127.0.0.1:9/v3", "login": "x", "password": "y"}
NOBODY = json.dumps(CLOUD)


@pytest.mark.parametrize(
    ("policy", "env", "said"),
    [
        ("windwo: {}\n", {}, "windwo: is not a known field (did you mean window?)"),
        (
            "deployment: lab\n",
            {"AIRFLOW_CONN_OPENSTACK_DEFAULT": NOBODY},
            "cloud openstack_default: no usable answer",
        ),
    ],
)
def test_what_is_missing_is_said_in_one_sentence(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    policy: str,
    env: dict[str, str],
    said: str,
) -> None:
    (tmp_path / "policy.yaml").write_text(policy)
    monkeypatch.setenv("OPENSTACK_MAINTENANCE_POLICY", str(tmp_path / "policy.yaml"))
    monkeypatch.setattr(sys, "argv", ["night_plan"])
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert main() == 1
    out, err = capsys.readouterr()
    assert_is_one_sentence(out, err, said)


@pytest.mark.thorough
def test_a_connection_that_is_missing_is_all_that_the_command_says(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text("deployment: lab\n")
    done = subprocess.run(
        [sys.executable, "-m", "night_plan"],
        env={
            "PATH": "/usr/bin:/bin",
            "HOME": str(tmp_path),
            "AIRFLOW_HOME": str(tmp_path),
            "OPENSTACK_MAINTENANCE_POLICY": str(tmp_path / "policy.yaml"),
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
            "PYTHONPATH": f"{PROJECT}/plugins:{PROJECT}/include/plan",
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert_is_one_sentence(
        done.stdout, done.stderr, "Airflow connection openstack_default: it is not defined"
    )


def assert_is_one_sentence(out: str, err: str, said: str) -> None:
    assert said in err
    assert len(err.strip().splitlines()) == 1
    assert out == ""
