"""The DAG files as Airflow's DAG processor sees them: in a process and a home of their own."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parents[2]
DAGS = sorted((PROJECT / "dags").glob("*.py"))
COMPUTE = "compute_host_maintenance"

# The runbook's chapter, step by step; more tasks may stand between them.
RUNBOOK = [
    "check_host",
    "wait_for_window",
    "disable_service",
    "list_instances",
    "migrate_instance",
    "check_host_empty",
    "stop_nova_compute",
    "run_script",
    "reboot",
    "wait_for_host",
    "wait_for_nova_compute",
    "assert_amqp",
    "enable_service",
]
PARAMS = {
    "host",
    "destination",
    "block_migration",
    "reason",
    "reboot",
    "script",
    "dry_run",
    "ignore_window",
    "on_blocked",
}
HEAVY = ["openstack", "keystoneauth1", "asyncssh", "paramiko", "jinja2.sandbox", "requests"]

# Parses the DAGs with the network blocked, and prints what came of it as JSON.
PARSE = """
import json, socket, sys, time
import airflow.sdk
from airflow.sdk import DAG, BaseHook, BaseOperator, ObjectStoragePath, Param, chain
from airflow.configuration import conf
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk.definitions._internal.types import is_arg_set
from airflow.providers.standard.triggers.temporal import DateTimeTrigger

def refuse(*args, **kwargs):
    raise OSError("a DAG file uses the network while it is parsed")

socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
before = set(sys.modules)
began = time.process_time()
bag = DagBag(sys.argv[1], load_op_links=False)
seconds = time.process_time() - began
dags = {}
for dag_id, dag in bag.dags.items():
    dags[dag_id] = {
        "doc": dag.doc_md,
        "schedule": str(dag.schedule),
        "order": [task.task_id for task in dag.topological_sort()],
        "downstream": {task.task_id: sorted(task.downstream_task_ids) for task in dag.tasks},
        "mapped": [task.task_id for task in dag.tasks if task.is_mapped],
        "rules": {task.task_id: str(task.trigger_rule.value) for task in dag.tasks},
        "docs": {
            task.task_id: (getattr(task, "operator_class", None) or type(task)).__doc__
            for task in dag.tasks
        },
        "one_at_a_time": [
            task.task_id for task in dag.tasks if task.max_active_tis_per_dag is not None
        ],
        "first_change": getattr(next(iter(dag.tasks)), "first_change", None),
        "retries": {task.task_id: task.retries for task in dag.tasks},
        "params": {
            name: {"schema": param.schema, "description": param.description,
                   "default": param.value if is_arg_set(param.value) else "(none)"}
            for name in dag.params.keys() for param in [dag.params.get_param(name)]
        },
    }
print(json.dumps({
    "errors": {str(file): error for file, error in bag.import_errors.items()},
    "dags": dags,
    "new": sorted(set(sys.modules) - before),
    "seconds": seconds,
}))
"""


def parse(home: Path) -> dict[str, Any]:
    env = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(home),
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
        "PYTHONPATH": str(PROJECT / "plugins"),  # as Airflow itself puts it on sys.path
        "PYTHONDONTWRITEBYTECODE": os.environ.get("PYTHONDONTWRITEBYTECODE", ""),
    }
    done = subprocess.run(
        [sys.executable, "-c", PARSE, str(PROJECT / "dags")],
        env=env,
        cwd=home,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


@pytest.fixture(scope="module")
def parsed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return parse(tmp_path_factory.mktemp("airflow"))


@pytest.fixture(scope="module")
def dag(parsed: dict[str, Any]) -> dict[str, Any]:
    return dict(parsed["dags"][COMPUTE])


def test_every_dag_file_imports_without_the_network(parsed: dict[str, Any]) -> None:
    assert parsed["errors"] == {}
    assert set(parsed["dags"]) == {file.stem for file in DAGS}


@pytest.mark.parametrize("package", HEAVY)
def test_parsing_imports_nothing_that_talks_to_clouds_or_hosts(
    parsed: dict[str, Any], package: str
) -> None:
    found = [each for each in parsed["new"] if each == package or each.startswith(f"{package}.")]
    assert found == []


@pytest.mark.timeout(300)
def test_parsing_takes_little_more_than_importing_airflow(
    parsed: dict[str, Any], tmp_path: Path
) -> None:
    """0.3 s a file; the best of some tries, in CPU seconds: other work must not count."""
    budget = 0.3 * len(DAGS)
    best = parsed["seconds"]
    for _ in range(4):
        if best <= budget:
            break
        best = min(best, parse(tmp_path)["seconds"])
    assert best <= budget


@pytest.mark.parametrize("file", DAGS, ids=lambda file: file.name)
def test_a_dag_file_reads_like_a_runbook(file: Path) -> None:
    tree = ast.parse(file.read_text())
    logic = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.For, ast.While, ast.If)
    found = [type(node).__name__ for node in ast.walk(tree) if isinstance(node, (*logic, ast.Try))]
    assert found == []
    assert ast.get_docstring(tree)
    assert len(file.read_text().splitlines()) <= 80


def test_every_dag_says_what_it_does(parsed: dict[str, Any]) -> None:
    for dag_id, dag in parsed["dags"].items():
        assert dag["doc"], f"{dag_id} has no documentation"


def after(dag: dict[str, Any], task_id: str) -> set[str]:
    """Everything that comes after a task."""
    found: set[str] = set()
    waiting = [task_id]
    while waiting:
        for each in dag["downstream"][waiting.pop()]:
            if each not in found:
                found.add(each)
                waiting.append(each)
    return found


def test_the_steps_stand_in_the_runbooks_order(dag: dict[str, Any]) -> None:
    assert [task for task in dag["order"] if task in RUNBOOK] == RUNBOOK
    for number, task in enumerate(RUNBOOK):
        assert set(RUNBOOK[number + 1 :]) <= after(dag, task), task


def test_the_first_step_is_the_pre_check_and_the_last_the_report(dag: dict[str, Any]) -> None:
    assert dag["order"][0] == "check_host"
    assert dag["order"][-1] == "report"
    assert dag["downstream"]["report"] == []


def test_every_task_reaches_the_report_directly(dag: dict[str, Any]) -> None:
    """A task that fails must not be hidden from it by those that are then skipped."""
    for task in set(dag["order"]) - {"report"}:
        assert "report" in dag["downstream"][task], task
    assert dag["rules"]["report"] == "all_done"


def test_only_steps_that_may_follow_a_skipped_one_go_on_without_all_successes(
    dag: dict[str, Any],
) -> None:
    """Whatever the rule, a failure upstream stops the run."""
    rules = {dag["rules"][task] for task in dag["order"] if task != "report"}
    assert rules <= {"all_success", "none_failed_min_one_success", "none_failed"}
    for task in ("stop_nova_compute", "enable_service", "disable_service", "assert_amqp"):
        assert dag["rules"][task] == "all_success"


def test_a_run_that_waits_for_its_window_holds_nothing_that_another_one_needs(
    dag: dict[str, Any],
) -> None:
    assert dag["one_at_a_time"] == ["disable_service"]
    assert dag["downstream"]["wait_for_window"] == ["disable_service", "report"]
    assert dag["first_change"] == "wait_for_window"


def test_each_instance_has_a_task_of_its_own(dag: dict[str, Any]) -> None:
    assert "migrate_instance" in dag["mapped"]
    assert not {"reboot", "stop_nova_compute", "check_host_empty"} & set(dag["mapped"])


def test_every_step_has_a_retry_and_says_what_it_does(dag: dict[str, Any]) -> None:
    assert all(retries >= 1 for retries in dag["retries"].values())
    assert all(doc and len(doc) > 20 for doc in dag["docs"].values())


def test_it_runs_only_when_asked_to(dag: dict[str, Any]) -> None:
    assert dag["schedule"] == "None"


def test_the_params_are_those_of_the_contract(dag: dict[str, Any]) -> None:
    assert set(dag["params"]) == PARAMS


@pytest.mark.parametrize("name", sorted(PARAMS))
def test_every_param_has_title_description_default_and_a_type(
    dag: dict[str, Any], name: str
) -> None:
    param = dag["params"][name]
    schema = param["schema"]
    assert schema["title"]
    assert param["description"]
    assert "type" in schema or "enum" in schema
    assert (param["default"] == "(none)") is (name == "host")


@pytest.mark.parametrize(
    ("name", "default"),
    [
        ("destination", None),
        ("block_migration", "auto"),
        ("reboot", True),
        ("script", None),
        ("dry_run", False),
        ("ignore_window", False),
        ("on_blocked", None),
    ],
)
def test_the_defaults_are_the_safe_ones(dag: dict[str, Any], name: str, default: object) -> None:
    assert dag["params"][name]["default"] == default


def accepts(dag: dict[str, Any], name: str, value: object) -> bool:
    """As Airflow does it: JSON schema with formats."""
    import jsonschema  # type: ignore[import-untyped]

    try:
        jsonschema.validate(value, dag["params"][name]["schema"])
    except jsonschema.ValidationError:
        return False
    return True


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("host", ["c01", "c01.example.com"]),
        ("destination", [None, "", "c02"]),
        ("block_migration", ["auto", "true", "false", True, False]),
        ("on_blocked", [None, "fail", "leave", "stop"]),
        ("reason", ["", "kernel update; see #7", None]),
        ("reboot", [True, False]),
        ("script", [None]),
        ("dry_run", [True, False]),
        ("ignore_window", [True, False]),
    ],
)
def test_the_form_accepts_what_makes_sense(
    dag: dict[str, Any], name: str, values: list[object]
) -> None:
    assert [value for value in values if not accepts(dag, name, value)] == []


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("host", ["", None, "c01; reboot", "$(id)", "`id`", "a b", "-oX", "../x", "c01|y", 1, []]),
        ("destination", ["c02; x", "$(id)", "-oX", 1, "a b"]),
        ("block_migration", ["maybe", None, 1]),
        ("on_blocked", ["ignore", "", True]),
        ("reason", ["x" * 151, 1]),
        ("reboot", ["false", None, 0]),
        ("script", ["not-there.sh", "../../etc/passwd", ""]),
        ("dry_run", ["true", None, 1]),
        ("ignore_window", ["true", None, 1]),
    ],
)
def test_the_form_refuses_what_does_not(
    dag: dict[str, Any], name: str, values: list[object]
) -> None:
    assert [value for value in values if accepts(dag, name, value)] == []


def test_the_scripts_of_the_form_are_those_of_the_folder(dag: dict[str, Any]) -> None:
    folder = PROJECT / "include/scripts"
    there = sorted(each.name for each in folder.iterdir() if each.suffix != ".md")
    assert dag["params"]["script"]["schema"]["enum"] == [None, *there]
