"""A story under way on the lab: what happens when, in real time, and what is seen meanwhile.

An event happens at a time (``at``: seconds from the story's start) or at a moment (``when``):
``task TASK STATE``; ``then``: so many seconds later. It is the form of `simulator.stage`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from keystoneauth1.exceptions import ClientException

from airflow_local import AirflowLocalError, LocalAirflow, TaskInstance
from lab_campaign.facts import Fact
from openstack_lab import Cloud, Instance, Lab, LabError
from simulator.recorder import Line
from simulator.story import Json, Story

HOST_DAG = "compute_host_maintenance"
NUMBER = "-01"  # what the lab adds to a name
EVERY_SECONDS = 0.4
# What may be away while a story breaks things: it is asked again.
AWAY = (AirflowLocalError, httpx.HTTPError, LabError, ClientException)
Undo = Callable[[], None]
_QUIET = ("scheduled", "queued", None)
_WHEN = {"do", "at", "when", "then"}


@dataclass
class Run:
    """A run of this story, as Airflow last showed it."""

    name: str
    run_id: str
    conf: Json
    state: str = "queued"
    tasks: list[TaskInstance] = field(default_factory=list)
    dag_id: str = HOST_DAG

    @property
    def is_finished(self) -> bool:
        return self.state in ("success", "failed")


class LabStage:
    """One story under way. ``faults``: how many of each kind have happened."""

    def __init__(self, story: Story, lab: Lab, airflow: LocalAirflow, log: Path) -> None:
        self.story, self.lab, self.airflow = story, lab, airflow
        self._log = log  # where the timeline can be followed
        self.api = airflow.api()
        # What they change is known by the ids of their requests: all else is a run's, or Nova's.
        self.cloud, self.owners = Cloud(lab.clouds_yaml), Cloud(lab.clouds_yaml)
        self.lines: list[Line] = []
        self.facts: list[Fact] = []
        self.faults: dict[str, int] = {}
        self.runs: dict[str, Run] = {}
        self.began = datetime.now(UTC)
        self.tasks_of_dag: list[str] = []
        self._start = time.monotonic()
        self._later: list[tuple[float, Callable[[], None]]] = []
        self._open: list[Undo] = []
        self._waiting: list[Json] = []
        self._hands = ThreadPoolExecutor(8, thread_name_prefix="hands")
        self._services: dict[str, str] = {}
        self._by_people = threading.Lock()
        self._perform: Callable[[LabStage, Json], Undo | None] = lambda stage, event: None

    # Time.

    def seconds(self) -> float:
        """Since the story's start."""
        return time.monotonic() - self._start

    def after(self, seconds: float, what: Callable[[], Any]) -> None:
        """Do something so many seconds from now."""
        self._later.append((self.seconds() + seconds, what))

    def run_until(self, is_over: Callable[[], bool], at_most: float) -> bool:
        """Let time pass, with what is due in it; whether it is over in time."""
        ends = self.seconds() + at_most
        while not is_over():
            if self.seconds() > ends:
                return False
            for due in [each for each in self._later if each[0] <= self.seconds()]:
                self._later.remove(due)
                self._hands.submit(self.tries, due[1])
            self.tries(self._look_at_airflow)
            time.sleep(EVERY_SECONDS)
        return True

    def wait(self, seconds: float) -> None:
        """Let so much time pass."""
        self.run_until(lambda: False, seconds)

    def tries(self, what: Callable[[], Any]) -> bool:
        """Do it; where that does not work, write why. A story breaks what it needs itself."""
        try:
            what()
        except AWAY as trouble:
            self.note("trouble", " ".join(str(trouble).split())[:300])
            return False
        return True

    # What is seen.

    def note(self, who: str, what: str) -> None:
        """Write a line of the timeline."""
        self.lines.append(line := Line(datetime.now(UTC), who, what))
        with self._log.open("a") as log:
            log.write(f"{line}\n")

    def note_fact(self, kind: str, host: str = "", what: str = "") -> None:
        """Something that a judge has to know of."""
        self.facts.append(Fact(datetime.now(UTC), kind, host=host, what=what))

    def instance(self, name: str) -> Instance | None:
        """An instance that is there, by its name."""
        return self.cloud.find_instance(f"{name}{NUMBER}")

    def trigger(self, conf: Json) -> Run:
        """Trigger a run for a host, as a person does."""
        run_id = self.api.trigger(HOST_DAG, conf)
        run = Run(f"run-{len(self.runs) + 1}", run_id, conf)
        self.runs[run_id] = run
        self.note("person", f"triggers {run.name}: {conf}")
        return run

    def _look_at_airflow(self) -> None:
        for run in list(self.runs.values()):
            if not run.is_finished:
                self._look_at(run)

    def look_again(self, run: Run) -> None:
        """A run that had ended goes on."""
        run.state = "queued"

    def _look_at(self, run: Run) -> None:
        state = str(self.api.run(HOST_DAG, run.run_id)["state"])
        known = {task.key: task for task in run.tasks}
        run.tasks = self.api.task_instances(HOST_DAG, run.run_id)
        for task in run.tasks:
            before = known.get(task.key)
            was = (before.state, before.try_number) if before else (None, 0)
            if (task.state, task.try_number) != was and task.state not in _QUIET:
                self.note(run.name, f"{task.name} {task.state}")
                # Most tasks run for less time than lies between two looks.
                self._moment(f"task {task.task_id} running")
                self._moment(f"task {task.task_id} {task.state}")
        if state != run.state and state in ("success", "failed"):
            self.note(run.name, f"has ended: {state}")
        run.state = state

    @contextmanager
    def watching_services(self) -> Iterator[None]:
        """While this lasts, whoever disables or enables a host is written down."""
        over = threading.Event()
        thread = threading.Thread(target=self._watch_services, args=(over,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join(90)

    def _watch_services(self, over: threading.Event) -> None:
        cloud = Cloud(self.lab.clouds_yaml)
        before = self.began
        while not over.wait(EVERY_SECONDS):
            now = datetime.now(UTC)
            try:
                with self._by_people:
                    self._compare(cloud.services(), before)
            except AWAY:
                continue  # nobody can have changed it meanwhile, either
            before = now

    def _compare(self, services: dict[str, Json], at: datetime) -> None:
        """What was changed since the last look, was changed by a run. At the earliest then: a
        judge must not find something too late because it was seen late.
        """
        for host, service in services.items():
            now = _in_words(service)
            if now != self._services.setdefault(host, "enabled"):
                self._services[host] = now
                self.facts.append(Fact(at, "service", host=host, who="client", what=now))

    def set_service(self, host: str, reason: str | None) -> None:
        """A person disables a host, or (no reason) enables it."""
        with self._by_people:
            if reason is None:
                self.cloud.enable(host)
            else:
                self.cloud.disable(host, reason)
            now = "enabled" if reason is None else f"disabled: {reason}"
            self._services[host] = now
            at = datetime.now(UTC)
            self.facts.append(Fact(at, "service", host=host, who="another admin", what=now))

    # When.

    def begin(self, perform: Callable[[LabStage, Json], Undo | None]) -> None:
        """Let every event of the story wait for its time or its moment."""
        self._perform = perform
        for event in self.story.events:
            if "when" in event:
                self._waiting.append(event)
            else:
                self.after(event.get("at", 0), partial(self.happen, event))

    def happen(self, event: Json) -> None:
        """Let an event happen now; where it lasts, it ends by itself."""
        told = ", ".join(f"{key} {value}" for key, value in event.items() if key not in _WHEN)
        kind = event["do"]
        self.note("FAULT", f"{kind}{' ' if told else ''}{told}")
        self.faults[kind] = self.faults.get(kind, 0) + 1
        undo = self._perform(self, event)
        if undo is None:
            return
        ended: list[bool] = []

        def end() -> None:
            if not ended:
                ended.append(True)
                self._open.remove(end)
                undo()
                self.note("FAULT", f"{kind} is over")

        self._open.append(end)
        self.after(event.get("for", 60), end)

    def end_faults(self) -> None:
        """Whatever still lasts is over, and what has not happened never will."""
        self._waiting.clear()
        self._later.clear()
        self._hands.shutdown(wait=True)
        self._hands = ThreadPoolExecutor(8, thread_name_prefix="hands")
        for end in list(self._open):
            self.tries(end)

    def _moment(self, text: str) -> None:
        for event in [each for each in self._waiting if each["when"] == text]:
            self._waiting.remove(event)
            self.after(event.get("then", 0), partial(self.happen, event))


def _in_words(service: Json) -> str:
    if service["status"] == "enabled":
        return "enabled"
    return f"disabled: {service['disabled_reason'] or ''}"
