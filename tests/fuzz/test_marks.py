"""Marks: anyone writes disabled_reasons, and what a person gives as reason is no control word."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

import builders
from hostile import TIMES, chars, json_values, texts
from judged import assert_grows_linearly, judged
from openstack_maintenance.domain.cloud import ComputeService
from openstack_maintenance.domain.foreign_text import storable
from openstack_maintenance.domain.host.rules import hosts_out_blocker, owner_blocker
from openstack_maintenance.domain.mark import (
    CLOSED,
    FAILED_AT,
    HOST_DAG,
    NIGHT_DAG,
    Kind,
    Mark,
    find_mark,
)
from openstack_maintenance.domain.nights.due import Candidate, judge_due
from openstack_maintenance.domain.ownership import ownership_lost
from openstack_maintenance.domain.policy import Due, Policy

NOW = datetime(2026, 11, 22, 1, 5, tzinfo=UTC)
kinds: st.SearchStrategy[Kind] = st.sampled_from(["out", "failed", "closed"])
dags = st.sampled_from([HOST_DAG, NIGHT_DAG])
parts = st.sampled_from(
    [CLOSED, f"{FAILED_AT} ", "[closed]", "[failed]", "[out]", "] ", "][", "[airflow ", HOST_DAG]
)
reasons = st.one_of(
    st.lists(st.one_of(parts, parts, texts), max_size=4).map("".join), st.text(chars, max_size=300)
)
run_ids = st.one_of(
    st.from_regex(r"[A-Za-z0-9_.~:+-]{1,180}", fullmatch=True), st.text(chars, max_size=260)
)


def service(reason: object) -> ComputeService:
    return builders.service(is_enabled=False, disabled_reason=reason)


@given(dag_id=dags, run_id=run_ids, text=reasons, kind=kinds)
def test_a_mark_says_its_own_kind_and_run_whatever_its_text(
    dag_id: str, run_id: str, text: str, kind: Kind
) -> None:
    mark = Mark(dag_id, run_id, text, kind=kind)
    written = str(mark)
    assert len(written) <= 255
    written.encode()
    if not mark.is_readable:
        return  # then no host is taken out with it
    read = find_mark(written)
    assert read is not None
    assert (read.dag_id, read.run_id, read.kind) == (dag_id, run_id, kind)
    assert str(storable(text)).startswith(read.text) or read.text == ""


@given(text=reasons, dag_id=dags)
def test_no_reason_makes_a_running_maintenance_look_closed_or_failed(
    text: str, dag_id: str
) -> None:
    taken = service(str(Mark(dag_id, "r1", text)))
    assert taken.out_by is not None
    assert not taken.is_closed
    assert not taken.out_by.has_failed
    assert owner_blocker(taken, Mark(HOST_DAG, "r2"), frozenset({"r1"})) is not None


written = st.one_of(
    st.none(),
    reasons,
    st.builds("[airflow {} {}]{}{}".format, dags, run_ids, parts, reasons),
    json_values,
)


@given(reason=written)
def test_whatever_stands_in_a_disabled_reason_is_read(reason: object) -> None:
    found = service(reason)
    judged(lambda: owner_blocker(found, Mark(HOST_DAG, "r1"), frozenset()))
    judged(lambda: hosts_out_blocker("c02", Policy(), [found]))
    judged(lambda: judge_due(Candidate(found, booted=NOW), Due(), NOW, NOW))
    lost = judged(lambda: ownership_lost(found, Mark(HOST_DAG, "r1")))
    assert lost is None or len(str(lost)) < 5000


@given(text=st.sampled_from([*TIMES, CLOSED]), pad=st.integers(0, 300))
def test_a_long_run_id_does_not_push_the_kind_out(text: str, pad: int) -> None:
    mark = Mark(NIGHT_DAG, "r" * pad or "r", text, kind="closed")
    found = service(str(mark))
    assert found.is_closed is mark.is_readable


def test_a_megabyte_of_disabled_reason_is_read_at_once() -> None:
    for begin in ("", "[airflow ", "[airflow d ", "[airflow d r][", "[airflow d r] "):
        for part in ("a", " ", "[", "]", "\n", "a ", "[a "):
            assert_grows_linearly(
                find_mark, lambda size, begin=begin, part=part: begin + part * (size // len(part))
            )
