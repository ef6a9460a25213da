"""A maintenance script runs once a run, also when its task is cleared after the reboot."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from openstack_maintenance.operators.host.steps import RunScriptOperator


def test_a_script_that_ended_while_its_task_waited_is_noted_as_done() -> None:
    kept: dict[str, Any] = {}
    context: Any = {
        "task_state_store": SimpleNamespace(set=kept.__setitem__),
        "ti": SimpleNamespace(xcom_pull=lambda **asked: None),
    }
    result = {"script": "fstrim.sh", "exit_code": 0}

    step = RunScriptOperator(task_id="run_script")

    assert step.execute_complete(context, {"result": result}) == result
    assert kept == {"done": result}
