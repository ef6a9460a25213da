"""The ownership mark in Nova's disabled_reason."""

from __future__ import annotations

import pytest

from openstack_maintenance.domain.mark import (
    CLOSED,
    FAILED_AT,
    LONGEST_RUN_ID,
    NIGHT_DAG,
    Kind,
    Mark,
    find_mark,
)

DAG = "compute_host_maintenance"
RUN = "manual__2026-03-10T01:00:00.123456+00:00_aB3"


@pytest.mark.parametrize(
    "text",
    ["kernel update", "", "brackets ] and [ in it", "two\nlines", "ä, ö, 修", "[airflow x y]"],
)
def test_a_mark_is_read_back_as_it_was_written(text: str) -> None:
    mark = Mark(DAG, RUN, text)
    assert find_mark(str(mark)) == mark


def test_it_reads_as_people_expect() -> None:
    assert str(Mark(DAG, "r1", "kernel")) == f"[airflow {DAG} r1][out] kernel"


def test_a_long_text_is_cut_to_what_nova_keeps_and_the_run_stays_readable() -> None:
    mark = Mark(DAG, RUN, "x" * 1000)
    assert len(str(mark)) == 255
    assert mark.same_run(find_mark(str(mark)))


def test_the_longest_run_id_that_is_allowed_survives() -> None:
    mark = Mark(DAG, "r" * LONGEST_RUN_ID, "failed at reboot: " + "x" * 300)
    assert mark.same_run(find_mark(str(mark)))


def test_a_mark_that_nova_stripped_of_its_last_blank_is_still_one() -> None:
    assert Mark(DAG, RUN, "").same_run(find_mark(str(Mark(DAG, RUN, "")).strip()))


@pytest.mark.parametrize(
    "reason",
    [
        None,
        "",
        "broken DIMM, Anna",
        "airflow",
        "[airflow]",
        "see [airflow dag run] in the log",
        "AUTO: Connection to libvirt lost: 0",
        "[Airflow dag run] x",
    ],
)
def test_what_a_person_wrote_is_no_mark(reason: str | None) -> None:
    assert find_mark(reason) is None


@pytest.mark.parametrize(
    ("other", "is_same"),
    [
        (Mark(DAG, RUN, "another text"), True),
        (Mark(DAG, "another run", "kernel"), False),
        (Mark("nightly_compute_maintenance", RUN, "kernel"), False),
        (None, False),
    ],
)
def test_only_the_same_run_of_the_same_dag_owns_a_host(other: Mark | None, is_same: bool) -> None:
    assert Mark(DAG, RUN, "kernel").same_run(other) is is_same


# The kind stands outside of the text, which may be what a person gave as reason.
LIKE_A_KIND = [
    CLOSED,
    f"{CLOSED}, says Ana",
    f"{FAILED_AT} reboot: host c01: no",
    "[closed] x",
    "[failed]",
    "][closed] x",
    " [closed]",
    f"[airflow {NIGHT_DAG} r1][closed] {CLOSED}",
]


@pytest.mark.parametrize("kind", ["out", "failed", "closed"])
@pytest.mark.parametrize("dag_id", [DAG, NIGHT_DAG])
@pytest.mark.parametrize("text", [*LIKE_A_KIND, "", "kernel"])
def test_no_text_can_look_like_another_kind(kind: Kind, dag_id: str, text: str) -> None:
    read = find_mark(str(Mark(dag_id, RUN, text, kind=kind)))
    assert read == Mark(dag_id, RUN, text, kind=kind)
    assert (read.is_closed, read.has_failed) == (kind == "closed", kind == "failed")


@pytest.mark.parametrize("kind", ["out", "failed", "closed"])
def test_kind_and_run_survive_the_cut(kind: Kind) -> None:
    mark = Mark(NIGHT_DAG, "r" * LONGEST_RUN_ID, "x" * 300, kind=kind)
    read = find_mark(str(mark))
    assert mark.same_run(read)
    assert read is not None
    assert read.kind == kind


# What older releases wrote has no kind of its own.
@pytest.mark.parametrize(
    ("written", "kind"),
    [
        (f"[airflow {NIGHT_DAG} n1] {CLOSED}", "closed"),
        (f"[airflow {DAG} r1] {CLOSED}", "out"),
        (f"[airflow {DAG} r1] {FAILED_AT} reboot: host c01: no answer", "failed"),
        (f"[airflow {NIGHT_DAG} r1] {FAILED_AT} reboot: no", "out"),
        (f"[airflow {DAG} r1] kernel", "out"),
        (f"[airflow {DAG} r1]", "out"),
        (f"[airflow {DAG} r1][out] {FAILED_AT} my desk", "out"),
        (f"[airflow {NIGHT_DAG} r1][out] {CLOSED}", "out"),
        (f"[airflow {DAG} r1][soaking] {FAILED_AT} x", "out"),
        (f"[airflow {DAG} r1][] {FAILED_AT} x", "out"),
    ],
)
def test_an_older_releases_mark_is_read_by_the_dag_that_wrote_it(written: str, kind: str) -> None:
    read = find_mark(written)
    assert read is not None
    assert read.kind == kind


@pytest.mark.parametrize(
    ("run_id", "is_readable"),
    [(RUN, True), ("a b", True), ("r" * 240, False), ("a][closed", False), ("a\0", False)],
)
def test_a_run_id_that_could_not_be_read_back_is_noticed(run_id: str, is_readable: bool) -> None:
    assert Mark(NIGHT_DAG, run_id, CLOSED, kind="closed").is_readable is is_readable


def test_what_no_database_takes_is_replaced() -> None:
    assert str(Mark(DAG, "r1", "a\0b\ud800c")) == f"[airflow {DAG} r1][out] a\ufffdb\ufffdc"


@pytest.mark.parametrize("reason", [5, [], {}, True, b"[airflow a b]"])
def test_what_is_no_text_is_no_mark(reason: object) -> None:
    assert find_mark(reason) is None  # type: ignore[arg-type]  # as a proxy may answer
