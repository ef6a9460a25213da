"""What the tests of single DAGs share: a DAG file as Airflow's DAG processor sees it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parents[2]

Parse = Callable[[Path, str, str], dict[str, Any]]

# Prints what Airflow makes of the file of a DAG, as one line of JSON.
_DESCRIBE = """
import json, sys
from airflow.dag_processing.dagbag import DagBag
file, dag_id = sys.argv[1:]
bag = DagBag(file, load_op_links=False)
dag = bag.dags[dag_id]
print(json.dumps({
    "errors": {str(file): error for file, error in bag.import_errors.items()},
    "schedule": str(dag.schedule),
    "zone": str(dag.timetable.timezone) if dag.schedule else None,
    "cron": dag.timetable.expression if dag.schedule else None,
    "catchup": dag.catchup,
    "is_paused_upon_creation": dag.is_paused_upon_creation,
    "max_active_runs": dag.max_active_runs,
    "groups": {name: type(group).__name__ for name, group in dag.task_group_dict.items()},
    "order": [task.task_id for task in dag.topological_sort()],
    "upstream": {task.task_id: sorted(task.upstream_task_ids) for task in dag.tasks},
    "mapped": [task.task_id for task in dag.tasks if task.is_mapped],
    "at_a_time": {task.task_id: task.max_active_tis_per_dagrun for task in dag.tasks},
    "rules": {task.task_id: str(task.trigger_rule.value) for task in dag.tasks},
    "retries": {task.task_id: task.retries for task in dag.tasks},
    "docs": {
        task.task_id: (getattr(task, "operator_class", None) or type(task)).__doc__
        for task in dag.tasks
    },
    "params": {
        name: {"schema": param.schema, "description": param.description, "default": param.value}
        for name in dag.params.keys() for param in [dag.params.get_param(name)]
    },
}))
"""


@pytest.fixture(scope="session")
def parse() -> Parse:
    """Parses a DAG with a policy, in a process and a home of its own; gives its description.

    Arguments: home, the policy's text, the DAG's id.
    """

    def parse(home: Path, policy: str, dag_id: str) -> dict[str, Any]:
        (home / "policy.yaml").write_text(policy)
        env = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(home),
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
            "OPENSTACK_MAINTENANCE_POLICY": str(home / "policy.yaml"),
            "PYTHONPATH": str(PROJECT / "plugins"),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        done = subprocess.run(
            [sys.executable, "-c", _DESCRIBE, str(PROJECT / f"dags/{dag_id}.py"), dag_id],
            env=env,
            cwd=home,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return dict(json.loads(done.stdout.strip().splitlines()[-1]))

    return parse
