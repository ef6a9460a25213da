"""The DAGs: parsed once, and a copy of a task for each process that runs it."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG
from airflow.sdk.definitions._internal.types import NOTSET
from airflow.sdk.definitions.xcom_arg import XComArg

from simulator.airflow.errors import BadRequest

if TYPE_CHECKING:
    from airflow.timetables.base import Timetable


# What no DAG of this project uses, and this model does not know.
_NOT_OF_DAGS = ("dagrun_timeout", "fail_fast")
_NOT_OF_TASKS = (
    "depends_on_past",
    "execution_timeout",
    "start_from_trigger",
    "wait_for_downstream",
)


@dataclass(eq=False)
class Task:
    """What the scheduler knows of a task."""

    source: Any  # Airflow's own object
    task_id: str
    upstream: tuple[str, ...]
    downstream: tuple[str, ...]
    rule: str
    retries: int
    is_mapped: bool
    is_teardown: bool
    is_setup: bool
    fails_run: bool  # a teardown whose failure is the run's
    group: Any  # the closest mapped task group
    expanded_over: tuple[str, ...]  # tasks whose XComs it is mapped over
    setups: tuple[str, ...]  # further up than its direct upstream
    per_dag: int | None
    per_run: int | None
    priority: int
    inherits_from_skipmixin: bool
    # Tasks whose turn may depend on how this one ends, and itself.
    watchers: frozenset[str] = frozenset()

    @classmethod
    def of(cls, source: Any) -> Task:
        _check_is_modelled(source, source.task_id, _NOT_OF_TASKS)
        group = source.get_closest_mapped_task_group()
        upstream = tuple(sorted(source.upstream_task_ids))
        setups = () if source.is_teardown else source.get_upstreams_only_setups()
        return cls(
            source=source,
            task_id=source.task_id,
            upstream=upstream,
            downstream=tuple(sorted(source.downstream_task_ids)),
            rule=str(getattr(source.trigger_rule, "value", source.trigger_rule)),
            retries=int(source.retries or 0),
            is_mapped=bool(source.is_mapped),
            is_teardown=bool(source.is_teardown),
            is_setup=bool(source.is_setup),
            fails_run=bool(source.on_failure_fail_dagrun),
            group=group,
            expanded_over=tuple(_expanded_over(source, group)),
            setups=tuple(sorted({each.task_id for each in setups} - set(upstream))),
            per_dag=source.max_active_tis_per_dag,
            per_run=source.max_active_tis_per_dagrun,
            priority=_priority(source),
            inherits_from_skipmixin=bool(source.inherits_from_skipmixin),
        )

    @property
    def is_expanded(self) -> bool:
        """Whether it has elements: it is mapped, or in a mapped group."""
        return self.is_mapped or self.group is not None

    @property
    def operator(self) -> str:
        return str(self.source.operator_name)


@dataclass(eq=False)
class Dag:
    """A DAG, and what of it the scheduler asks for again and again."""

    source: DAG
    tasks: dict[str, Task] = field(default_factory=dict)

    @classmethod
    def of(cls, source: DAG) -> Dag:
        _check_is_modelled(source, source.dag_id, _NOT_OF_DAGS)
        order = [task.task_id for task in source.topological_sort()]
        tasks = {name: Task.of(source.task_dict[name]) for name in order}
        for task in tasks.values():
            task.watchers = frozenset(_watchers(task, tasks))
        return cls(source, tasks)

    @cached_property
    def leaves(self) -> frozenset[str]:
        """The tasks whose states make the run's."""

        def ignored(task: Task) -> bool:
            return task.is_teardown and not task.fails_run

        found = {
            each.task_id
            for each in self.tasks.values()
            if not ignored(each) and all(ignored(self.tasks[down]) for down in each.downstream)
        }
        return frozenset(
            found or {name for name, task in self.tasks.items() if not task.downstream}
        )

    @cached_property
    def timetable(self) -> Timetable:
        """The scheduler's own."""
        from airflow.serialization.serialized_objects import DagSerialization

        return DagSerialization.from_dict(DagSerialization.to_dict(self.source)).timetable

    def fresh(self, task_id: str) -> Any:
        """A task as a new process has it: nothing that another one put into it is there."""
        task = self.source.task_dict[task_id]
        if task.is_mapped:  # each process makes its own operator of it
            return task
        shared = (self.source, task.task_group, NOTSET)
        memo = {id(each): each for each in shared}
        return copy.deepcopy(task, memo)


class Dags:
    """The DAGs of one Airflow, by id."""

    def __init__(self, sources: Iterable[DAG] = ()) -> None:
        self._dags = {each.dag_id: Dag.of(each) for each in sources}

    def __getitem__(self, dag_id: str) -> Dag:
        if dag_id not in self._dags:
            raise BadRequest(f"there is no DAG {dag_id}")
        return self._dags[dag_id]

    def __contains__(self, dag_id: str) -> bool:
        return dag_id in self._dags

    def __iter__(self) -> Iterator[str]:
        return iter(self._dags)


def _expanded_over(source: Any, group: Any) -> Iterator[str]:
    if source.is_mapped:
        expand_input = source._get_specified_expand_input()
        yield from (task.task_id for task, _ in XComArg.iter_xcom_references(expand_input))
    if group is not None:
        for each in group.iter_mapped_task_groups():
            yield from (task.task_id for task in each.iter_mapped_dependencies())


def _check_is_modelled(source: Any, name: str, unknown: Iterable[str]) -> None:
    if used := [each for each in unknown if getattr(source, each, None)]:
        raise NotImplementedError(f"{name} uses {', '.join(used)}: the model does not know that")


def _watchers(task: Task, tasks: dict[str, Task]) -> Iterator[str]:
    yield task.task_id
    yield from task.downstream
    for other in tasks.values():
        if other.is_teardown or {task.task_id} & {*other.expanded_over, *other.setups}:
            yield other.task_id


def _priority(source: Any) -> int:
    """Airflow's default weight rule: how much there is downstream of it."""
    below = source.get_flat_relatives(upstream=False)
    return int(source.priority_weight) + sum(int(each.priority_weight) for each in below)
