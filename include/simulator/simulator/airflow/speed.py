"""What costs much in a process that simulates hundreds of others, and gives the same each time."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema
from airflow.sdk.definitions import param
from airflow.sdk.definitions.param import process_params as _process_params
from airflow.sdk.execution_time import task_runner
from jsonschema.exceptions import best_match  # type: ignore[import-untyped]  # has no types
from jsonschema.validators import validator_for  # type: ignore[import-untyped]

from openstack_maintenance.adapters import deployment_files, policy_file, yaml_files

_sound: set[str] = set()


def validate(instance: Any, schema: Any, *args: Any, **kwargs: Any) -> None:
    """`jsonschema.validate`, which looks at the schema itself once, not for each value."""
    validator = validator_for(schema)
    text = json.dumps(schema, sort_keys=True)
    if text not in _sound:
        validator.check_schema(schema)
        _sound.add(text)
    error = best_match(validator(schema, *args, **kwargs).iter_errors(instance))
    if error is not None:
        raise error


def process_params(
    dag: Any, task: Any, dagrun_conf: dict[str, Any] | None, *, suppress_exception: bool
) -> dict[str, Any]:
    """Airflow's own, on copies: it writes a run's values into the DAG's params, and the next
    process must find them as the file has them.
    """
    own, above = (_copied(each) for each in (task.params, getattr(dag, "params", {})))
    lent: Any = SimpleNamespace
    return _process_params(
        lent(params=above), lent(params=own), dagrun_conf, suppress_exception=suppress_exception
    )


def _copied(params: Any) -> dict[str, Any]:
    inner = getattr(params, "_ParamsDict__dict", params) or {}
    return {key: _param_as_it_is(each) for key, each in inner.items()}


def _param_as_it_is(given: Any) -> Any:
    """A copy that is not checked again: a required one has no value yet."""
    if not isinstance(given, param.Param):
        return given
    made = param.Param.__new__(type(given))
    made.__dict__.update(given.__dict__)
    return made


def hurry(replace: Callable[[Any, str, Any], None]) -> None:
    """Let params and policies be read faster; what comes of them is the same."""
    replace(jsonschema, "validate", validate)
    replace(param, "process_params", process_params)
    replace(task_runner, "process_params", process_params)
    replace(yaml_files, "TypeAdapter", _adapter_of)
    for module in (deployment_files, policy_file):
        replace(module, "load_yaml", load_yaml)


@functools.cache
def _adapter_of(shape: Any) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(shape)


def load_yaml(path: Path, shape: Any, what: str) -> Any:
    """The plugin's own, which reads the same text once: what it gives is frozen."""
    try:
        content = path.read_bytes()
    except OSError:
        return yaml_files.load_yaml(path, shape, what)  # it says what is wrong
    return _loaded(path, content, shape, what)


@functools.lru_cache(maxsize=64)
def _loaded(path: Path, content: bytes, shape: Any, what: str) -> Any:
    return yaml_files.load_yaml(path, shape, what)
