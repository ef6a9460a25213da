"""The drain watch against a Nova in memory, whose clock is the number of times it was listed."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from builders import instance, service
from openstack_maintenance.adapters.cloud_errors import Conflict, NotThere, Refused
from openstack_maintenance.domain.cloud import (
    RUNNING,
    SHUTDOWN,
    ComputeService,
    Instance,
    Migration,
)
from openstack_maintenance.domain.drain.move_step import Order, Step
from openstack_maintenance.domain.drain.slots import Limits
from openstack_maintenance.domain.errors import CloudError, ConnectionMissing, MigrationFailed
from openstack_maintenance.domain.foreign_text import in_short
from openstack_maintenance.domain.mark import Mark
from openstack_maintenance.triggers.drain import source_health
from openstack_maintenance.triggers.drain import watch as drain_watch
from openstack_maintenance.triggers.drain.move import Move, MoveRequest
from openstack_maintenance.triggers.drain.watch import DrainWatch

SOURCE, DESTINATION = "c01", "c02"
SILENCE = CloudError("compute API", "the cloud lab answered 503: busy", "Wait.")
CONFLICT = Conflict("instance", "Cannot 'os-migrateLive' while task_state x", "Look.")


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beats of milliseconds: the watch's steps are tested, not its patience."""
    monkeypatch.setattr(drain_watch, "next_beat", lambda *_: 0.002)
    monkeypatch.setattr(drain_watch, "_ARRIVAL_SECONDS", 0.0)
    monkeypatch.setattr(drain_watch, "_BUSY", timedelta(0))


@dataclass
class FakeNova:
    """Moves what it is asked to move. One list of the migrations is one second.

    ``takes``: seconds a migration runs. ``endings``: how an instance's migrations end, in turn,
    before they succeed. ``errors``: what calls raise, in turn. ``nova_limit``: running at once.
    """

    takes: int = 3
    nova_limit: int = 100
    endings: dict[str, list[str]] = field(default_factory=dict)
    errors: dict[str, list[Exception | None]] = field(default_factory=dict)
    clock_offset_seconds: float = 0.0
    mark: str | None = None
    groups: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.began = datetime.now(UTC)
        self.seconds = 0
        self.instances: dict[str, Instance] = {}
        self.rows: dict[int, Migration] = {}
        self.began_running: dict[int, int] = {}
        self.calls: Counter[str] = Counter()
        self.posted: list[str] = []
        self.asked_for: list[str | None] = []
        self.most: Counter[str] = Counter()
        self.idle = 0
        self.on_second: Callable[[int], None] = lambda _: None

    def add(self, *names: str, status: str = "ACTIVE", host: str = SOURCE) -> None:
        for number, name in enumerate(names):
            ram_mib = 512 * (len(names) - number)
            self.instances[name] = instance(name, status, host=host, ram_mib=ram_mib)

    def change(self, instance_id: str, **what: Any) -> None:
        self.instances[instance_id] = replace(self.instances[instance_id], **what)

    # What the watch calls.

    def now(self) -> datetime:
        return self.began + timedelta(seconds=self.seconds)

    def read_clock(self) -> None:
        self._called("read_clock")

    def migrations(self, changes_since: datetime) -> list[Migration]:
        self._called("migrations")
        self.seconds += 1
        self.on_second(self.seconds)
        self._advance()
        return [each for _, each in sorted(self.rows.items()) if each.updated_at >= changes_since]

    def anti_affinity_groups(self) -> dict[str, str]:
        self._called("anti_affinity_groups")
        return self.groups

    def services(self, binary: str) -> list[ComputeService]:
        self._called("services")
        return [service(SOURCE, self.mark, binary=binary)]

    def instances_on(self, host: str) -> list[Instance]:
        self._called("instances_on")
        return [each for each in self.instances.values() if each.host == host]

    def find_instance(self, instance_id: str) -> Instance | None:
        self._called("find_instance")
        return self.instances.get(instance_id)

    def live_migrate(self, instance_id: str, destination: str | None, block: str) -> None:
        self._called("live_migrate")
        self._post(instance_id, "live-migration", destination)

    def cold_migrate(self, instance_id: str, destination: str | None) -> None:
        self._called("cold_migrate")
        self._post(instance_id, "migration", destination)

    def confirm(self, instance_id: str) -> None:
        self._called("confirm")
        last = self._last(instance_id)
        if last.status != "finished":
            raise Refused("instance", "Nova refused: Instance has not been resized.", "x")
        self._set(last, "confirming")

    def stop_guest(self, instance_id: str) -> None:
        self._called("stop_guest")
        self.change(instance_id, status="SHUTOFF", vm_state="stopped", power_state=SHUTDOWN)

    def start_guest(self, instance_id: str) -> None:
        self._called("start_guest")
        self.change(instance_id, status="ACTIVE", vm_state="active", power_state=RUNNING)

    def abort(self, migration: Migration) -> None:
        self._called("abort")
        self._end(self.rows[migration.id], "cancelled")

    def force_complete(self, migration: Migration) -> None:
        self._called("force_complete")
        self._end(self.rows[migration.id], "completed")

    def why_it_failed(self, instance_id: str) -> str | None:
        self._called("why_it_failed")
        return "the disk is too slow"

    # How it works inside.

    def _called(self, name: str) -> None:
        self.calls[name] += 1
        waiting = self.errors.get(name) or [None]
        if len(waiting) > 1 or waiting[0] is not None:
            error = waiting.pop(0)
            if error is not None:
                raise error

    def _post(self, instance_id: str, kind: str, destination: str | None) -> None:
        if instance_id not in self.instances:
            raise NotThere("instance", "Instance could not be found", "Check the name or id.")
        instance = self.instances[instance_id]
        assert instance.task_state is None, "Nova would answer 409"
        assert not any(
            each.is_moving for each in self.rows.values() if each.instance_id == instance_id
        )
        self.posted.append(instance_id)
        self.asked_for.append(destination)
        number = len(self.rows) + 1
        self.change(instance_id, task_state="migrating")
        self.rows[number] = Migration(
            id=number,
            uuid=f"uuid-{number}",
            instance_id=instance_id,
            kind=kind,
            status="accepted",
            source=instance.host or "",
            destination=destination or DESTINATION,
            created_at=self.now(),
            updated_at=self.now(),
        )

    def _advance(self) -> None:
        for row in [each for each in self.rows.values() if each.status == "confirming"]:
            self._set(row, "confirmed")
            self.change(row.instance_id, status="SHUTOFF", vm_state="stopped")
        for row in self._with("running", "migrating"):
            if self.seconds - self.began_running[row.id] >= self.takes:
                ways = self.endings.get(row.instance_id)
                self._end(row, ways.pop(0) if ways else "completed")
        for row in self._with("accepted", "queued"):
            mine = [
                each for each in self._with("running", "migrating") if each.source == row.source
            ]
            if len(mine) < self.nova_limit:
                self.began_running[row.id] = self.seconds
                self._set(row, "running" if row.is_live else "migrating")
            else:
                self._set(row, "queued")
        running = self._with("running", "migrating")
        for source, count in Counter(each.source for each in running).items():
            self.most[source] = max(self.most[source], count)
        self.most["cloud"] = max(self.most["cloud"], len(running))
        self.most["queued"] = max(self.most["queued"], len(self._with("queued")))
        self.idle += not running

    def _end(self, row: Migration, way: str) -> None:
        if way == "never":
            return
        self.began_running.pop(row.id, None)
        if row.instance_id in self.instances:
            self.change(row.instance_id, task_state=None)
        if way == "completed" and not row.is_live:
            self._set(row, "finished")
            self.change(
                row.instance_id, host=row.destination, status="VERIFY_RESIZE", vm_state="resized"
            )
            return
        if way == "completed" and row.instance_id in self.instances:
            self.change(row.instance_id, host=row.destination)
        if way == "no host":  # the scheduler found none
            self.rows[row.id] = replace(row, destination=None)
            way = "error"
        self._set(self.rows[row.id], "completed" if way == "completed in place" else way)

    def _set(self, row: Migration, status: str) -> None:
        self.rows[row.id] = replace(row, status=status, updated_at=self.now())

    def _with(self, *statuses: str) -> list[Migration]:
        return [each for each in self.rows.values() if each.status in statuses]

    def _last(self, instance_id: str) -> Migration:
        return [each for each in self.rows.values() if each.instance_id == instance_id][-1]


Watches = Callable[[FakeNova], DrainWatch]


@pytest.fixture
async def watch_of() -> AsyncIterator[Watches]:
    """Makes watches, and ends them after the test."""
    made: list[DrainWatch] = []

    def make(nova: FakeNova) -> DrainWatch:
        async def opened() -> Any:
            return nova

        made.append(DrainWatch(opened))
        return made[-1]

    yield make
    await asyncio.gather(*(end(watch) for watch in made))


async def end(watch: DrainWatch) -> None:
    """What happens to a watch whose triggerer dies."""
    if watch._task is not None:
        watch._task.cancel()
        await asyncio.gather(watch._task, return_exceptions=True)


def request(nova: FakeNova, name: str, **given: Any) -> MoveRequest:
    instance = nova.instances[name]
    method = "live" if instance.vm_state == "active" else "cold"
    order = Order(
        instance_id=name,
        name=name,
        source=SOURCE,
        method=given.pop("method", method),
        was_running=instance.vm_state == "active",
        ram_mib=instance.ram_mib,
        since=nova.began,
        retries=given.pop("retries", 1),
        timeout_per_gib=timedelta(seconds=given.pop("per_gib", 800)),
        on_stuck=given.pop("on_stuck", Step.ABORT),
        may_stop=given.pop("may_stop", False),
    )
    asked = {
        "destination": None,
        "block_migration": "auto",
        "limits": Limits(1, 4),
        "turn_patience": timedelta(hours=1),
        "api_patience": timedelta(hours=1),
        "may_start": lambda now: None,
        **given,
    }
    return MoveRequest(order=order, **asked)


def enter(watch: DrainWatch, nova: FakeNova, *names: str, **given: Any) -> list[Move]:
    return [watch.enter(request(nova, name, **dict(given))) for name in names or nova.instances]


async def outcomes(moves: Sequence[Move]) -> list[Any]:
    """How each move ended: its outcome, or its error."""
    return await asyncio.wait_for(
        asyncio.gather(*(move.done for move in moves), return_exceptions=True), 10
    )


def said(move: Move) -> list[str]:
    lines = [move._lines.get_nowait() for _ in range(move._lines.qsize())]
    return [line for line in lines if line is not None]


@pytest.mark.parametrize(
    ("limits", "off_host", "in_cloud"),
    [(Limits(1, 4), 1, 1), (Limits(2, 4), 2, 2), (Limits(8, 3), 3, 3), (Limits(4, 4), 4, 4)],
)
async def test_never_more_in_flight_than_allowed_and_everything_moves(
    watch_of: Watches, limits: Limits, off_host: int, in_cloud: int
) -> None:
    nova = FakeNova()
    nova.add(*(f"i{number}" for number in range(9)))
    ended = await outcomes(enter(watch_of(nova), nova, limits=limits))
    assert [each["host"] for each in ended] == [DESTINATION] * 9
    assert nova.most[SOURCE] == off_host
    assert nova.most["cloud"] == in_cloud
    assert len(nova.posted) == 9


async def test_other_peoples_migrations_count(watch_of: Watches) -> None:
    nova = FakeNova(takes=5)
    nova.add("foreign", host="c09")
    nova._post("foreign", "live-migration", None)
    nova.add("i1", "i2")
    await outcomes(enter(watch_of(nova), nova, "i1", "i2", limits=Limits(2, 1)))
    assert nova.most["cloud"] == 1


async def test_a_slot_that_becomes_free_is_refilled_at_once(watch_of: Watches) -> None:
    nova = FakeNova(takes=4)
    nova.add(*(f"i{number}" for number in range(6)))
    await outcomes(enter(watch_of(nova), nova))
    # Each start is seen to run at the next look: no second passes beyond that one.
    assert nova.seconds <= 6 * (4 + 1) + 2
    assert nova.idle <= 6 + 1


async def test_where_novas_limit_is_ours_one_more_waits_in_its_queue(watch_of: Watches) -> None:
    nova = FakeNova(takes=4, nova_limit=1)
    nova.add(*(f"i{number}" for number in range(6)))
    ended = await outcomes(enter(watch_of(nova), nova, limits=Limits(1, 4, nova_limit=1)))
    assert [each["host"] for each in ended] == [DESTINATION] * 6
    assert nova.most[SOURCE] == 1
    assert nova.most["queued"] == 1
    # Nova refills without us: nothing stands still between the first start and the last end.
    assert nova.seconds <= 6 * 4 + 3


async def test_the_largest_moves_first(watch_of: Watches) -> None:
    nova = FakeNova()
    nova.add("large", "middle", "small")
    await outcomes(enter(watch_of(nova), nova, "small", "large", "middle"))
    assert nova.posted == ["large", "middle", "small"]


async def test_requests_grow_with_time_and_not_with_instances(watch_of: Watches) -> None:
    lists = {}
    for count in (2, 40):
        nova = FakeNova(takes=30)
        nova.add(*(f"i{number:02}" for number in range(count)))
        await outcomes(enter(watch_of(nova), nova, limits=Limits(100, 100)))
        lists[count] = nova.calls["migrations"]
        # One request to start each, one to see where it is; the host is listed once for all.
        assert nova.calls["live_migrate"] == count
        assert nova.calls["find_instance"] <= count
        assert nova.calls["instances_on"] == 1
        assert nova.calls["read_clock"] == 1
    assert abs(lists[40] - lists[2]) <= 1


async def test_a_restarted_watch_goes_on_where_the_last_one_was(watch_of: Watches) -> None:
    nova = FakeNova()
    nova.add("i1", "i2", "i3")
    names = list(nova.instances)
    for second in range(1, 12):
        watch = watch_of(nova)
        waiting = [name for name in names if nova.instances[name].host == SOURCE]
        enter(watch, nova, *waiting)
        while nova.seconds < second:  # noqa: ASYNC110  # the fake's clock has no event
            await asyncio.sleep(0.001)
        await end(watch)
    ended = await outcomes(enter(watch_of(nova), nova))
    assert [each["host"] for each in ended] == [DESTINATION] * 3
    assert nova.posted == names
    assert nova.most[SOURCE] == 1


async def test_a_move_that_was_done_before_the_restart_is_done(watch_of: Watches) -> None:
    nova = FakeNova()
    nova.add("i1")
    moved = request(nova, "i1")
    (first,) = await outcomes([watch_of(nova).enter(moved)])
    (again,) = await outcomes([watch_of(nova).enter(moved)])
    found = {"outcome": "moved to c02 by a migration that was under way already"}
    assert again == first | found
    assert nova.posted == ["i1"]
    assert again["migration"] == "uuid-1"


async def test_what_comes_while_the_watch_is_at_work_is_taken_too(watch_of: Watches) -> None:
    nova = FakeNova()
    nova.add("i1", "i2")
    watch = watch_of(nova)
    first = enter(watch, nova, "i1")
    await asyncio.sleep(0.01)
    assert len(await outcomes([*first, *enter(watch, nova, "i2")])) == 2
    assert sorted(nova.posted) == ["i1", "i2"]


async def test_an_idle_watch_asks_nothing_and_starts_again_when_needed(watch_of: Watches) -> None:
    nova = FakeNova()
    nova.add("i1", "i2")
    watch = watch_of(nova)
    for name in ("i1", "i2"):
        (move,) = enter(watch, nova, name)
        await outcomes([move])
        watch.leave(move)
        await asyncio.sleep(0.02)
        asked = nova.calls.total()
        await asyncio.sleep(0.02)
        assert nova.calls.total() == asked
    assert nova.posted == ["i1", "i2"]


@pytest.mark.parametrize("second", [1, 2, 3, 5])
async def test_an_instance_that_is_deleted_meanwhile_is_fine(
    watch_of: Watches, second: int
) -> None:
    nova = FakeNova()
    nova.add("i1", "i2", "i3")

    def delete(now: int) -> None:
        if now == second:
            nova.instances.pop("i2")
            for row in [each for each in nova.rows.values() if each.instance_id == "i2"]:
                nova._set(row, "error")

    nova.on_second = delete
    ended = await outcomes(enter(watch_of(nova), nova))
    assert [each["host"] for each in ended] == [DESTINATION, None, DESTINATION]
    assert "deleted" in ended[1]["outcome"]
    assert ended[1]["status"] == "DELETED"


async def test_an_instance_that_someone_else_moved_is_fine(watch_of: Watches) -> None:
    nova = FakeNova()
    nova.add("i1", "i2")

    def take(now: int) -> None:
        if now == 2:
            nova._post("i2", "live-migration", "c03")

    nova.on_second = take
    ended = await outcomes(enter(watch_of(nova), nova))
    assert [each["host"] for each in ended] == [DESTINATION, "c03"]
    assert nova.posted == ["i1", "i2"]
    assert nova.calls["live_migrate"] == 1


async def test_a_conflict_is_looked_at_and_then_the_move_goes_on(watch_of: Watches) -> None:
    nova = FakeNova(errors={"live_migrate": [CONFLICT, CONFLICT]})
    nova.add("i1")
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
    nova = FakeNova(errors={call: [error] * 10_000})
    nova.add("i1")
    method = "live" if call == "live_migrate" else "stop"
    patience = timedelta(seconds=0.2)
    moves = enter(watch_of(nova), nova, method=method, may_stop=True, api_patience=patience)
    (ended,) = await outcomes(moves)
    # One that cannot be aborted may still arrive.
    assert isinstance(ended, dict if call == "abort" else (CloudError, MigrationFailed))
    assert nova.instances["i1"].host == SOURCE


async def test_a_refusal_for_good_ends_only_that_move(watch_of: Watches) -> None:
    refused = Refused("instance i1", "Nova refused: no such destination", "Fix it.")
    nova = FakeNova(errors={"live_migrate": [refused]})
    nova.add("i1", "i2")
    ended = await outcomes(enter(watch_of(nova), nova))
    assert ended[0] is refused
    assert ended[1]["host"] == DESTINATION
    assert nova.calls["live_migrate"] == 2


async def test_wrong_credentials_end_all_moves_at_once(watch_of: Watches) -> None:
    rejected = Refused("cloud lab", "Keystone rejected the credentials (401)", "Fix them.")
    nova = FakeNova(errors={"migrations": [rejected] * 100})
    nova.add("i1", "i2")
    assert await outcomes(enter(watch_of(nova), nova)) == [rejected, rejected]
    assert nova.calls["migrations"] == 1


@pytest.mark.parametrize("call", ["read_clock", "migrations", "instances_on", "find_instance"])
async def test_an_api_that_is_silent_for_a_while_is_waited_for(
    watch_of: Watches, call: str
) -> None:
    nova = FakeNova(errors={call: [None, SILENCE, SILENCE] if call == "migrations" else [SILENCE]})
    nova.add("i1", "i2")
    moves = enter(watch_of(nova), nova)
    assert [each["host"] for each in await outcomes(moves)] == [DESTINATION] * 2
    assert sorted(nova.posted) == ["i1", "i2"]
    lines = [line for move in moves for line in said(move)]
    assert any(line.startswith("Nova does not answer, trying again: compute API") for line in lines)


async def test_an_api_that_stays_silent_ends_the_moves_with_its_words(watch_of: Watches) -> None:
    nova = FakeNova(errors={"migrations": [SILENCE] * 10_000})
    nova.add("i1", "i2")
    ended = await outcomes(enter(watch_of(nova), nova, api_patience=timedelta(seconds=0.05)))
    assert ended == [SILENCE, SILENCE]
    assert nova.calls["migrations"] > 2


async def test_a_start_whose_answer_got_lost_is_not_repeated(watch_of: Watches) -> None:
    """Nova took the request, but the connection broke before it said so."""
    nova = FakeNova()
    nova.add("i1")
    post = nova.live_migrate

    def lost(*args: Any) -> None:
        post(*args)
        raise SILENCE

    nova.live_migrate = lost  # type: ignore[method-assign, assignment]
    (ended,) = await outcomes(enter(watch_of(nova), nova))
    assert ended["host"] == DESTINATION
    assert nova.posted == ["i1"]


async def test_a_failure_is_tried_once_more_and_then_told_with_its_reason(
    watch_of: Watches,
) -> None:
    nova = FakeNova(endings={"i1": ["failed", "error"], "i2": ["failed"]})
    nova.add("i1", "i2")
    ended = await outcomes(enter(watch_of(nova), nova))
    assert isinstance(ended[0], MigrationFailed)
    assert ended[0].subject == "instance i1 (i1)"
    assert ended[0].found.endswith("ended as error (2 tries): the disk is too slow")
    assert nova.posted.count("i1") == 2
    assert ended[1]["host"] == DESTINATION
    assert nova.instances["i1"].host == SOURCE


async def test_a_reason_that_cannot_be_read_does_not_hide_the_failure(watch_of: Watches) -> None:
    nova = FakeNova(endings={"i1": ["failed"]}, errors={"why_it_failed": [SILENCE]})
    nova.add("i1")
    (ended,) = await outcomes(enter(watch_of(nova), nova, retries=0))
    assert "ended as failed (1 tries): the reason could not be read" in ended.found


async def test_completed_without_a_new_host_is_no_success(watch_of: Watches) -> None:
    nova = FakeNova(endings={"i1": ["completed in place"] * 2})
    nova.add("i1")
    (ended,) = await outcomes(enter(watch_of(nova), nova))
    assert isinstance(ended, MigrationFailed)
    assert len(nova.posted) == 1


async def test_a_stopped_instance_moves_cold_and_is_confirmed_once(watch_of: Watches) -> None:
    nova = FakeNova()
    nova.add("i1", status="SHUTOFF")
    (ended,) = await outcomes(enter(watch_of(nova), nova))
    assert (ended["host"], ended["status"]) == (DESTINATION, "SHUTOFF")
    assert nova.calls["cold_migrate"] == nova.calls["confirm"] == 1
    assert nova.calls["start_guest"] == 0


async def test_a_slow_confirm_is_not_repeated(watch_of: Watches) -> None:
    """Nova answers 400 to a second confirm while it works on the first."""
    nova = FakeNova()
    nova.add("i1", status="SHUTOFF")
    (confirmed_at,) = [nova.now() + timedelta(seconds=12)]
    advance = nova._advance

    def slowly() -> None:
        if nova._with("confirming") and nova.now() < confirmed_at:
            return
        advance()

    nova._advance = slowly  # type: ignore[method-assign]
    (ended,) = await outcomes(enter(watch_of(nova), nova))
    assert ended["host"] == DESTINATION
    assert nova.calls["confirm"] == 1


async def test_what_cannot_move_live_is_stopped_moved_and_started_again(
    watch_of: Watches,
) -> None:
    nova = FakeNova()
    nova.add("i1")
    (ended,) = await outcomes(enter(watch_of(nova), nova, method="stop", may_stop=True))
    assert (ended["host"], ended["status"]) == (DESTINATION, "ACTIVE")
    done = ("stop_guest", "cold_migrate", "confirm", "start_guest")
    assert [nova.calls[each] for each in done] == [1, 1, 1, 1]


async def test_what_fails_to_move_live_may_be_stopped_and_runs_again_there(
    watch_of: Watches,
) -> None:
    nova = FakeNova(endings={"i1": ["failed", "failed"]})
    nova.add("i1")
    (ended,) = await outcomes(enter(watch_of(nova), nova, may_stop=True))
    assert (ended["host"], ended["status"]) == (DESTINATION, "ACTIVE")
    assert nova.calls["stop_guest"] == nova.calls["start_guest"] == 1


async def test_a_migration_that_hangs_is_aborted_and_tried_once_more(watch_of: Watches) -> None:
    nova = FakeNova(endings={"i1": ["never"] * 12})
    nova.add("i1")
    (ended,) = await outcomes(enter(watch_of(nova), nova, per_gib=4))
    assert ended["host"] == DESTINATION
    assert nova.calls["abort"] == 1
    assert nova.posted == ["i1", "i1"]


async def test_a_migration_that_hangs_is_forced_where_the_policy_says_so(
    watch_of: Watches,
) -> None:
    nova = FakeNova(endings={"i1": ["never"] * 100})
    nova.add("i1")
    moves = enter(watch_of(nova), nova, per_gib=4, on_stuck=Step.FORCE_COMPLETE)
    (ended,) = await outcomes(moves)
    assert ended["host"] == DESTINATION
    assert (nova.calls["abort"], nova.calls["force_complete"]) == (0, 1)


async def test_when_the_window_closes_nothing_more_is_started(watch_of: Watches) -> None:
    nova = FakeNova()
    nova.add("i1", "i2", "i3")

    def closed(now: datetime) -> str | None:
        return "the maintenance window closed" if nova.seconds >= 3 else None

    ended = await outcomes(enter(watch_of(nova), nova, may_start=closed))
    assert ended[0]["host"] == DESTINATION  # what moves when it closes, arrives
    assert [str(each.found) for each in ended[1:]] == ["the maintenance window closed"] * 2
    assert "when the window is open" in ended[1].remedy
    assert nova.posted == ["i1"]


async def test_a_turn_that_never_comes_ends_the_move(watch_of: Watches) -> None:
    nova = FakeNova(endings={"foreign": ["never"] * 10_000})
    nova.add("foreign", host="c09")
    nova._post("foreign", "live-migration", None)
    nova.add("i1")
    given = {"limits": Limits(1, 1), "turn_patience": timedelta(seconds=0.05)}
    (ended,) = await outcomes(enter(watch_of(nova), nova, "i1", **given))
    assert isinstance(ended, MigrationFailed)
    assert "turn_patience: waits for its turn: 1 of 1 migrations of the cloud" in ended.found
    assert nova.posted == ["foreign"]


@pytest.mark.parametrize("call", ["instances_on", "migrations"])
async def test_a_move_that_was_killed_is_not_started_any_more(watch_of: Watches, call: str) -> None:
    nova = FakeNova()
    nova.add("i1")
    watch = watch_of(nova)
    (move,) = enter(watch, nova)
    reads = getattr(nova, call)

    def killed_meanwhile(*args: Any) -> Any:
        watch.leave(move)
        return reads(*args)

    setattr(nova, call, killed_meanwhile)
    await asyncio.sleep(0.1)
    assert nova.posted == []


async def test_each_thing_is_said_once(watch_of: Watches) -> None:
    nova = FakeNova(takes=20)
    nova.add("i1", "i2")
    moves = enter(watch_of(nova), nova)
    await outcomes(moves)
    lines = said(moves[1])
    assert lines[0] == "waits for its turn: 1 of 1 migrations off c01 in flight"
    assert "asks Nova for a live migration: first try" in lines
    assert len(lines) == len(set(lines))


# What cannot be read, or was never thought of, ends no other move, and never raw.

DEFECTS = [
    TypeError("'NoneType' object is not iterable"),
    KeyError("host"),
    AttributeError("'list' object has no attribute 'get'"),
    OverflowError("date value out of range"),
    RecursionError("maximum recursion depth exceeded"),
    ValueError("int() with base 10: 'x'"),
]


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda each: type(each).__name__)
@pytest.mark.parametrize(
    "call",
    ["read_clock", "migrations", "services", "anti_affinity_groups", "instances_on"],
)
async def test_a_defect_in_a_look_is_waited_for_like_silence(
    watch_of: Watches, call: str, defect: Exception
) -> None:
    nova = FakeNova(errors={call: [defect, defect]})
    nova.add("i1", "i2")
    ended = await outcomes(enter(watch_of(nova), nova))
    assert [each["host"] for each in ended] == [DESTINATION] * 2


@pytest.mark.parametrize("call", ["read_clock", "migrations", "services", "anti_affinity_groups"])
async def test_a_defect_that_stays_ends_the_moves_with_one_sentence(
    watch_of: Watches, call: str
) -> None:
    nova = FakeNova(errors={call: [KeyError("a defect")] * 10_000})
    nova.add("i1", "i2")
    ended = await outcomes(enter(watch_of(nova), nova, api_patience=timedelta(seconds=0.05)))
    assert [type(each) for each in ended] == [CloudError] * 2
    assert "KeyError: 'a defect'" in ended[0].found
    assert "triggerer's log" in ended[0].remedy


async def test_a_defect_of_the_watch_itself_is_told_to_each_move_and_the_next_one_starts_it_anew(
    watch_of: Watches, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> float:
        raise ZeroDivisionError("a defect")

    nova = FakeNova()
    nova.add("i1", "i2")
    watch = watch_of(nova)
    with monkeypatch.context() as broken_pace:
        broken_pace.setattr(drain_watch, "next_beat", broken)
        ended = await outcomes(enter(watch, nova))
    assert [type(each) for each in ended] == [CloudError] * 2
    assert "ZeroDivisionError" in ended[0].found
    nova.add("i3")
    (moved,) = await outcomes(enter(watch, nova, "i3"))
    assert moved["host"] == DESTINATION


UNREADABLE = CloudError("cloud lab", "no usable answer: servers: status is null", "Check it.")
# What a fake Nova tells of the hostile instance: the adapter refuses all of it, but were it not so,
# it must stay that instance's own matter.
HOSTILE = [
    pytest.param(UNREADABLE, id="unreadable"),
    *(pytest.param(each, id=type(each).__name__) for each in DEFECTS),
    pytest.param({}, id="a dict"),
    pytest.param([], id="a list"),
    pytest.param("x" * 100_000, id="a text"),
    pytest.param(7, id="a number"),
]


@pytest.mark.parametrize("hostile", HOSTILE)
async def test_beside_an_instance_that_cannot_be_read_the_others_are_moved(
    watch_of: Watches, hostile: Any
) -> None:
    nova = FakeNova()
    nova.add("hostile", "i2", "i3")
    find, list_all = nova.find_instance, nova.instances_on

    def find_one(instance_id: str) -> Any:
        if instance_id != "hostile":
            return find(instance_id)
        if isinstance(hostile, Exception):
            raise hostile
        return hostile

    def list_host(host: str) -> Any:
        if isinstance(hostile, Exception):
            raise hostile
        return [hostile, *list_all(host)]

    nova.find_instance = find_one  # type: ignore[method-assign]
    nova.instances_on = list_host  # type: ignore[method-assign]
    watch = watch_of(nova)
    (bad,) = enter(watch, nova, "hostile", api_patience=timedelta(seconds=0.3))
    good = enter(watch, nova, "i2", "i3")
    assert [each["host"] for each in await outcomes(good)] == [DESTINATION] * 2
    (ended,) = await outcomes([bad])
    assert isinstance(ended, CloudError)
    assert len(str(ended)) < 1000
    assert "hostile" not in nova.posted


@pytest.mark.parametrize("call", ["live_migrate", "why_it_failed", "abort"])
async def test_an_action_that_breaks_off_in_an_unheard_of_way_ends_its_own_move_only(
    watch_of: Watches, call: str
) -> None:
    nova = FakeNova(endings={"bad": ["never" if call == "abort" else "error"] * 5})
    nova.add("bad")
    act = getattr(nova, call)

    def broken(subject: Any, *args: Any) -> Any:
        if "bad" in (subject, getattr(subject, "instance_id", None)):
            raise TypeError("argument of type 'NoneType' is not iterable")
        return act(subject, *args)

    setattr(nova, call, broken)
    nova.instances["good"] = replace(nova.instances["bad"], id="good", name="good")
    watch = watch_of(nova)
    limits, brief = Limits(2, 4), timedelta(seconds=0.2)
    bad = enter(watch, nova, "bad", limits=limits, api_patience=brief, per_gib=0.001, retries=0)
    good = enter(watch, nova, "good", limits=limits)
    (moved,) = await outcomes(good)
    assert moved["host"] == DESTINATION
    (ended,) = await outcomes(bad)
    # One that cannot be aborted may still arrive.
    assert isinstance(ended, dict if call == "abort" else (CloudError, MigrationFailed))


async def test_a_name_of_any_length_makes_no_long_message(watch_of: Watches) -> None:
    nova = FakeNova(errors={"find_instance": [Refused("x", "y" * 300, "z")] * 100})
    nova.add("i1", "\u2028\x00" * 5_000)
    name = list(nova.instances)[1]
    move = Move(request(nova, name), asyncio.get_running_loop().create_future())
    assert len(in_short(name)) == 80
    assert in_short(name).isprintable()
    assert in_short(name) in move.subject


async def test_a_connection_that_is_not_defined_ends_the_moves(watch_of: Watches) -> None:
    nova = FakeNova()
    nova.add("i1")

    async def undefined() -> Any:
        raise ConnectionMissing(
            "Airflow connection openstack_default", "it is not defined", "Add it."
        )

    (ended,) = await outcomes(enter(DrainWatch(undefined), nova))
    assert "is not defined" in str(ended)


async def test_once_the_host_is_somebody_elses_what_runs_goes_on_and_nothing_more_is_started(
    watch_of: Watches, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_health, "_EVERY", timedelta(0))
    owner = Mark("compute_host_maintenance", "r1")
    nova = FakeNova(mark=str(owner))
    nova.add("a", "b")

    def enable(now: int) -> None:
        nova.mark = nova.mark if now < 3 else None

    nova.on_second = enable
    moves = enter(watch_of(nova), nova, "a", "b", owner=owner)
    first, second = await outcomes(moves)

    assert first["host"] == "c02"
    assert str(second) == (
        "host c01: it is enabled, not disabled by this run. "
        "Somebody else decides about it now: talk to them, then trigger a new run."
    )
    assert nova.posted == ["a"]


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
    nova = FakeNova(endings={"i1": ["error"]})
    nova.add("i1")
    (ended,) = await outcomes(enter(watch_of(nova), nova, destination="c03", **given))
    assert ended["outcome"].startswith("moved to ")
    assert nova.asked_for == asked_for


async def test_where_nova_refuses_the_suggestion_at_once_its_scheduler_chooses(
    watch_of: Watches,
) -> None:
    no_host = Refused("instance", "Nova refused: Compute host c03 could not be found.", "x")
    nova = FakeNova(errors={"live_migrate": [no_host]})
    nova.add("i1")
    moves = enter(watch_of(nova), nova, destination="c03", is_suggestion=True)
    (ended,) = await outcomes(moves)
    assert ended["outcome"].startswith("moved to ")
    assert nova.asked_for == [None]
    assert any(
        "Nova refused the planned destination, its scheduler now chooses" in line
        for line in said(moves[0])
    )


async def test_a_refusal_that_is_not_about_the_suggestion_ends_the_move(watch_of: Watches) -> None:
    forbidden = Refused("instance", "the cloud lab forbids it", "x")
    nova = FakeNova(errors={"live_migrate": [forbidden] * 3})
    nova.add("i1")
    ended = await outcomes(enter(watch_of(nova), nova, destination="c03", is_suggestion=True))
    assert ended == [forbidden]
    assert nova.calls["live_migrate"] == 2


async def test_a_member_of_a_server_group_waits_for_the_scheduler_to_learn_where_another_went(
    watch_of: Watches,
) -> None:
    nova = FakeNova(groups={"i1": "g", "other": "g"})
    nova.add("i1", "i2")
    nova.add("other", host="c09")
    nova._post("other", "live-migration", None)
    moves = enter(watch_of(nova), nova, "i1", "i2", limits=Limits(2, 4))
    await outcomes(moves)
    moved = {row.instance_id: row for row in nova.rows.values()}
    waited = moved["i1"].created_at - moved["other"].updated_at
    assert timedelta(seconds=130) <= waited < timedelta(seconds=150)
    assert moved["i2"].created_at < moved["other"].updated_at
    assert any("may not know yet where it is" in line for line in said(moves[0]))


async def test_a_member_that_no_host_is_found_for_is_asked_about_again_for_some_minutes(
    watch_of: Watches,
) -> None:
    nova = FakeNova(groups={"i1": "g"}, endings={"i1": ["no host"] * 5})
    nova.add("i1")
    (move,) = enter(watch_of(nova), nova, "i1", destination="c05", is_suggestion=True)
    (ended,) = await outcomes([move])
    assert ended["host"] == DESTINATION
    assert nova.asked_for == ["c05", None, None, None, None, None]
    asked = [row.created_at for row in nova.rows.values()]
    assert all(later - earlier >= timedelta(seconds=20) for earlier, later in pairwise(asked))


async def test_a_member_that_there_is_no_host_for_fails_in_the_end(watch_of: Watches) -> None:
    nova = FakeNova(groups={"i1": "g"}, endings={"i1": ["no host"] * 99})
    nova.add("i1")
    (ended,) = await outcomes(enter(watch_of(nova), nova, "i1"))
    assert isinstance(ended, MigrationFailed)
    assert "ended as error (2 tries)" in str(ended)
    asked = [row.created_at for row in nova.rows.values()]
    assert timedelta(seconds=150) <= asked[-1] - asked[0] < timedelta(seconds=200)


async def test_who_is_in_no_group_and_finds_no_host_fails_after_its_tries(
    watch_of: Watches,
) -> None:
    nova = FakeNova(endings={"i1": ["no host"] * 99})
    nova.add("i1")
    (ended,) = await outcomes(enter(watch_of(nova), nova, "i1"))
    assert isinstance(ended, MigrationFailed)
    assert len(nova.rows) == 2


@pytest.mark.parametrize(
    ("limits", "asks"),
    [
        (Limits(1, 4), False),  # its slot is taken: it waits for its turn in any case
        (Limits(4, 1), False),  # the cloud's are
        (Limits(2, 4), True),
        (Limits(1, 4, nova_limit=1), True),  # it may wait in Nova's own queue
    ],
)
async def test_who_comes_is_looked_at_before_the_next_beat_only_where_it_may_start(
    watch_of: Watches, monkeypatch: pytest.MonkeyPatch, limits: Limits, asks: bool
) -> None:
    monkeypatch.setattr(drain_watch, "next_beat", lambda *_: 60.0)
    nova = FakeNova(takes=1000)
    nova.add("first", "second")
    watch = watch_of(nova)
    enter(watch, nova, "first", limits=limits)
    await until(lambda: nova.posted == ["first"])
    lists = nova.calls["migrations"]

    enter(watch, nova, "second", limits=limits)
    await asyncio.sleep(0.1)

    assert (nova.calls["migrations"] > lists) is asks
    assert nova.posted == (["first", "second"] if asks else ["first"])


async def test_nothing_is_asked_about_who_waits_for_its_turn(watch_of: Watches) -> None:
    nova = FakeNova(takes=20)
    nova.add("i1", "i2", "i3")
    watch = watch_of(nova)
    enter(watch, nova, "i1")
    await until(lambda: nova.posted == ["i1"])
    asked = {call: nova.calls[call] for call in ("instances_on", "anti_affinity_groups")}
    assert asked == {"instances_on": 1, "anti_affinity_groups": 1}

    (_, waits) = enter(watch, nova, "i2", "i3")
    await until(lambda: nova.seconds > 15)

    assert nova.posted == ["i1"]
    assert {call: nova.calls[call] for call in asked} == asked
    assert said(waits) == ["waits for its turn: 1 of 1 migrations off c01 in flight"]


async def test_a_guest_that_has_to_be_stopped_runs_until_its_turn_comes(watch_of: Watches) -> None:
    nova = FakeNova(takes=5)
    nova.add("i1", "i2", "i3", "i4")
    off: dict[int, set[str]] = {}

    def look(second: int) -> None:
        there = (each for each in nova.instances.values() if each.host == SOURCE)
        off[second] = {each.id for each in there if each.vm_state == "stopped"}

    nova.on_second = look
    ended = await outcomes(enter(watch_of(nova), nova, method="stop", may_stop=True))
    assert [(each["host"], each["status"]) for each in ended] == [(DESTINATION, "ACTIVE")] * 4
    assert max(map(len, off.values())) == 1, off
    assert nova.calls["stop_guest"] == nova.calls["cold_migrate"] == 4


async def test_no_guest_is_stopped_after_the_window_and_one_that_was_is_not_left_off(
    watch_of: Watches,
) -> None:
    nova = FakeNova()
    nova.add("i1", "i2")

    def closed(now: datetime) -> str | None:  # as soon as the first guest is off
        return "the window is closed" if nova.calls["stop_guest"] else None

    moves = enter(watch_of(nova), nova, method="stop", may_stop=True, may_start=closed)
    first, second = await outcomes(moves)
    assert (first["host"], first["status"]) == (DESTINATION, "ACTIVE")
    assert isinstance(second, MigrationFailed)
    assert "the window is closed" in str(second)
    assert (nova.instances["i2"].host, nova.instances["i2"].status) == (SOURCE, "ACTIVE")
    assert nova.calls["stop_guest"] == nova.calls["start_guest"] == 1


async def test_guests_that_are_off_already_go_first_and_wait_for_no_other(
    watch_of: Watches,
) -> None:
    nova = FakeNova()
    nova.add("i1", "i2", "i3")
    requests = [request(nova, name, method="stop", may_stop=True) for name in nova.instances]
    for name in ("i2", "i3"):  # by a triggerer that died then
        nova.stop_guest(name)
    watch = watch_of(nova)
    ended = await outcomes([watch.enter(each) for each in requests])
    assert [each["status"] for each in ended] == ["ACTIVE"] * 3
    assert nova.posted == ["i2", "i3", "i1"]


async def until(reached: Callable[[], bool]) -> None:
    for _ in range(1000):
        if reached():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never came to that")
