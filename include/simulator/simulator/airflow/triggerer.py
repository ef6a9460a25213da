"""The triggerers: they run the triggers of deferred tasks, and take over those of a dead one.

Source: airflow/jobs/triggerer_job_runner.py, models/trigger.py, 3.3.2.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import json
import traceback
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

from airflow.sdk._shared.module_loading import import_string
from airflow.sdk.serde import deserialize, serialize
from airflow.triggers.base import BaseTaskEndEvent, TriggerEvent

from simulator.airflow.core import Core, stored
from simulator.airflow.processes import Process
from simulator.airflow.records import State, TaskInstance

USER_ACTION = "__airflow_user_action__"
FAILS = "__fail__"  # the method of a task that resumes only to fail


@dataclass(eq=False)
class Trigger:
    """A row: what a task waits for, as it is stored."""

    id: int
    classpath: str
    kwargs: str  # JSON
    ti: TaskInstance
    timeout_at: datetime | None = None
    job: Triggerer | None = None
    process: Process | None = None  # its triggerer's, as far as this trigger sees it
    task: asyncio.Task[Any] | None = None
    is_over: bool = False  # by an event, a failure, or a person


@dataclass(eq=False)
class Triggerer:
    """One triggerer's process."""

    name: str
    memory: dict[str, Any] = field(default_factory=dict)
    processes: list[Process] = field(default_factory=list)  # one for each trigger's log
    is_alive: bool = True


@dataclass
class Triggerers:
    """All triggerers of this Airflow."""

    core: Core
    jobs: list[Triggerer] = field(default_factory=list)
    triggers: dict[int, Trigger] = field(default_factory=dict)
    _ids: Any = field(default_factory=lambda: itertools.count(1))
    _turn: int = 0

    def start(self) -> Triggerer:
        """One more triggerer."""
        job = Triggerer(f"triggerer-{len(self.jobs) + 1}")
        self.jobs.append(job)
        self._later(self._assign)
        return job

    def kill(self, which: int = 0) -> None:
        """One of the living triggerers dies with all that is in its memory."""
        job = [each for each in self.jobs if each.is_alive][which]
        job.is_alive = False
        for process in job.processes:
            process.kill()
        self.core.clock.after(self.core.settings.job_timeout, lambda: self._declare_dead(job))

    def defer(self, ti: TaskInstance, msg: Any) -> None:
        """A task waits: its trigger is stored, and soon started somewhere."""
        timeout: timedelta | None = msg.trigger_timeout
        timeout_at = None if timeout is None else self.core.now() + timeout
        kwargs = stored(msg.trigger_kwargs)
        trigger = Trigger(next(self._ids), msg.classpath, kwargs, ti, timeout_at)
        self.triggers[trigger.id] = trigger
        ti.trigger_id = trigger.id
        ti.next_method, ti.next_kwargs = msg.next_method, json.loads(stored(msg.next_kwargs))
        if timeout is not None:
            wait = timeout.total_seconds() + self.core.settings.deferral_check / 2
            self.core.clock.after(wait, functools.partial(self._time_out, trigger))
        self.core.set_state(ti, "deferred")
        self._later(self._assign)

    def changed(self, ti: TaskInstance, was: State) -> None:
        """A task is no longer deferred, and not by its trigger: the trigger is cancelled."""
        if was == "deferred":
            for trigger in [each for each in self.triggers.values() if each.ti is ti]:
                self._later(functools.partial(self._cancel, trigger))

    # Who runs what.

    def _later(self, what: Any) -> None:
        self.core.clock.after(self.core.settings.triggerer_loop / 2, what)

    def _assign(self) -> None:
        alive = [job for job in self.jobs if job.is_alive]
        for trigger in list(self.triggers.values()) if alive else ():
            if trigger.task is None and not trigger.is_over and self._is_wanted(trigger):
                self._turn += 1
                self._run(trigger, alive[self._turn % len(alive)])

    def _declare_dead(self, job: Triggerer) -> None:
        for trigger in self.triggers.values():
            if trigger.job is job:
                trigger.job = trigger.process = trigger.task = None
        self._later(self._assign)

    def _is_wanted(self, trigger: Trigger) -> bool:
        ti = trigger.ti
        is_there = ti.run.key in self.core.store.runs
        return is_there and ti.state == "deferred" and ti.trigger_id == trigger.id

    def _run(self, trigger: Trigger, job: Triggerer) -> None:
        ti = trigger.ti
        name = f"trigger of {ti.name} in {job.name}"
        trigger.job = job
        trigger.process = Process(self.core.clock, name, ti, ti.id, memory=job.memory)
        job.processes.append(trigger.process)
        trigger.task = trigger.process.start(self._follow(trigger))

    # One trigger.

    async def _follow(self, trigger: Trigger) -> None:
        """Run it until it has said something, failed, or is cancelled."""
        process = trigger.process
        try:
            found = self._rebuilt(trigger)
        except Exception as error:
            self._submit(trigger, None, error)
            return
        try:
            async for event in found.run():
                self._submit(trigger, event, None)
            self._submit(trigger, None, None)
        except asyncio.CancelledError as error:
            if error.args[:1] == (USER_ACTION,) and not self._is_timed_out(trigger):
                await self._on_kill(found, trigger)
            self.triggers.pop(trigger.id, None)
            raise
        except Exception as error:
            self._submit(trigger, None, error)
        finally:
            if process is not None and not process.is_dead:
                await found.cleanup()

    def _rebuilt(self, trigger: Trigger) -> Any:
        kwargs: Any = deserialize(json.loads(trigger.kwargs))
        made = import_string(trigger.classpath)(**kwargs)
        made.trigger_id = trigger.id
        ti = trigger.ti
        made.task_instance = SimpleNamespace(
            id=ti.id,
            dag_id=ti.run.dag_id,
            run_id=ti.run.run_id,
            task_id=ti.task_id,
            map_index=ti.map_index,
            try_number=ti.try_number,
        )
        return made

    async def _on_kill(self, found: Any, trigger: Trigger) -> None:
        try:
            await asyncio.wait_for(found.on_kill(), self.core.settings.on_kill_timeout)
        except TimeoutError:
            self.core.log(trigger.ti, "warning", "on_kill() timed out")
        except Exception as error:
            self.core.log(trigger.ti, "warning", f"on_kill() raised an exception: {error!r}")

    def _cancel(self, trigger: Trigger) -> None:
        if trigger.is_over:
            return
        trigger.is_over = True
        if trigger.task is None:
            self.triggers.pop(trigger.id, None)
        elif not trigger.task.done():
            trigger.task.cancel(USER_ACTION)

    def _is_timed_out(self, trigger: Trigger) -> bool:
        return trigger.timeout_at is not None and trigger.timeout_at < self.core.now()

    # What it says.

    def _submit(self, trigger: Trigger, event: Any, error: Exception | None) -> None:
        """Hand over an event, or a failure; the database has it within the triggerer's loop."""
        if not trigger.is_over:
            trigger.is_over = True
            self._later(functools.partial(self._submitted, trigger, event, error, trigger.process))

    def _submitted(
        self, trigger: Trigger, event: Any, error: Exception | None, process: Process | None
    ) -> None:
        if process is not None and process.is_dead:
            trigger.is_over = False  # nobody has heard of it: another triggerer begins again
            return
        self.triggers.pop(trigger.id, None)
        ti = trigger.ti
        if not self._is_wanted(trigger):
            return
        if isinstance(event, BaseTaskEndEvent):
            self._end(ti, event)
        elif isinstance(event, TriggerEvent):
            resume(self.core, ti, event.payload)
        else:
            text = None if error is None else traceback.format_exception(error)
            self._fail(ti, {"error": "Trigger failure", "traceback": text})

    def _end(self, ti: TaskInstance, event: BaseTaskEndEvent) -> None:
        """Source: handle_event_submit of BaseTaskEndEvent."""
        state = str(getattr(event.task_instance_state, "value", event.task_instance_state))
        retries = self.core.dags[ti.run.dag_id].tasks[ti.task_id].retries
        if state == "failed" and retries and ti.try_number <= ti.max_tries:
            self.core.next_try(ti)
            self.core.retry_later(ti)
            return
        ti.trigger_id = None
        self.core.set_state(ti, state)
        for key, value in (event.xcoms or {}).items():
            # XComModel.set stores the text of the JSON as JSON.
            table = self.core.store.xcoms.setdefault((*ti.run.key, ti.task_id, key), {})
            table[ti.map_index] = stored(stored(serialize(value)))

    def _fail(self, ti: TaskInstance, kwargs: dict[str, Any]) -> None:
        ti.next_method, ti.next_kwargs, ti.trigger_id = FAILS, kwargs, None
        self.core.set_state(ti, "scheduled")

    def _time_out(self, trigger: Trigger) -> None:
        """Source: check_trigger_timeouts."""
        if self._is_wanted(trigger) and self._is_timed_out(trigger):
            self._fail(trigger.ti, {"error": "Trigger timeout", "traceback": None})


def resume(core: Core, ti: TaskInstance, payload: Any) -> None:
    """Let a task go on with an event. Source: handle_event_submit."""
    kwargs: Any = deserialize(ti.next_kwargs or {})
    kwargs["event"] = payload
    ti.next_kwargs = json.loads(stored(serialize(kwargs)))
    ti.trigger_id = None
    core.set_state(ti, "scheduled")
