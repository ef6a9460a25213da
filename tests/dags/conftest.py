"""What the tests of single DAGs share: a DAG file as Airflow's DAG processor sees it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parents[2]

Parse = Callable[[Path, str, str], dict[str, Any]]

# For each line of its input, a policy and a DAG: prints what Airflow makes of the file of the DAG,
# as one line of JSON. Each is parsed in a process of its own; all have Airflow from the first one.
_DESCRIBE = """
import json, os, sys
from airflow.dag_processing.dagbag import DagBag

def describe(file, dag_id):
    bag = DagBag(file, load_op_links=False)
    dag = bag.dags[dag_id]
    return {
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
    }

for line in sys.stdin:
    policy, file, dag_id = json.loads(line)
    if not os.fork():
        os.environ["OPENSTACK_MAINTENANCE_POLICY"] = policy
        print(json.dumps(describe(file, dag_id)), flush=True)
        os._exit(0)
    if os.wait()[1]:
        sys.exit("the file could not be parsed")
"""


@pytest.fixture(scope="session")
def parse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parse]:
    """Parses a DAG with a policy, in a process of its own; gives its description.

    Arguments: a folder for the policy, the policy's text, the DAG's id.
    """
    home = tmp_path_factory.mktemp("airflow")
    env = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(home),
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
        "PYTHONPATH": str(PROJECT / "plugins"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    parser = subprocess.Popen(
        [sys.executable, "-c", _DESCRIBE],
        env=env,
        cwd=home,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parser.stdin is not None and parser.stdout is not None
    asked, told = parser.stdin, parser.stdout

    def parse(folder: Path, policy: str, dag_id: str) -> dict[str, Any]:
        (folder / "policy.yaml").write_text(policy)
        question = [str(folder / "policy.yaml"), str(PROJECT / f"dags/{dag_id}.py"), dag_id]
        print(json.dumps(question), file=asked, flush=True)
        # Airflow's own words may come before the description.
        for line in told:
            if line.startswith('{"errors"'):
                return dict(json.loads(line))
        raise AssertionError(f"{dag_id} could not be parsed; why, stands on stderr")

    with parser:
        yield parse
