"""The files of DAGs, as Airflow's DAG processor executes them."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from airflow.sdk import DAG
from airflow.sdk.definitions._internal.contextmanager import DagContext

_parsed: dict[Path, list[DAG]] = {}


def parse(folder: Path) -> list[DAG]:
    """The DAGs of a folder; a file is executed once, however many worlds want its DAGs."""
    return [dag for file in sorted(folder.glob("*.py")) for dag in _of_file(file.resolve())]


def _of_file(file: Path) -> list[DAG]:
    if file not in _parsed:
        name = f"dags_of_{file.parent.name}_{file.stem}"
        spec = importlib.util.spec_from_file_location(name, file)
        if spec is None or spec.loader is None:
            raise ImportError(f"{file} cannot be imported")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        with _collecting(name) as dags:
            spec.loader.exec_module(module)
        _parsed[file] = dags
    return _parsed[file]


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
