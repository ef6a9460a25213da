"""The ownership mark in Nova's disabled_reason."""

from __future__ import annotations

import pytest

from openstack_maintenance.domain.mark import LONGEST_RUN_ID, Mark, find_mark

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
    assert str(Mark(DAG, "r1", "kernel")) == f"[airflow {DAG} r1] kernel"


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
