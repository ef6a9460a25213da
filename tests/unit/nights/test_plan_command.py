"""`make plan` where something is missing: one sentence and exit code 1, never a traceback."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[3]
CLOUD = {"conn_type": "openstack", "host": "http://127.0.0.1:9/v3", "login": "x", "password": "y"}
NOBODY = json.dumps(CLOUD)


@pytest.mark.parametrize(
    ("policy", "env", "said"),
    [
        ("deployment: lab\n", {}, "Airflow connection openstack_default: it is not defined"),
        ("windwo: {}\n", {}, "windwo: is not a known field (did you mean window?)"),
        (
            "deployment: lab\n",
            {"AIRFLOW_CONN_OPENSTACK_DEFAULT": NOBODY},
            "cloud openstack_default: no usable answer",
        ),
    ],
)
def test_what_is_missing_is_said_in_one_sentence(
    tmp_path: Path, policy: str, env: dict[str, str], said: str
) -> None:
    (tmp_path / "policy.yaml").write_text(policy)
    done = subprocess.run(
        [sys.executable, "-m", "night_plan"],
        env={
            "PATH": "/usr/bin:/bin",
            "HOME": str(tmp_path),
            "AIRFLOW_HOME": str(tmp_path),
            "OPENSTACK_MAINTENANCE_POLICY": str(tmp_path / "policy.yaml"),
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
            "PYTHONPATH": f"{PROJECT}/plugins:{PROJECT}/include/plan",
            **env,
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stdout == ""
