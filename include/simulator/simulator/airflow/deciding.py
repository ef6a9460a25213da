"""What a scheduler makes of one run: which task instances may run, which never will, how it ended.

Source: airflow/models/dagrun.py (update_state, _get_ready_tis), ti_deps/deps/*.py, 3.3.2.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from simulator.airflow import rules
from simulator.airflow.dags import Dag, Task
from simulator.airflow.mapping import length_of, partner_of
from simulator.airflow.records import FAILED, SUCCEEDED, Run, State, Store, TaskInstance

# (run, task_id, map_index): a new row
Make = Callable[[Run, str, int], TaskInstance]
SetState = Callable[[TaskInstance, State], None]


@dataclass
class Decision:
    """One look at a run. What changes during it is seen by the next look, as in Airflow."""

    store: Store
    dag: Dag
    run: Run
    now: datetime
    make: Make
    set_state: SetState
    _changed: set[TaskInstance] = field(default_factory=set)
    _revised: set[str] = field(default_factory=set)

    def ready(self) -> list[TaskInstance]:
        """Those that may be scheduled now; others are skipped or failed by their upstream."""
        names, self.run.dirty = self.run.dirty, set()
        candidates = [
            each
            for name in self.dag.tasks
            if name in names
            for each in self.run.instances(name)
            if each.state is None or self._is_due_again(each)
        ]
        found: list[TaskInstance] = []
        while candidates:
            made: list[TaskInstance] = []
            for each in candidates:
                found += self._look_at(each, made)
            candidates = made
        return found

    def outcome(self) -> str | None:
        """How the run has ended, by its leaves; None while anything is unfinished."""
        if self.run.unfinished:
            return None
        states = {
            each.state
            for name in self.dag.leaves
            for each in self.run.instances(name)
            if each.state != "removed"
        }
        if states & FAILED:
            return "failed"
        return "success" if states <= SUCCEEDED else None

    def _is_due_again(self, each: TaskInstance) -> bool:
        if each.state == "up_for_reschedule":
            return each.reschedule_at is None or each.reschedule_at <= self.now
        return each.state == "up_for_retry" and self._retry_is_due(each)

    def _retry_is_due(self, each: TaskInstance) -> bool:
        if each.retry_delay is None or each.end_date is None:
            return True
        return each.end_date + each.retry_delay <= self.now

    def _look_at(self, each: TaskInstance, made: list[TaskInstance]) -> Iterator[TaskInstance]:
        task = self.dag.tasks[each.task_id]
        if not self._may_run(task, each):
            return
        if task.is_expanded and each.map_index < 0:
            made += self._expand(task, each)
            return
        if task.is_expanded and task.task_id not in self._revised:
            self._revised.add(task.task_id)
            yield from self._revise(task)
        if each.state != "removed":
            yield each

    # Whether one may run.

    def _may_run(self, task: Task, each: TaskInstance) -> bool:
        if self._skipped_by_parent(task, each):
            self._set(each, "skipped")
            return False
        if not self._rule_is_met(task, each):
            self._fail_with_expansion(task, each)
            return False
        return not self._fail_with_expansion(task, each)

    def _rule_is_met(self, task: Task, each: TaskInstance) -> bool:
        if task.setups:
            up = rules.Upstream.of(*self._counted(task, each, task.setups))
            verdict = rules.judge_setups(up, each.map_index)
            if verdict.state is not None:
                self._set(each, verdict.state)
                return False
            if not verdict.may_run:
                return False
        total, ended = self._counted(task, each, task.upstream)
        names = [name for name in task.upstream if self.dag.tasks[name].is_setup]
        setups = [one.state for name in names for one in self._relevant(task, each, name)]
        verdict = rules.judge(task.rule, rules.Upstream.of(total, ended, setups), each.map_index)
        if verdict.state is not None:
            self._set(each, verdict.state)
            return False
        return verdict.may_run and (not task.is_teardown or self._scope_is_done(task))

    def _scope_is_done(self, task: Task) -> bool:
        """All tasks between the setups and their teardown have ended."""
        source, dag = task.source, self.dag.source
        further = source.get_flat_relative_ids(upstream=True) - set(task.upstream)
        scope: set[str] = set()
        for setup in (each for each in task.upstream if self.dag.tasks[each].is_setup):
            scope |= further & dag.task_dict[setup].get_flat_relative_ids(upstream=False)
        return all(self._is_seen_finished(each) for n in scope for each in self.run.instances(n))

    def _counted(
        self, task: Task, each: TaskInstance, names: Iterable[str]
    ) -> tuple[int, list[State]]:
        """How many task instances there are upstream, and the states of those that have ended."""
        relevant = [one for name in names for one in self._relevant(task, each, name)]
        return len(relevant), [one.state for one in relevant if self._is_seen_finished(one)]

    def _relevant(self, task: Task, each: TaskInstance, name: str) -> Iterable[TaskInstance]:
        by_index = self.run.tasks.get(name, {})
        if task.group is None:
            return by_index.values()
        is_early = each.map_index < 0 and task.rule in rules.FAST
        if is_early and name not in task.expanded_over:
            return by_index.values()
        if not length_of(self.store, self.dag, self.run, task):
            return by_index.values()
        partner = partner_of(task, self.dag.tasks[name], each.map_index)
        if partner is None:
            return by_index.values()
        return [one for index, one in by_index.items() if index < 0 or index == partner]

    def _is_seen_finished(self, each: TaskInstance) -> bool:
        return each.is_finished and each not in self._changed

    def _fail_with_expansion(self, task: Task, each: TaskInstance) -> bool:
        """What it is mapped over has not succeeded: then it cannot either."""
        states = {
            one.state
            for name in task.expanded_over
            if (one := self.run.tasks.get(name, {}).get(-1)) is not None and one.is_finished
        }
        if not states or states == {"success"}:
            return False
        if each.state not in FAILED:
            if states & FAILED:
                self._set(each, "upstream_failed")
            elif "skipped" in states:
                self._set(each, "skipped")
        return True

    def _skipped_by_parent(self, task: Task, each: TaskInstance) -> bool:
        """A short circuit or an approval further up has named it as skipped."""
        for parent in (self.dag.tasks[name] for name in task.upstream):
            if not parent.inherits_from_skipmixin:
                continue
            texts = self.store.xcoms.get((*self.run.key, parent.task_id, "skipmixin_key"), {})
            text = texts.get(each.map_index if parent.is_mapped else -1)
            told = {} if text is None else json.loads(text)
            if "followed" in told and task.task_id not in told["followed"]:
                return True
            if task.task_id in told.get("skipped", ()):
                return True
        return False

    # Mapped tasks.

    def _expand(self, task: Task, each: TaskInstance) -> list[TaskInstance]:
        """Make its elements. They are looked at in the same look."""
        length = length_of(self.store, self.dag, self.run, task)
        if length is None:
            self._set(each, "upstream_failed")
            return []
        if length < 1:
            self._set(each, "skipped")
            return []
        by_index = self.run.tasks[task.task_id]
        del by_index[-1]
        if 0 in by_index:
            self.run.unfinished -= 1
        else:
            each.map_index = 0
            by_index[0] = each
        missing = [index for index in range(length) if index not in by_index]
        made = [self.make(self.run, task.task_id, index) for index in missing]
        self._remove(task, length)
        self.run.dirty |= set(task.downstream)
        return [each, *made] if each.map_index == 0 else made

    def _revise(self, task: Task) -> Iterator[TaskInstance]:
        """What it is mapped over may have changed since it was expanded."""
        length = length_of(self.store, self.dag, self.run, task)
        if length is None:
            return
        self._remove(task, length)
        for index in range(length):
            if index not in self.run.tasks[task.task_id]:
                yield self.make(self.run, task.task_id, index)

    def _remove(self, task: Task, length: int) -> None:
        for one in list(self.run.instances(task.task_id)):
            if one.map_index >= length and one.state != "removed":
                self._set(one, "removed")

    def _set(self, each: TaskInstance, state: str) -> None:
        self._changed.add(each)
        self.set_state(each, state)
