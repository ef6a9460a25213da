"""A maintenance script runs once a run, also when its task is cleared after the reboot."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from openstack_maintenance.operators.host.steps import RunScriptOperator


def test_a_script_that_ended_while_its_task_waited_is_noted_as_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "policy.yaml").write_text(f"deployment: lab\nrecords: file://{tmp_path}\n")
    monkeypatch.setenv("OPENSTACK_MAINTENANCE_POLICY", str(tmp_path / "policy.yaml"))
    kept: dict[str, Any] = {}
    store = SimpleNamespace(set=lambda key, value, retention: kept.update({key: value}))
    context: Any = {
        "task_state_store": store,
        "ti": SimpleNamespace(dag_id="compute_host_maintenance", xcom_pull=lambda **asked: None),
        "run_id": "r1",
    }
    result = {"script": "fstrim.sh", "exit_code": 0}

    step = RunScriptOperator(task_id="run_script")

    assert step.execute_complete(context, {"result": result}) == result
    assert kept == {"done": result}
