"""Two triggerers and one slot: who asks Nova, and that no death and no storage holds it up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from builders import migration
from drain_nova import REFUSED
from openstack_maintenance.domain.drain.claim import (
    CLAIM_HOLDS,
    Claim,
    name_of,
    open_claims,
    read_claim,
)
from openstack_maintenance.domain.drain.slots import Limits
from openstack_maintenance.domain.errors import PolicyError
from openstack_maintenance.records.claims import Claims
from openstack_maintenance.triggers.drain import claims as drain_claims
from watched_moves import (
    SOURCE,
    Watches,
    begun,
    enter,
    most_at_once,
    nova_with,
    outcomes,
    said,
    until,
)

NOW = datetime(2026, 3, 10, 1, 0, tzinfo=UTC)
CLAIM = Claim(NOW, "i1", SOURCE, "other", 0, is_live=True)


class Book:
    """Claims in memory. ``before_list``: called before each list; ``error``: what is raised."""

    def __init__(self) -> None:
        self.open: set[Claim] = set()
        self.writes = self.lists = 0
        self.before_list: Callable[[], None] = lambda: None
        self.error: Exception | None = None

    def write(self, claim: Claim) -> None:
        self._may_fail()
        self.writes += 1
        self.open.add(claim)

    def all(self) -> list[Claim]:
        self._may_fail()
        self.lists += 1
        self.before_list()
        return list(self.open)

    def strike(self, claim: Claim) -> None:
        self._may_fail()
        self.open.discard(claim)

    def _may_fail(self) -> None:
        if self.error is not None:
            raise self.error


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drain_claims, "_WITHDRAWS_WITHIN", 0.01)


async def in_two(watch_of: Watches, book: Book, per_host: int = 1) -> Any:
    """Two triggerers have the moves of one host."""
    nova = nova_with(*(f"i{number}" for number in range(6)), takes=3)
    given = {"limits": Limits(per_host, 4), "claims": book}
    one, other = watch_of(nova), watch_of(nova)
    moves = enter(one, nova, "i0", "i2", "i4", **given)
    moves += enter(other, nova, "i1", "i3", "i5", **given)
    assert all(isinstance(each, dict) for each in await outcomes(moves))
    return nova


@pytest.mark.parametrize("per_host", [1, 2])
async def test_two_triggerers_never_take_more_slots_than_there_are(
    watch_of: Watches, per_host: int
) -> None:
    nova = await in_two(watch_of, Book(), per_host)
    assert most_at_once(nova, SOURCE) == per_host
    assert sorted(begun(nova)) == [f"i{number}" for number in range(6)]


async def test_of_two_that_see_each_other_the_first_one_gets_the_slot(watch_of: Watches) -> None:
    book = Book()
    rival: list[Claim] = []

    def somebody_claims_too() -> None:
        if not rival:  # later, and withdraws as soon as it has seen ours
            rival.append(replace(min(book.open), instance="i9", holder="z", at=_later(book)))
            book.open.add(rival[0])
        elif book.lists > 1:
            book.open.discard(rival[0])

    book.before_list = somebody_claims_too
    nova = nova_with("i1")
    (outcome,) = await outcomes(enter(watch_of(nova), nova, claims=book))
    assert outcome["host"] and book.writes == 1 and book.lists == 2


def _later(book: Book) -> datetime:
    return min(book.open).at + timedelta(seconds=1)


async def test_who_comes_later_withdraws_and_waits(watch_of: Watches) -> None:
    book, nova = Book(), nova_with("i1")
    first = replace(CLAIM, instance="i9", at=nova.now() - timedelta(seconds=5))
    book.open.add(first)
    (move,) = enter(watch_of(nova), nova, claims=book)
    await until(lambda: book.lists > 2)
    assert book.open == {first} and begun(nova) == []
    assert "waits for its turn: 1 of 1 migrations off c01 in flight" in said(move)
    assert book.writes == 1  # what is seen claimed is looked at again, and not claimed against
    book.open.clear()
    (outcome,) = await outcomes([move])
    assert outcome["host"] != SOURCE


async def test_a_claim_of_a_dead_triggerer_is_no_slot_of_its_own_instance(
    watch_of: Watches,
) -> None:
    book, nova = Book(), nova_with("i1")
    book.open.add(replace(CLAIM, at=nova.now()))
    (outcome,) = await outcomes(enter(watch_of(nova), nova, "i1", claims=book))
    assert outcome["host"] != SOURCE


async def test_a_claim_of_a_dead_triggerer_holds_for_minutes_and_is_struck_out(
    watch_of: Watches,
) -> None:
    book, nova = Book(), nova_with("i1")
    dead = replace(CLAIM, instance="i9", at=nova.now() - CLAIM_HOLDS - timedelta(seconds=1))
    book.open.add(dead)
    (outcome,) = await outcomes(enter(watch_of(nova), nova, "i1", claims=book))
    assert outcome["host"] != SOURCE and dead not in book.open


async def test_one_triggerer_alone_writes_and_lists_once_a_migration(watch_of: Watches) -> None:
    book, nova = Book(), nova_with("i1", "i2", "i3", takes=4)
    await outcomes(enter(watch_of(nova), nova, claims=book))
    assert (book.writes, book.lists) == (3, 3)


async def test_a_storage_that_fails_starts_nothing_and_is_waited_for(watch_of: Watches) -> None:
    book, nova = Book(), nova_with("i1")
    book.error = PolicyError("records", "cannot be used: 503", "Fix it.")
    (move,) = enter(watch_of(nova), nova, claims=book)
    lines: list[str] = []
    await until(lambda: bool(lines.extend(said(move)) or [x for x in lines if "claimed" in x]))
    assert begun(nova) == []
    book.error = None
    (outcome,) = await outcomes([move])
    assert outcome["host"] != SOURCE


async def test_what_nova_refuses_is_claimed_no_more(watch_of: Watches) -> None:
    book, nova = Book(), nova_with("i1", errors={"live_migrate": REFUSED})
    await outcomes(enter(watch_of(nova), nova, claims=book))
    assert book.writes and not book.open


async def test_a_task_that_is_killed_while_its_slot_is_claimed_starts_nothing(
    watch_of: Watches,
) -> None:
    book, nova = Book(), nova_with("i1")
    watch = watch_of(nova)
    book.before_list = lambda: watch.leave(move)
    (move,) = enter(watch, nova, claims=book)
    await until(lambda: move.done.cancelled())
    await asyncio.sleep(0.05)
    assert begun(nova) == [] and not book.open


@pytest.mark.parametrize(
    "claim",
    [
        CLAIM,
        replace(CLAIM, is_live=False, after=17, at=NOW + timedelta(microseconds=5)),
        replace(CLAIM, host=name_of("h" * 250 + ".example.com")),
        replace(CLAIM, host=name_of("a,b/c"), instance=name_of("../x")),
    ],
)
def test_a_claim_is_read_from_its_file_s_name(claim: Claim) -> None:
    assert read_claim(claim.file_name) == claim
    assert len(claim.file_name) < 250 and "/" not in claim.file_name


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".tmp",
        "a,b,c,d,e,f.json",
        f"{CLAIM.file_name}.bak",
        CLAIM.file_name.replace("live", "x"),
        CLAIM.file_name.replace("20260310", "20261310"),
    ],
)
def test_another_file_is_no_claim(name: str) -> None:
    assert read_claim(name) is None


def test_a_claim_counts_until_nova_lists_what_came_of_it() -> None:
    older = migration(4, "completed", instance_id="i1", source=SOURCE)
    claim = replace(CLAIM, after=4)
    assert [each.source for each in open_claims([claim], [older], NOW)] == [SOURCE]
    assert open_claims([claim], [older, replace(older, id=5)], NOW) == []
    assert open_claims([claim], [older], NOW + CLAIM_HOLDS * 2) == []
    assert open_claims([claim], [older], NOW - CLAIM_HOLDS * 2) == []  # a clock was set back
    twice = [claim, replace(claim, holder="third")]
    assert len(open_claims(twice, [older], NOW)) == 1


@pytest.mark.parametrize("url", ["file://{}/records", "memory://{}/records"])
def test_claims_are_files_that_every_process_lists(tmp_path: Path, url: str) -> None:
    policy: Any = SimpleNamespace(records=url.format(tmp_path))
    one, other = Claims(policy), Claims(policy)
    assert one.all() == []
    one.write(CLAIM)
    second = replace(CLAIM, instance="i2")
    other.write(second)
    assert sorted(one.all()) == sorted(other.all()) == [CLAIM, second]
    one.strike(second)
    one.strike(second)
    assert other.all() == [CLAIM]
