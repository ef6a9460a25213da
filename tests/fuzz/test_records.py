"""Records: what is read back may be anything, and no page fails on what a stranger wrote."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostile import chars, json_values, mutated, texts
from judged import assert_grows_linearly, judged
from openstack_maintenance.domain.controllers.instance_changes import compare_instances
from openstack_maintenance.domain.errors import MaintenanceError
from openstack_maintenance.domain.foreign_text import storable
from openstack_maintenance.domain.moment import read_moment
from openstack_maintenance.domain.nights.experience import Experience
from openstack_maintenance.domain.nights.pace import learnt_pace
from openstack_maintenance.domain.nights.plan import NightPace
from openstack_maintenance.domain.policy import Policy
from openstack_maintenance.domain.record_name import file_name
from openstack_maintenance.operators.controllers.notes import is_note
from openstack_maintenance.records import last_check, last_maintenance, past_runs
from openstack_maintenance.records import store as run_record
from openstack_maintenance.records import turn as night_turn
from openstack_maintenance.records.page import page_of, shown
from sample_records import AT, DAG, PICTURE, RECORDS, RUN

pages = pytest.mark.parametrize("page", RECORDS)
MARKUP = (
    "<x-evil>",
    "'\"><x-evil>",
    "</style><x-evil>",
    "{{ 7 * 7 }}<x-evil>",
    "<!--<x-evil>",
    "javascript:x-evil",
)


class Seen(HTMLParser):
    """The tags and addresses of a page, as a browser finds them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found |= {tag, *(name for name, _ in attrs)}
        self.found |= {"outside" for name, at in attrs if name == "href" and at and at[:3] != "../"}


OURS = {
    *("html", "head", "meta", "title", "style", "body", "h1", "h2", "h3", "p", "table", "tr", "th"),
    *("td", "ul", "li", "code", "pre", "span", "br", "a", "lang", "charset", "class", "href"),
}


def assert_is_page(page: str | None) -> None:
    assert page is not None
    page.encode("utf-8")
    assert "\0" not in page
    assert page.rstrip().endswith("</html>")
    assert Seen(page).found <= OURS


@pages
@given(data=st.data())
def test_a_page_of_hostile_values(page: str, data: st.DataObject) -> None:
    hostile = st.one_of(mutated(RECORDS[page]), json_values)
    assert_is_page(judged(page_of, data.draw(hostile), page))


@given(data=st.data(), page=st.sampled_from(list(RECORDS)))
def test_no_text_of_a_record_is_markup(page: str, data: st.DataObject) -> None:
    evil = st.one_of(st.sampled_from(MARKUP), texts)

    def with_texts(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: with_texts(each) for key, each in value.items()}
        if isinstance(value, list):
            return [with_texts(each) for each in value]
        return data.draw(evil) if isinstance(value, str) and data.draw(st.booleans()) else value

    assert_is_page(judged(page_of, with_texts(RECORDS[page]), page))


@given(value=json_values)
def test_any_json_is_shown(value: Any) -> None:
    page = judged(shown, value)
    assert page is not None
    assert Seen(str(page)).found <= OURS


@given(
    text=st.one_of(
        texts,
        st.builds(
            "{}-{}-{}T{}:{}:{}{}".format,
            *[st.text("0123456789٣²", max_size=4)] * 6,
            st.sampled_from(["Z", "", "+00:00", "-14:00", "+99:00"]),
        ),
    )
)
def test_any_text_for_a_moment(text: str) -> None:
    moment = judged(read_moment, text)
    assert moment is None or moment.tzinfo is UTC


@given(value=json_values)
def test_any_json_is_stored_and_read_again(value: Any) -> None:
    text = json.dumps(storable(value), allow_nan=False, ensure_ascii=False)
    text.encode("utf-8")
    assert storable(json.loads(text)) == json.loads(text)


@given(one=st.text(chars, max_size=260), other=st.one_of(st.text(chars, max_size=4), texts))
def test_each_run_id_has_a_file_of_its_own(one: str, other: str) -> None:
    name = file_name(one)
    assert re.fullmatch(r"[^/\\\0]{1,200}", name)
    assert name not in (".", "..")
    assert len(name.encode()) <= 200
    for near in (other, one + other, one.replace("/", "_"), name, file_name(name)):
        assert (file_name(near) == name) == (near == one) or near == name == one


# What lies in the storage.

SEEN = {"boot_id": "b", "clock": AT, "restarts": {"nova-api": 2}}
MEASURED = {"ended_at": AT, "run_id": "r", "moves": 2, "moving_seconds": 9.5, "host_seconds": 60.0}
FIRST_NOTE = {**PICTURE, "nova_services": [["nova-api", "ctl01"]]}
WRITTEN = {"dag_id": DAG, "run_id": RUN, "outcome": "x"}


def read_record(policy: Policy) -> None:
    run_record.has_done(policy, DAG, RUN)


def write_record(policy: Policy) -> None:
    run_record.write_record(policy, WRITTEN)


def read_turn(policy: Policy) -> None:
    str(night_turn.find_turn(policy, DAG, RUN))


def read_before(policy: Policy) -> None:
    note = run_record.find_note(policy, DAG, RUN, "before-ctl01")
    if is_note(note):
        compare_instances(note["instances"], PICTURE["instances"])


def read_paces(policy: Policy) -> None:
    learnt_pace(NightPace(), [*last_maintenance.find_last_maintenances(policy).values()] * 3)


def read_past(policy: Policy) -> None:
    runs = past_runs.find_past_runs(policy, patience_seconds=60)
    known = Experience(runs * 3)
    assert all(0 <= each.value <= 366 * 86400 for each in known.lessons())
    for each in runs:
        known.course(each.host, 1, 512, random.Random(1))  # noqa: S311 - no secret


def read_left(policy: Policy) -> None:
    sorted(last_maintenance.find_left(policy))


def write_left(policy: Policy) -> None:
    last_maintenance.write_left(policy, ["c02"], ["c01"], datetime.now(UTC))


def read_check(policy: Policy) -> None:
    last = last_check.find_last_check(policy, "ctl01")
    assert last.clock is None or last.clock.tzinfo
    assert sum(last.restarts.values()) is not None


def write_checks(policy: Policy) -> None:
    last_check.write_last_checks(policy, {"ctl02": SEEN})


# What is stored, and who reads it or writes it anew.
STORED: dict[str, tuple[Any, tuple[Callable[[Policy], None], ...]]] = {
    f"{DAG}/{RUN}.json": (WRITTEN, (read_record, read_past, write_record)),
    f"{DAG}/notes/{RUN}.turn.json": (
        {"boot_id": "b", "destinations": {"i1": "c02"}},
        (read_turn,),
    ),
    f"{DAG}/notes/{RUN}.before-ctl01.json": (FIRST_NOTE, (read_before,)),
    f"{DAG}/hosts/c01.json": (MEASURED, (read_paces,)),
    "nightly_compute_maintenance/hosts/left.json": ({"hosts": ["c01"]}, (read_left, write_left)),
    "controller_checks/last_check.json": ({"ctl01": SEEN}, (read_check, write_checks)),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A storage. Every module that uses it is loaded: Python writes what it has compiled then."""
    folder = tmp_path_factory.mktemp("records")
    policy = Policy(records=f"file://{folder}")
    for name, (_, ways) in STORED.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        for content in ("null", "{}"):
            (folder / name).write_text(content)
            for way in ways:
                with suppress(MaintenanceError):
                    way(policy)
    return folder


def as_bytes(value: Any) -> bytes:
    try:
        return json.dumps(value).encode()
    except (ValueError, RecursionError):
        return b"[" * 100_000


@pytest.mark.parametrize("name", STORED)
@given(data=st.data())
def test_whatever_lies_in_the_storage_is_read_or_named(
    folder: Path, name: str, data: st.DataObject
) -> None:
    stored, ways = STORED[name]
    whole = json.dumps(stored).encode()
    content = data.draw(
        st.one_of(
            mutated(stored).map(as_bytes),
            mutated(stored).map(as_bytes),
            json_values.map(as_bytes),
            st.binary(max_size=50),
            st.integers(0, len(whole)).map(lambda end: whole[:end]),
        )
    )
    (folder / name).write_bytes(content)
    for way in ways:
        judged(way, Policy(records=f"file://{folder}"), folder=folder)


def test_a_megabyte_of_hostile_text_makes_a_page_in_a_time_that_grows_with_it() -> None:
    for part in ("<", "2026-", "\0 "):
        assert_grows_linearly(shown, lambda size, part=part: [part * (size // len(part))])
    assert_grows_linearly(shown, lambda size: ["<x>"] * (size // 16))
    assert_grows_linearly(read_moment, lambda size: "2026-01-01T" + "0" * size)
    assert_grows_linearly(file_name, lambda size: "/" * size)
    assert_grows_linearly(storable, lambda size: {"k" * 9: ["\0" * 9] * (size // 10)})
