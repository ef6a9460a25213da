"""Moves whose Nova refuses, is silent, or says what nobody foresaw: none ends another one."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from openstack_maintenance.adapters.cloud_errors import Refused
from openstack_maintenance.domain.drain.slots import Limits
from openstack_maintenance.domain.errors import CloudError, ConnectionMissing, MigrationFailed
from openstack_maintenance.domain.foreign_text import in_short
from openstack_maintenance.triggers.drain import watch as drain_watch
from openstack_maintenance.triggers.drain.move import Move
from openstack_maintenance.triggers.drain.watch import DrainWatch
from watched_moves import (
    CONFLICT,
    DEFECTS,
    DESTINATION,
    SILENCE,
    SOURCE,
    Watches,
    begun,
    enter,
    nova_with,
    outcomes,
    request,
    said,
    somebody_moves,
)

pytestmark = pytest.mark.thorough

UNREADABLE = CloudError("cloud lab", "no usable answer: servers: status is null", "Check it.")
# What Nova tells of the hostile instance. The adapter refuses all of it; were it not so, it must
# stay that instance's own matter.
HOSTILE = [
    pytest.param(UNREADABLE, id="unreadable"),
    *(pytest.param(each, id=type(each).__name__) for each in DEFECTS),
    pytest.param({}, id="a dict"),
    pytest.param([], id="a list"),
    pytest.param("x" * 100_000, id="a text"),
    pytest.param(7, id="a number"),
]


async def test_a_conflict_is_looked_at_and_then_the_move_goes_on(watch_of: Watches) -> None:
    nova = nova_with("i1", errors={"live_migrate": [CONFLICT, CONFLICT]})
    (move,) = enter(watch_of(nova), nova)
    (ended,) = await outcomes([move])
    assert ended["host"] == DESTINATION
    assert any(line.startswith("Nova refused, reading the instance again") for line in said(move))


@pytest.mark.parametrize("error", [CONFLICT, SILENCE], ids=["409", "503"])
@pytest.mark.parametrize("call", ["live_migrate", "stop_guest"])
async def test_a_step_that_nova_never_accepts_ends_the_move(
    watch_of: Watches, call: str, error: CloudError
) -> None:
    """Some Novas answer 409 for ever to what they cannot migrate."""
    nova = nova_with("i1", errors={call: error})
    method = "live" if call == "live_migrate" else "stop"
    patience = timedelta(seconds=0.2)
    moves = enter(watch_of(nova), nova, method=method, may_stop=True, api_patience=patience)
    (ended,) = await outcomes(moves)
    # One that cannot be aborted may still arrive.
    assert isinstance(ended, dict if call == "abort" else (CloudError, MigrationFailed))
    assert nova.cloud.instances["i1"].host == SOURCE


async def test_a_refusal_for_good_ends_only_that_move(watch_of: Watches) -> None:
    refused = Refused("instance i1", "Nova refused: no such destination", "Fix it.")
    nova = nova_with("i1", "i2", errors={"live_migrate": [refused]})
    ended = await outcomes(enter(watch_of(nova), nova))
    assert ended[0] is refused
    assert ended[1]["host"] == DESTINATION
    assert nova.calls["live_migrate"] == 2


async def test_wrong_credentials_end_all_moves_at_once(watch_of: Watches) -> None:
    rejected = Refused("cloud lab", "Keystone rejected the credentials (401)", "Fix them.")
    nova = nova_with("i1", "i2", errors={"migrations": rejected})
    assert await outcomes(enter(watch_of(nova), nova)) == [rejected, rejected]
    assert nova.calls["migrations"] == 1


@pytest.mark.parametrize("call", ["read_clock", "migrations", "instances_on", "find_instance"])
async def test_an_api_that_is_silent_for_a_while_is_waited_for(
    watch_of: Watches, call: str
) -> None:
    nova = nova_with(
        "i1", "i2", errors={call: [None, SILENCE, SILENCE] if call == "migrations" else [SILENCE]}
    )
    moves = enter(watch_of(nova), nova)
    assert [each["host"] for each in await outcomes(moves)] == [DESTINATION] * 2
    assert sorted(begun(nova)) == ["i1", "i2"]
    lines = [line for move in moves for line in said(move)]
    assert any(line.startswith("Nova does not answer, trying again: compute API") for line in lines)


async def test_an_api_that_stays_silent_ends_the_moves_with_its_words(watch_of: Watches) -> None:
    nova = nova_with("i1", "i2", errors={"migrations": SILENCE})
    ended = await outcomes(enter(watch_of(nova), nova, api_patience=timedelta(seconds=0.05)))
    assert ended == [SILENCE, SILENCE]
    assert nova.calls["migrations"] > 2


async def test_a_start_whose_answer_got_lost_is_not_repeated(watch_of: Watches) -> None:
    """Nova took the request, but the connection broke before it said so."""
    nova = nova_with("i1")

    def lost(call: str, *args: Any) -> None:
        if call == "live_migrate":
            somebody_moves(nova, args[0])
            raise SILENCE

    nova.before = lost
    (ended,) = await outcomes(enter(watch_of(nova), nova))
    assert ended["host"] == DESTINATION
    assert begun(nova) == ["i1"]


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda each: type(each).__name__)
@pytest.mark.parametrize(
    "call",
    ["read_clock", "migrations", "services", "anti_affinity_groups", "instances_on"],
)
async def test_a_defect_in_a_look_is_waited_for_like_silence(
    watch_of: Watches, call: str, defect: Exception
) -> None:
    nova = nova_with("i1", "i2", errors={call: [defect, defect]})
    ended = await outcomes(enter(watch_of(nova), nova))
    assert [each["host"] for each in ended] == [DESTINATION] * 2


@pytest.mark.parametrize("call", ["read_clock", "migrations", "services", "anti_affinity_groups"])
async def test_a_defect_that_stays_ends_the_moves_with_one_sentence(
    watch_of: Watches, call: str
) -> None:
    nova = nova_with("i1", "i2", errors={call: KeyError("a defect")})
    ended = await outcomes(enter(watch_of(nova), nova, api_patience=timedelta(seconds=0.05)))
    assert [type(each) for each in ended] == [CloudError] * 2
    assert "KeyError: 'a defect'" in ended[0].found
    assert "triggerer's log" in ended[0].remedy


async def test_a_defect_of_the_watch_itself_is_told_to_each_move_and_the_next_one_starts_it_anew(
    watch_of: Watches, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> float:
        raise ZeroDivisionError("a defect")

    nova = nova_with("i1", "i2")
    watch = watch_of(nova)
    with monkeypatch.context() as broken_pace:
        broken_pace.setattr(drain_watch, "next_beat", broken)
        ended = await outcomes(enter(watch, nova))
    assert [type(each) for each in ended] == [CloudError] * 2
    assert "ZeroDivisionError" in ended[0].found
    nova.cloud.add("i3")
    (moved,) = await outcomes(enter(watch, nova, "i3"))
    assert moved["host"] == DESTINATION


@pytest.mark.parametrize("hostile", HOSTILE)
async def test_beside_an_instance_that_cannot_be_read_the_others_are_moved(
    watch_of: Watches, hostile: Any
) -> None:
    nova = nova_with("hostile", "i2", "i3", hostile=[hostile])
    watch = watch_of(nova)
    (bad,) = enter(watch, nova, "hostile", api_patience=timedelta(seconds=0.3))
    good = enter(watch, nova, "i2", "i3")
    assert [each["host"] for each in await outcomes(good)] == [DESTINATION] * 2
    (ended,) = await outcomes([bad])
    assert isinstance(ended, CloudError)
    assert len(str(ended)) < 1000
    assert "hostile" not in begun(nova)


@pytest.mark.parametrize("call", ["live_migrate", "why_it_failed", "abort"])
async def test_an_action_that_breaks_off_in_an_unheard_of_way_ends_its_own_move_only(
    watch_of: Watches, call: str
) -> None:
    nova = nova_with("bad", endings={"bad": ["never" if call == "abort" else "error"] * 5})
    nova.cloud.add("good")

    def broken(asked: str, *args: Any) -> None:
        subject = getattr(args[0], "instance_id", args[0]) if args else None
        if (asked, subject) == (call, "bad"):
            raise TypeError("argument of type 'NoneType' is not iterable")

    nova.before = broken
    watch = watch_of(nova)
    limits, brief = Limits(per_host=2, total=4), timedelta(seconds=0.2)
    bad = enter(watch, nova, "bad", limits=limits, api_patience=brief, per_gib=0.001, retries=0)
    good = enter(watch, nova, "good", limits=limits)
    (moved,) = await outcomes(good)
    assert moved["host"] == DESTINATION
    (ended,) = await outcomes(bad)
    # One that cannot be aborted may still arrive.
    assert isinstance(ended, dict if call == "abort" else (CloudError, MigrationFailed))


async def test_a_name_of_any_length_makes_no_long_message(watch_of: Watches) -> None:
    nova = nova_with("i1", "\u2028\x00" * 5_000)
    name = list(nova.cloud.instances)[1]
    move = Move(request(nova, name), asyncio.get_running_loop().create_future())
    assert len(in_short(name)) == 80
    assert in_short(name).isprintable()
    assert in_short(name) in move.subject


async def test_a_connection_that_is_not_defined_ends_the_moves(watch_of: Watches) -> None:
    nova = nova_with("i1")

    async def undefined() -> Any:
        raise ConnectionMissing(
            "Airflow connection openstack_default", "it is not defined", "Add it."
        )

    (ended,) = await outcomes(enter(DrainWatch(undefined), nova))
    assert "is not defined" in str(ended)
