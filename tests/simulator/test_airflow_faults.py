"""What the model of Airflow does when parts of it die, and what people can ask of it."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import DAG, BaseOperator, CronTriggerTimetable, chain

from airflow_scenarios.on_model import FOLDER
from simulator.airflow import Airflow, BadRequest, Settings
from simulator.airflow.processes import Memory
from simulator.airflow.records import Run
from simulator.clock import START, VirtualTime

sys.path.append(str(FOLDER / "plugins"))
from airflow_toys import Toy, ToyTrigger

LONG = 600
Start = Callable[..., Airflow]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts an Airflow with one DAG, `toys`; it lives until the test's end."""
    with ExitStack() as stack:

        def make(
            *tasks: BaseOperator, schedule: Any = None, in_a_row: bool = False, **settings: Any
        ) -> Airflow:
            clock = VirtualTime()
            params = {"notes": ""}
            begins = datetime(2024, 1, 1, tzinfo=UTC)
            dag = DAG("toys", schedule=schedule, params=params, start_date=begins, catchup=False)
            for task in tasks:
                dag.add_task(task)
            if in_a_row:
                chain(*tasks)
            airflow = Airflow(clock, [dag], Settings(**settings))
            stack.enter_context(clock.installed())
            stack.enter_context(airflow.installed())
            return airflow

        yield make


def toy(name: str, *does: str, retries: int = 0, **kwargs: Any) -> Toy:
    delay = timedelta(seconds=2)
    return Toy(task_id=name, does=list(does), retries=retries, retry_delay=delay, **kwargs)


def states(airflow: Airflow, task: str) -> list[str | None]:
    return [each.state for each in airflow.history if each.name == task]


def until(airflow: Airflow, run: Run, task: str, state: str) -> Any:
    assert airflow.run_until_state(run, task, state), airflow.states(run)
    airflow.clock.run(at_most=3)
    return run.tasks[task][-1]


def test_two_schedulers_hand_a_task_out_once(start: Start) -> None:
    airflow = start(*[toy(f"t{n}", "ok") for n in range(8)], schedulers=2, parallelism=4)
    run = airflow.trigger("toys")
    most = 0

    def count() -> bool:
        nonlocal most
        most = max(most, sum(ti.state in ("queued", "running") for ti in run.instances()))
        return run.is_finished

    assert airflow.run_until(count)
    assert most == 4
    assert all(
        states(airflow, f"t{n}") == ["scheduled", "queued", "running", "success"] for n in range(8)
    )


def test_while_no_scheduler_lives_nothing_is_decided(start: Start) -> None:
    airflow = start(toy("works", "ok"))
    airflow.kill_scheduler()
    run = airflow.trigger("toys")
    assert not airflow.run_until(lambda: run.state == "running", at_most=3600)
    airflow.start_scheduler()
    assert airflow.run_until_idle(at_most=60)
    assert run.state == "success"


@pytest.mark.parametrize(
    ("executor", "then"), [("local", [None, "scheduled", "queued", "running"]), ("celery", [])]
)
def test_what_a_dead_scheduler_ran_is_reset_or_adopted(
    start: Start, executor: str, then: list[str | None]
) -> None:
    airflow = start(toy("works", f"sleep:{LONG}", "ok"), executor=executor, schedulers=2)
    run = airflow.trigger("toys")
    ti = until(airflow, run, "works", "running")
    airflow.kill_scheduler(airflow.schedulers.jobs.index(ti.queued_by))
    assert airflow.run_until_idle()
    assert states(airflow, "works") == ["scheduled", "queued", "running", *then, "success"]


def test_a_task_that_goes_on_can_be_taken_for_lost(start: Start) -> None:
    airflow = start(toy("works", f"sleep:{LONG}", "ok", retries=1))
    run = airflow.trigger("toys")
    airflow.lose(until(airflow, run, "works", "running"))
    assert airflow.run_until_idle()
    assert states(airflow, "works")[3:5] == ["up_for_retry", "scheduled"]
    assert run.state == "success"


@pytest.mark.parametrize(
    ("seconds", "then"),
    [(5, ["success"]), (40, ["up_for_retry", "scheduled", "queued", "running", "success"])],
)
def test_an_api_server_that_is_away_is_waited_for_and_then_given_up(
    start: Start, seconds: float, then: list[str]
) -> None:
    airflow = start(toy("works", "sleep:4", "ok", retries=1))
    run = airflow.trigger("toys")
    until(airflow, run, "works", "running")
    airflow.api_away()
    airflow.clock.run(at_most=seconds)
    airflow.api_away(False)
    assert airflow.run_until_idle()
    assert states(airflow, "works")[3:] == then, airflow.log(run.tasks["works"][-1])


def test_a_deleted_runs_task_and_trigger_are_ended(start: Start, tmp_path: Any) -> None:
    airflow = start(toy("works", f"sleep:{LONG}"), toy("waits", f"defer:{LONG}:event"))
    notes = tmp_path / "notes"
    run = airflow.trigger("toys", {"notes": str(notes)})
    until(airflow, run, "waits", "deferred")
    airflow.delete(run)
    airflow.clock.run(at_most=20)
    assert not airflow.runs
    assert not airflow.workers.running
    assert sorted(line for line in notes.read_text().splitlines() if "on_kill" in line) == [
        "on_kill of task works",
        "on_kill of trigger of waits",
    ]


def test_a_paused_dag_starts_nothing(start: Start) -> None:
    airflow = start(toy("first", "sleep:5"), toy("second", "ok"), in_a_row=True)
    run = airflow.trigger("toys")
    until(airflow, run, "first", "running")
    airflow.pause("toys")
    airflow.clock.run(at_most=LONG)
    assert airflow.states(run) == {"first": "success", "second": None}
    airflow.pause("toys", False)
    assert airflow.run_until_idle(at_most=60)
    assert run.state == "success"


NIGHTLY = CronTriggerTimetable("0 1 * * *", timezone="UTC")


def test_nights_come_by_schedule_and_by_backfill(start: Start) -> None:
    airflow = start(toy("works", "ok"), schedule=NIGHTLY)
    assert airflow.run_until(lambda: len(airflow.runs) == 3, at_most=3 * 86_400)
    # Catchup is off: the last missed night at once, then each night.
    dates = [run.logical_date for run in airflow.runs]
    assert [str(date)[:16] for date in dates] == [
        "2026-03-09 01:00",
        "2026-03-10 01:00",
        "2026-03-11 01:00",
    ]
    before, end = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 9, 2, tzinfo=UTC)
    airflow.run_until_idle()
    made = airflow.backfill("toys", before, end, max_active_runs=2)
    assert [run.run_type for run in made] == ["backfill"] * 8  # the ninth has its run already
    most = 0

    def count() -> bool:
        nonlocal most
        most = max(most, sum(run.state == "running" for run in made))
        return all(run.is_finished for run in made)

    assert airflow.run_until(count, at_most=600)
    assert most == 2
    again = airflow.backfill("toys", before, end, reprocess="completed")
    assert len(again) == 9
    assert {run.clear_number for run in again} == {1}


def test_a_backfill_needs_a_schedule(start: Start) -> None:
    airflow = start(toy("works", "ok"))
    with pytest.raises(BadRequest, match="schedule"):
        airflow.backfill("toys", START, START)


class Keeps(BaseOperator):
    """Keeps a number for an hour, and one for ever; hands on what it finds."""

    def execute(self, context: Any) -> Any:
        from airflow.sdk import NEVER_EXPIRE

        store = context["task_state_store"]
        found = [store.get("hour"), store.get("ever")]
        store.set("hour", 1, retention=timedelta(hours=1))
        store.set("ever", 1, retention=NEVER_EXPIRE)
        return found


def test_what_a_task_keeps_survives_a_clear_until_it_expires(start: Start) -> None:
    airflow = start(Keeps(task_id="keeps"))
    run = airflow.trigger("toys")
    found = []
    for wait in (60, 7200, 0):
        assert airflow.run_until_idle()
        found.append(airflow.xcom(run, "keeps"))
        airflow.clock.run(at_most=wait)
        airflow.clear(run)
    assert found == [[None, None], [1, 1], [None, 1]]
    assert (run.clear_number, run.tasks["keeps"][-1].try_number) == (3, 3)


class NotPlain(BaseOperator):
    """Hands on what no database takes."""

    def execute(self, context: Any) -> Any:
        return {"a": object()}


def test_only_plain_json_is_handed_on(start: Start) -> None:
    airflow = start(NotPlain(task_id="hands_on"))
    run = airflow.trigger("toys")
    assert airflow.run_until_idle()
    assert run.state == "failed"


seen: list[str] = []
watches: Any = Memory("watches")


class Watcher(ToyTrigger):
    """Shares a number with the other triggers of its triggerer, and has a task of its own."""

    def __init__(self, seconds: float = LONG, then: str = "event", notes: str = "") -> None:
        super().__init__(seconds, then, notes)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return f"{__name__}.{type(self).__name__}", {}

    async def run(self) -> AsyncIterator[Any]:
        watches["n"] = watches.get("n", 0) + 1
        seen.append(f"watch {watches['n']}")
        task = asyncio.create_task(self.beat())
        try:
            await asyncio.to_thread(time.sleep, 40)
            await asyncio.sleep(LONG)
            yield None
        finally:
            seen.append("cleaned up")
            await task

    async def beat(self) -> None:
        while True:
            await asyncio.sleep(10)
            seen.append("beat")


class Waits(BaseOperator):
    def execute(self, context: Any) -> Any:
        self.defer(trigger=Watcher(), method_name="execute")


def test_a_dead_triggerer_does_nothing_any_more_and_takes_its_memory_with_it(start: Start) -> None:
    sys.modules.setdefault(__name__, sys.modules[Watcher.__module__])
    seen.clear()
    airflow = start(Waits(task_id="one"), Waits(task_id="two"))
    run = airflow.trigger("toys")
    until(airflow, run, "one", "deferred")
    until(airflow, run, "two", "deferred")
    assert seen[:2] == ["watch 1", "watch 2"]
    airflow.kill_triggerer()
    before = list(seen)
    airflow.clock.run(at_most=300)
    assert seen == before
    airflow.start_triggerer()
    airflow.clock.run(at_most=3)
    assert seen[len(before) :] == ["watch 1", "watch 2"]


def test_a_triggerer_that_lives_takes_over_after_half_a_minute(start: Start) -> None:
    airflow = start(toy("waits", "defer:10:success"), triggerers=2)
    run = airflow.trigger("toys")
    until(airflow, run, "waits", "deferred")
    trigger = next(iter(airflow.triggerers.triggers.values()))
    killed_at = airflow.clock.seconds()
    airflow.kill_triggerer(airflow.triggerers.jobs.index(trigger.job))
    assert airflow.run_until_idle()
    assert run.state == "success"
    assert 40 < airflow.clock.seconds() - killed_at < 45  # thirty, and ten from zero


@pytest.mark.parametrize("seconds", [0.1, 0.7, 1.25, 2.0])
def test_a_worker_may_die_at_any_moment_and_nothing_of_it_goes_on(
    start: Start, seconds: float
) -> None:
    first, second = toy("first", "sleep:1", "ok", retries=1), toy("second", "ok")
    airflow = start(first, second, in_a_row=True)
    run = airflow.trigger("toys")
    assert airflow.run_until_state(run, "first", "queued")
    airflow.clock.run(at_most=seconds)
    airflow.kill_worker(run.tasks["first"][-1])
    assert airflow.run_until_idle(at_most=900)
    ended = states(airflow, "first")
    assert run.state == "success", ended
    assert ended.count("success") == 1


def test_a_question_that_nobody_answers_times_out(start: Start) -> None:
    asks = HITLOperator(
        task_id="asks", subject="?", options=["Yes"], response_timeout=timedelta(minutes=5)
    )
    airflow = start(asks)
    run = airflow.trigger("toys")
    assert airflow.run_until_idle(at_most=600)
    assert states(airflow, "asks")[3:] == [
        *("awaiting_input", "scheduled", "queued", "running", "failed")
    ]
    assert run.state == "failed"


def test_ticks_that_come_while_a_night_is_under_way_are_left_out(start: Start) -> None:
    works = toy("works", "sleep:200000", "ok")
    airflow = start(works, schedule=NIGHTLY)
    airflow.core.dags["toys"].source.max_active_runs = 1
    airflow.clock.run(at_most=86_400 * 5)
    dates = [str(run.logical_date)[:10] for run in airflow.runs]
    assert dates == ["2026-03-09", "2026-03-10", "2026-03-12"]


def test_an_event_that_dies_with_its_triggerer_comes_again(start: Start) -> None:
    airflow = start(toy("waits", "defer:10:success"))
    run = airflow.trigger("toys")
    until(airflow, run, "waits", "deferred")
    trigger = next(iter(airflow.triggerers.triggers.values()))
    assert airflow.run_until(lambda: trigger.is_over, at_most=60)
    airflow.kill_triggerer()
    airflow.start_triggerer()
    assert airflow.run_until_idle(at_most=120)
    assert run.state == "success"
    assert not airflow.triggerers.triggers
