"""The files of DAGs, as Airflow's DAG processor executes them."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from pathlib import Path

from airflow.sdk import DAG
from airflow.sdk.definitions._internal.contextmanager import DagContext

from openstack_maintenance.adapters.policy_file import read_policy
from openstack_maintenance.domain.errors import PolicyError

# By file, and by what a file's DAGs depend on besides.
_parsed: dict[tuple[Path, Hashable], list[DAG]] = {}


def parse(folder: Path) -> list[DAG]:
    """The DAGs of a folder; a file is executed once, however many worlds want its DAGs.

    Once more where the policy says something else about them: when, and how many hosts at a time.
    """
    return [dag for file in sorted(folder.glob("*.py")) for dag in _of_file(file.resolve())]


def _of_file(file: Path) -> list[DAG]:
    known = file, _said_of_dags()
    if known not in _parsed:
        name = f"dags_of_{file.parent.name}_{file.stem}"
        spec = importlib.util.spec_from_file_location(name, file)
        if spec is None or spec.loader is None:
            raise ImportError(f"{file} cannot be imported")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        with _collecting(name) as dags:
            spec.loader.exec_module(module)
        _parsed[known] = dags
    return _parsed[known]


def _said_of_dags() -> Hashable:
    """What `openstack_maintenance.operators.schedule` reads of the policy for a DAG's file."""
    try:
        policy = read_policy()
    except PolicyError:
        return None
    return policy.max_hosts_out, policy.window.start, policy.window.timezone


@contextmanager
def _collecting(module: str) -> Iterator[list[DAG]]:
    """The DAGs whose `with` block ends meanwhile."""
    found: list[DAG] = []
    before = DagContext.autoregistered_dags, DagContext.current_autoregister_module_name
    DagContext.autoregistered_dags, DagContext.current_autoregister_module_name = set(), module
    try:
        yield found
        dags = (dag for dag, _ in DagContext.autoregistered_dags)
        found += sorted(dags, key=lambda dag: dag.dag_id)
    finally:
        DagContext.autoregistered_dags, DagContext.current_autoregister_module_name = before
