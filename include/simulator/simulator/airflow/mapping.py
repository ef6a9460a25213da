"""Mapped tasks: how many elements they have, and which elements belong together.

Source: airflow/models/taskmap.py, models/taskinstance.py (_get_relevant_map_indexes), 3.3.2.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk.definitions.xcom_arg import PlainXComArg, XComArg

from simulator.airflow.dags import Dag, Task
from simulator.airflow.records import Run, Store

MAX_MAP_LENGTH = 1024


def length_of(store: Store, dag: Dag, run: Run, task: Task) -> int | None:
    """How many elements a mapped task has in a run; None while that is not known."""
    inputs = [task.source._get_specified_expand_input()] if task.is_mapped else []
    if task.group is not None:
        inputs += [each._expand_input for each in task.group.iter_mapped_task_groups()]
    total = 1
    for each in inputs:
        length = _length_of_input(store, dag, run, each)
        if length is None:
            return None
        total *= length
    return total


def partner_of(task: Task, other: Task, map_index: int) -> int | None:
    """Which element of another task belongs to an element of this one; None for all of them."""
    if task.group is None or other.group is None:
        return None
    groups = {each.group_id for each in task.group.iter_mapped_task_groups()}
    if not any(each.group_id in groups for each in other.group.iter_mapped_task_groups()):
        return None
    if task.is_mapped or other.is_mapped:
        raise NotImplementedError("a mapped task in a mapped group")
    return map_index


def _length_of_input(store: Store, dag: Dag, run: Run, expand_input: Any) -> int | None:
    value = expand_input.value
    if not isinstance(value, dict):  # expand_kwargs
        return _length_of_value(store, dag, run, value)
    total = 1
    for each in value.values():
        length = _length_of_value(store, dag, run, each)
        if length is None:
            return None
        total *= length
    return total


def _length_of_value(store: Store, dag: Dag, run: Run, value: Any) -> int | None:
    if not isinstance(value, XComArg):
        return len(value)
    if not isinstance(value, PlainXComArg):
        raise NotImplementedError("expanded over something else than a task's output")
    task = dag.tasks[value.operator.task_id]
    if not task.is_expanded:
        return store.lengths.get((*run.key, task.task_id))
    instances = list(run.instances(task.task_id))
    if any(not each.is_finished for each in instances):
        return None
    return len(store.xcoms.get((*run.key, task.task_id, value.key), {}))
