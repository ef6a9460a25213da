"""Where the instances of a drain go: to a planned host, or where the scheduler may put them."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from openstack_maintenance.adapters.cloud_errors import Refused
from openstack_maintenance.domain.drain.slots import Limits
from openstack_maintenance.domain.errors import MigrationFailed
from openstack_maintenance.domain.mark import Mark
from watched_moves import (
    DESTINATION,
    Watches,
    destinations,
    enter,
    nova_with,
    outcomes,
    said,
    somebody_moves,
)


@pytest.mark.parametrize(
    ("given", "asked_for"),
    [
        ({"is_suggestion": True}, ["c03", None]),
        ({"is_suggestion": False}, ["c03", "c03"]),
    ],
)
async def test_a_suggested_destination_is_tried_once_and_a_named_one_always(
    watch_of: Watches, given: dict[str, Any], asked_for: list[str | None]
) -> None:
    nova = nova_with("i1", endings={"i1": ["error"]})
    (ended,) = await outcomes(enter(watch_of(nova), nova, destination="c03", **given))
    assert ended["outcome"].startswith("moved to ")
    assert destinations(nova) == asked_for


async def test_one_that_was_tried_in_the_second_of_its_order_is_not_tried_again(
    watch_of: Watches,
) -> None:
    nova = nova_with("i1", endings={"i1": ["error"]})
    later = nova.cloud.now() + timedelta(seconds=1.5)  # as Nova's stamps are cut to the second
    await outcomes(enter(watch_of(nova), nova, destination="c03", is_suggestion=True, since=later))
    assert destinations(nova) == ["c03", None]


async def test_where_nova_refuses_the_suggestion_at_once_its_scheduler_chooses(
    watch_of: Watches,
) -> None:
    no_host = Refused("instance", "Nova refused: Compute host c03 could not be found.", "x")
    nova = nova_with("i1", errors={"live_migrate": [no_host]})
    moves = enter(watch_of(nova), nova, destination="c03", is_suggestion=True)
    (ended,) = await outcomes(moves)
    assert ended["outcome"].startswith("moved to ")
    assert destinations(nova) == [None]
    assert any(
        "Nova refused the planned destination, its scheduler now chooses" in line
        for line in said(moves[0])
    )


async def test_a_refusal_that_is_not_about_the_suggestion_ends_the_move(watch_of: Watches) -> None:
    forbidden = Refused("instance", "the cloud lab forbids it", "x")
    nova = nova_with("i1", errors={"live_migrate": forbidden})
    ended = await outcomes(enter(watch_of(nova), nova, destination="c03", is_suggestion=True))
    assert ended == [forbidden]
    assert nova.calls["live_migrate"] == 2


async def test_a_member_of_a_server_group_waits_for_the_scheduler_to_learn_where_another_went(
    watch_of: Watches,
) -> None:
    nova = nova_with("i1", "i2", groups={"i1": "g", "other": "g"})
    somebody_moves(nova, "other")
    moves = enter(watch_of(nova), nova, "i1", "i2", limits=Limits(per_host=2, total=4))
    await outcomes(moves)
    moved = {row.instance_id: row for row in nova.cloud.migrations.values()}
    waited = moved["i1"].created_at - moved["other"].updated_at
    assert timedelta(seconds=130) <= waited < timedelta(seconds=150)
    assert moved["i2"].created_at < moved["other"].updated_at
    assert any("may not know yet where it is" in line for line in said(moves[0]))


async def test_a_member_that_no_host_is_found_for_is_asked_about_again_for_some_minutes(
    watch_of: Watches,
) -> None:
    nova = nova_with("i1", groups={"i1": "g"}, endings={"i1": ["no host"] * 5})
    (move,) = enter(watch_of(nova), nova, "i1", destination="c05", is_suggestion=True)
    (ended,) = await outcomes([move])
    assert ended["host"] == DESTINATION
    assert destinations(nova) == ["c05", None, None, None, None, None]
    asked = [row.created_at for row in nova.cloud.migrations.values()]
    assert all(later - earlier >= timedelta(seconds=20) for earlier, later in pairwise(asked))


async def test_a_member_that_there_is_no_host_for_fails_in_the_end(watch_of: Watches) -> None:
    nova = nova_with("i1", groups={"i1": "g"}, endings={"i1": ["no host"] * 99})
    (ended,) = await outcomes(enter(watch_of(nova), nova, "i1"))
    assert isinstance(ended, MigrationFailed)
    assert "ended as error (2 tries)" in str(ended)
    asked = [row.created_at for row in nova.cloud.migrations.values()]
    assert timedelta(seconds=150) <= asked[-1] - asked[0] < timedelta(seconds=200)


async def test_who_is_in_no_group_and_finds_no_host_fails_after_its_tries(
    watch_of: Watches,
) -> None:
    nova = nova_with("i1", endings={"i1": ["no host"] * 99})
    (ended,) = await outcomes(enter(watch_of(nova), nova, "i1"))
    assert isinstance(ended, MigrationFailed)
    assert len(nova.cloud.migrations) == 2


CLOSED = str(Mark("nightly_compute_maintenance", "n1", "closed until its turn", kind="closed"))


@pytest.mark.parametrize("destination", [None, "c02"])
async def test_a_host_that_a_night_has_closed_is_opened_where_no_other_is_found(
    watch_of: Watches, destination: str | None
) -> None:
    nova = nova_with("i1", endings={"i1": ["no host"]})
    nova.cloud.add_host("c03", reason=CLOSED)
    asked = {"retries": 0, "destination": destination, "is_suggestion": destination is not None}
    (outcome,) = await outcomes(enter(watch_of(nova), nova, **asked))
    assert outcome["host"] == "c02"
    assert nova.cloud.services["c03"].is_enabled
    assert nova.calls["live_migrate"] == 2


async def test_a_host_whose_turn_has_come_meanwhile_is_not_opened(watch_of: Watches) -> None:
    nova = nova_with("i1", endings={"i1": ["no host"]})
    nova.cloud.add_host("c03", reason=CLOSED)
    its_own = str(Mark("compute_host_maintenance", "r3", "kernel"))

    def turn(call: str, *args: Any) -> None:
        if call == "find_service" and args[0] == "c03":
            nova.cloud.change_service("c03", disabled_reason=its_own)

    nova.before = turn
    (outcome,) = await outcomes(enter(watch_of(nova), nova, retries=0))
    assert outcome["host"] == "c02"
    assert nova.cloud.services["c03"].disabled_reason == its_own
    assert not nova.cloud.services["c03"].is_enabled


async def test_a_host_that_is_closed_again_and_again_holds_nobody_up(watch_of: Watches) -> None:
    nova = nova_with("i1", endings={"i1": ["no host"] * 99})
    nova.cloud.add_host("c03", reason=CLOSED)

    def close(_: float) -> None:
        nova.cloud.change_service("c03", is_enabled=False, disabled_reason=CLOSED)

    nova.cloud.on_second = close
    (error,) = await outcomes(enter(watch_of(nova), nova, retries=0))
    assert isinstance(error, MigrationFailed)
    assert nova.calls["live_migrate"] == 4


async def test_a_host_that_a_person_disabled_is_not(watch_of: Watches) -> None:
    nova = nova_with("i1", endings={"i1": ["no host"] * 9})
    nova.cloud.add_host("c03", reason="ask Ana")
    (error,) = await outcomes(enter(watch_of(nova), nova, retries=0))
    assert isinstance(error, MigrationFailed)
    assert nova.calls["live_migrate"] == 1
    assert not nova.cloud.services["c03"].is_enabled


async def test_where_a_person_named_the_destination_no_other_is_opened(watch_of: Watches) -> None:
    nova = nova_with("i1", endings={"i1": ["no host"] * 9})
    nova.cloud.add_host("c03", reason=CLOSED)
    (error,) = await outcomes(enter(watch_of(nova), nova, retries=0, destination="c02"))
    assert isinstance(error, MigrationFailed)
    assert not nova.cloud.services["c03"].is_enabled
