"""Trigger rules: what the states of a task's upstream make of it.

Source: airflow/ti_deps/deps/trigger_rule_dep.py (3.3.2), rule by rule.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from simulator.airflow.records import State


class Verdict(NamedTuple):
    """The state that it comes to at once, if any, and whether it may run."""

    state: State
    may_run: bool


@dataclass(frozen=True)
class Upstream:
    """How many task instances there are upstream, and how those that have ended have."""

    total: int
    success: int = 0
    skipped: int = 0
    failed: int = 0
    upstream_failed: int = 0
    removed: int = 0
    setups: int = 0
    success_setups: int = 0
    skipped_setups: int = 0

    @classmethod
    def of(cls, total: int, ended: Iterable[State], setups: Iterable[State] = ()) -> Upstream:
        """Count them. ``setups``: the states of those that are setups, None for unfinished."""
        states, of_setups = list(ended), list(setups)
        return cls(
            total,
            states.count("success"),
            states.count("skipped"),
            states.count("failed"),
            states.count("upstream_failed"),
            states.count("removed"),
            len(of_setups),
            of_setups.count("success"),
            of_setups.count("skipped"),
        )

    @property
    def done(self) -> int:
        return self.success + self.skipped + self.failed + self.upstream_failed + self.removed

    @property
    def is_done(self) -> bool:
        return self.done >= self.total

    @property
    def has_failed(self) -> bool:
        return bool(self.failed or self.upstream_failed)


def judge(rule: str, up: Upstream, map_index: int) -> Verdict:
    """What a trigger rule says. Raises: NotImplementedError for one that no DAG here uses."""
    return _RULES[rule](up, map_index)


def judge_setups(up: Upstream, map_index: int) -> Verdict:
    """What the setups further up say of a task in their scope."""
    state, may_run = _all_success(up, map_index)
    missing = up.total - up.success - (up.removed if map_index > -1 else 0)
    return Verdict(state, may_run and missing <= 0)


def _all_success(up: Upstream, map_index: int) -> Verdict:
    state = None
    if up.has_failed:
        state = "upstream_failed"
    elif up.skipped:
        state = "skipped"
    elif up.removed and up.success and map_index > -1 and map_index >= up.success:
        state = "removed"
    return Verdict(state, up.total - up.success - up.removed <= 0)


def _all_done(up: Upstream, _: int) -> Verdict:
    return Verdict(None, up.is_done)


def _none_failed(up: Upstream, _: int) -> Verdict:
    failures = up.total - up.success - up.skipped - up.removed
    return Verdict("upstream_failed" if up.has_failed else None, failures <= 0)


def _none_failed_min_one_success(up: Upstream, _: int) -> Verdict:
    state = None
    if up.has_failed:
        state = "upstream_failed"
    elif up.skipped == up.total:
        state = "skipped"
    elif up.is_done and up.success == 0:
        state = "upstream_failed"
    failures = up.total - up.success - up.skipped - up.removed
    return Verdict(state, failures <= 0 and up.success > 0)


def _one_success(up: Upstream, _: int) -> Verdict:
    state = None
    if up.is_done and up.done == up.skipped:
        state = "skipped"
    elif up.is_done and not up.success:
        state = "upstream_failed"
    return Verdict(state, up.success > 0)


def _one_failed(up: Upstream, _: int) -> Verdict:
    state = "skipped" if up.is_done and not up.has_failed else None
    return Verdict(state, up.has_failed)


def _all_failed(up: Upstream, _: int) -> Verdict:
    state = "skipped" if up.success or up.skipped else None
    return Verdict(state, up.total - up.failed - up.upstream_failed - up.removed <= 0)


def _none_skipped(up: Upstream, _: int) -> Verdict:
    return Verdict("skipped" if up.skipped else None, up.is_done and not up.skipped)


def _all_done_setup_success(up: Upstream, _: int) -> Verdict:
    """The rule of a teardown."""
    state = None
    if up.is_done and up.setups and up.skipped_setups >= up.setups:
        state = "skipped"
    elif up.is_done and up.setups and not up.success_setups:
        state = "upstream_failed"
    return Verdict(state, up.is_done and not (up.setups and not up.success_setups))


_RULES = {
    "all_success": _all_success,
    "all_done": _all_done,
    "none_failed": _none_failed,
    "none_failed_min_one_success": _none_failed_min_one_success,
    "one_success": _one_success,
    "one_failed": _one_failed,
    "all_failed": _all_failed,
    "none_skipped": _none_skipped,
    "all_done_setup_success": _all_done_setup_success,
}
# May be met by a part of the upstream.
FAST = frozenset({"one_success", "one_failed", "one_done", "none_failed_min_one_success"})
