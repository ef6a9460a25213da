"""What a dying control plane leaves behind: where the guest was seen, the command, the repair."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import builders
from drain_nova import DESTINATION, SOURCE, drain_nova, request
from in_memory_nova import InMemoryNova
from openstack_maintenance.adapters.cloud_errors import Refused
from openstack_maintenance.domain.cloud import PAUSED, SHUTDOWN, Instance, Migration
from openstack_maintenance.domain.drain.sighting import (
    Look,
    remedy_for,
    seen_in_words,
    why_not_repaired,
)
from openstack_maintenance.domain.errors import MigrationFailed, PolicyError
from openstack_maintenance.triggers.drain.move import Move
from watched_moves import Watches, until

pytestmark = pytest.mark.thorough

GUEST = "instance-0000002a"
COMMAND = "`openstack server set --state active i1`"
NOW = datetime(2026, 3, 10, 1, 20, tzinfo=UTC)
HERE, NOT_HERE = Look("c01", True), Look("c01", False)
THERE, NOT_THERE = Look("c02", True), Look("c02", False)
DARK = Look("c02", None, "it does not answer SSH.")
BROKEN = builders.instance("i1", "ERROR")


# Words.


@pytest.mark.parametrize(
    ("looks", "words"),
    [
        ([HERE, NOT_THERE], "its guest runs on c01; not on c02"),
        ([NOT_HERE, THERE], "its guest runs on c02; not on c01"),
        ([HERE], "its guest runs on c01"),
        ([HERE, THERE], "its guest runs on c01 and c02"),
        ([NOT_HERE, NOT_THERE], "no process of its guest was found on c01 and c02"),
        (
            [HERE, DARK],
            "its guest runs on c01; c02 could not be looked at (it does not answer SSH)",
        ),
        (
            [NOT_HERE, DARK],
            "no process of its guest was found on c01; "
            "c02 could not be looked at (it does not answer SSH)",
        ),
    ],
)
def test_the_sentence_says_where_its_guest_was_seen(looks: list[Look], words: str) -> None:
    assert seen_in_words(looks) == words


@pytest.mark.parametrize(
    ("looks", "said"),
    [
        ([HERE, NOT_THERE], f"Run {COMMAND}, then clear this task."),
        ([NOT_HERE, THERE], "record of the instance set to c02, run"),
        ([HERE, THERE], "is left over from the migration"),
        ([HERE, DARK], "Look for it on c02 (`virsh list --all`). If it runs on c01 and nowhere"),
        ([NOT_HERE, DARK], "Look for it on c02"),
        ([NOT_HERE, NOT_THERE], "`openstack server reboot --hard i1`"),
    ],
)
def test_the_remedy_is_the_command_for_what_was_seen(looks: list[Look], said: str) -> None:
    found = remedy_for(BROKEN, looks)
    assert said in found
    assert COMMAND.strip("`") in found
    assert "clear this task" in found


def test_no_state_is_set_while_its_guest_is_elsewhere() -> None:
    assert remedy_for(BROKEN, [NOT_HERE, THERE]).startswith("Do not set its state to active yet")


# The rule.

MOVES = builders.migration(status="running", uuid="u1")


@pytest.mark.parametrize(
    ("instance", "looks", "under_way", "why"),
    [
        (BROKEN, [HERE, NOT_THERE], [], None),
        (BROKEN, [HERE], [], None),
        (replace(BROKEN, vm_state="active", task_state="migrating"), [HERE], [], None),
        (replace(BROKEN, host="c02"), [NOT_HERE, THERE], [], None),
        (BROKEN, [HERE, NOT_THERE], [MOVES], "u1 is running"),
        (BROKEN, [HERE, DARK], [], "not every host"),
        (BROKEN, [HERE, THERE], [], "on c01 alone"),
        (BROKEN, [NOT_HERE, THERE], [], "on c01 alone"),
        (BROKEN, [NOT_HERE, NOT_THERE], [], "on c01 alone"),
        (BROKEN, [], [], "on c01 alone"),
        (replace(BROKEN, host=None), [NOT_HERE, NOT_THERE], [], "alone"),
        (replace(BROKEN, vm_state="paused"), [HERE], [], "vm_state is paused"),
        (replace(BROKEN, power_state=PAUSED), [HERE], [], "PAUSED"),
        (replace(BROKEN, power_state=SHUTDOWN), [HERE], [], "SHUTDOWN"),
    ],
)
def test_a_state_is_set_right_only_where_nothing_is_left_to_doubt(
    instance: Instance, looks: list[Look], under_way: list[Migration], why: str | None
) -> None:
    found = why_not_repaired(instance, looks, under_way)
    assert (found is None) if why is None else (found is not None and why in found)


# The watch.


class Eyes:
    """What each host shows: a look, or one that waits. ``asked``: the hosts, in order."""

    def __init__(self, **seen: bool | None) -> None:
        self.seen = seen
        self.asked: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def look(self, nova: Any, host: str, guest: str) -> Look:
        assert guest == GUEST
        self.asked.append(host)
        await self.gate.wait()
        return Look(host, self.seen[host], "it does not answer" if self.seen[host] is None else "")


class Book:
    """What the run has set right. ``error``: what every call raises."""

    def __init__(self) -> None:
        self.noted: dict[str, datetime] = {}
        self.error: Exception | None = None

    def is_noted(self, instance_id: str) -> bool:
        if self.error:
            raise self.error
        return instance_id in self.noted

    def note(self, instance_id: str, at: datetime) -> None:
        self.noted[instance_id] = at


def nova_that(ending: str, *more: str) -> InMemoryNova:
    nova = drain_nova()
    nova.cloud.add("i1", guest_name=GUEST)
    nova.cloud.endings["i1"] = [ending, *more]
    return nova


async def ended(move: Move) -> Any:
    (found,) = await asyncio.wait_for(asyncio.gather(move.done, return_exceptions=True), 20)
    return found


def steps_of(found: dict[str, Any]) -> list[str]:
    return [each["step"] for each in found["steps"]]


async def test_an_error_on_the_source_says_where_its_guest_was_seen(watch_of: Watches) -> None:
    nova, eyes = nova_that("dies"), Eyes(c01=True, c02=False)
    error = await ended(watch_of(nova).enter(request(nova, sight=eyes)))
    assert isinstance(error, MigrationFailed)
    assert error.found == (
        "became ERROR on c01 when its migration to c02 ended as error: libvirt: no such disk; "
        "its guest runs on c01; not on c02"
    )
    assert error.remedy == f"Run {COMMAND}, then clear this task."
    assert sorted(eyes.asked) == [SOURCE, DESTINATION]
    assert nova.calls["reset_state"] == 0


async def test_an_error_on_the_destination_does_too(watch_of: Watches) -> None:
    nova, eyes = nova_that("dies there"), Eyes(c01=True, c02=False)
    error = await ended(watch_of(nova).enter(request(nova, sight=eyes)))
    assert "arrived on c02 but is in ERROR" in error.found
    assert "its guest runs on c01; not on c02" in error.found
    assert error.remedy.startswith("Do not set its state to active yet: Nova shows it on c02")


async def test_a_migration_that_nobody_works_on_says_it_of_the_source(watch_of: Watches) -> None:
    nova, eyes = nova_that("forgotten"), Eyes(c01=True)
    error = await ended(watch_of(nova).enter(request(nova, sight=eyes)))
    assert "nobody works on it" in error.found
    assert error.found.endswith("; its guest runs on c01")
    assert error.remedy == (f"Check that nova-conductor runs. Run {COMMAND}, then clear this task.")
    assert eyes.asked == [SOURCE]


async def test_a_host_that_cannot_be_looked_at_is_named_with_the_reason(watch_of: Watches) -> None:
    nova, eyes = nova_that("dies"), Eyes(c01=True, c02=None)
    error = await ended(watch_of(nova).enter(request(nova, sight=eyes, repairs=Book())))
    assert "c02 could not be looked at (it does not answer)" in error.found
    assert "was not set right by the run: not every host could be looked at" in error.found
    assert "Look for it on c02" in error.remedy
    assert nova.calls["reset_state"] == 0


async def test_an_older_release_s_move_looks_at_no_host(watch_of: Watches) -> None:
    nova = nova_that("dies")
    error = await ended(watch_of(nova).enter(request(nova)))
    assert "virsh list --all" in error.remedy
    assert "its guest runs" not in error.found


@pytest.mark.parametrize("ending", ["dies", "forgotten"])
async def test_by_policy_the_state_is_set_right_and_the_move_goes_on(
    watch_of: Watches, ending: str
) -> None:
    nova, eyes, book = nova_that(ending), Eyes(c01=True, c02=False), Book()
    if ending == "forgotten":  # the next one is not
        nova.cloud.on_second = lambda _: (
            nova.cloud.endings.pop("i1", None) if nova.calls["reset_state"] else None
        )
    found = await ended(watch_of(nova).enter(request(nova, sight=eyes, repairs=book, retries=1)))
    assert found["host"] == DESTINATION, found
    assert (nova.calls["reset_state"], nova.calls["live_migrate"]) == (1, 2)
    assert steps_of(found) == ["start_live", "look", "repair_error_state", "start_live"]
    assert "its guest runs on c01" in found["steps"][2]["why"]
    assert list(book.noted) == ["i1"]


async def test_what_arrived_in_error_is_set_right_and_is_done(watch_of: Watches) -> None:
    nova, eyes, book = nova_that("dies there"), Eyes(c01=False, c02=True), Book()
    found = await ended(watch_of(nova).enter(request(nova, sight=eyes, repairs=book)))
    assert (found["host"], found["status"]) == (DESTINATION, "ACTIVE")
    assert (nova.calls["reset_state"], nova.calls["live_migrate"]) == (1, 1)


async def test_the_state_is_set_right_once_in_a_run(watch_of: Watches) -> None:
    nova, eyes, book = nova_that("dies", "dies"), Eyes(c01=True, c02=False), Book()
    asked = request(nova, sight=eyes, repairs=book, retries=3)
    error = await ended(watch_of(nova).enter(asked))
    assert "it was set right once in this run already" in error.found
    assert nova.calls["reset_state"] == 1
    assert error.remedy == f"Run {COMMAND}, then clear this task."


async def test_a_refusal_is_told_with_what_was_seen(watch_of: Watches) -> None:
    nova, eyes = nova_that("dies"), Eyes(c01=True, c02=False)
    nova.errors["reset_state"] = [Refused("instance i1", "Policy doesn't allow it", "Allow it.")]
    error = await ended(watch_of(nova).enter(request(nova, sight=eyes, repairs=Book())))
    assert "its guest runs on c01; not on c02. Its state was not set right" in error.found
    assert "Policy doesn't allow it (Allow it)" in error.found
    assert nova.calls["reset_state"] == 1


async def test_nothing_is_set_right_that_cannot_be_noted(watch_of: Watches) -> None:
    nova, eyes, book = nova_that("dies"), Eyes(c01=True, c02=False), Book()
    book.error = PolicyError("records storage x", "cannot be used", "Fix it.")
    error = await ended(watch_of(nova).enter(request(nova, sight=eyes, repairs=book)))
    assert "records storage x: cannot be used" in error.found
    assert nova.calls["reset_state"] == 0


async def test_nothing_is_set_right_that_changed_during_the_look(watch_of: Watches) -> None:
    nova, eyes, book = nova_that("dies"), Eyes(c01=True, c02=False), Book()
    eyes.gate.clear()
    move = watch_of(nova).enter(request(nova, sight=eyes, repairs=book, retries=1))
    await until(lambda: len(eyes.asked) == 2)
    nova.cloud.change("i1", status="ACTIVE", vm_state="active")  # a person was faster
    eyes.gate.set()
    found = await ended(move)
    assert found["host"] == DESTINATION
    assert nova.calls["reset_state"] == 0


async def test_other_moves_go_on_while_hosts_are_looked_at(watch_of: Watches) -> None:
    nova, eyes = nova_that("dies"), Eyes(c01=True, c02=False)
    nova.cloud.add("i2")
    eyes.gate.clear()
    watch = watch_of(nova)
    looking = watch.enter(request(nova, sight=eyes))
    await until(lambda: len(eyes.asked) == 2)
    other = await ended(watch.enter(request(nova, "i2")))
    assert other["host"] == DESTINATION
    assert not looking.done.done()
    eyes.gate.set()
    assert isinstance(await ended(looking), MigrationFailed)


async def test_a_cold_move_that_failed_is_no_matter_of_looks(watch_of: Watches) -> None:
    nova, eyes = drain_nova(), Eyes()
    nova.cloud.add("i1", status="SHUTOFF", guest_name=GUEST)
    nova.cloud.endings["i1"] = ["dies"]
    error = await ended(watch_of(nova).enter(request(nova, sight=eyes, repairs=Book(), retries=1)))
    assert "became ERROR" in error.found
    assert (eyes.asked, nova.calls["reset_state"]) == ([], 0)


async def test_nothing_is_set_right_while_somebody_moves_it(watch_of: Watches) -> None:
    """Another migration of it that the watch has not listed yet."""
    nova, eyes, book = nova_that("dies"), Eyes(c01=True, c02=False), Book()
    eyes.gate.clear()
    move = watch_of(nova).enter(request(nova, sight=eyes, repairs=book))
    await until(lambda: len(eyes.asked) == 2)
    moves = builders.migration(instance_id="i1", status="running", uuid="u9", source="c09")

    def with_one_more(listed: list[Migration], since: datetime) -> list[Migration]:
        # The watch looks back some seconds, the repair a day.
        far = nova.now() - since > timedelta(hours=12)
        return [*listed, *([moves] if far else [])]

    nova.shown = with_one_more
    eyes.gate.set()
    error = await ended(move)
    assert "not set right by the run: its migration u9 is running" in error.found
    assert nova.calls["reset_state"] == 0
