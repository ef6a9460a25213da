"""Where a story is played: its world, what is under way in it, and when what happens.

An event happens at a time (``at``: seconds from the story's start) or at a moment (``when``):

    task TASK STATE        a task comes to a state
    asked DEED             a request is on its way, and the cloud does not have it yet
    answered DEED          the cloud has done it, and who asked does not know yet
    sent SCRIPT            a script is on its way to a host
    said SCRIPT            the host has done it, and who asked does not know yet
    journal TEXT           the cloud's journal says so

``nth``: of such moments. ``then``: so many seconds later.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from typing import Any

from simulator.airflow.processes import Process, current
from simulator.cloud.journal import Entry
from simulator.cloud.model import Instance
from simulator.deeds import deed_of
from simulator.hosts.machine import Machine
from simulator.hosts.ssh import Fault, Question, Spoken
from simulator.http.messages import Answer, Request, Verdict
from simulator.recorder import Recorder
from simulator.story import Json, Story
from simulator.whole_world import WholeWorld

Undo = Callable[[], None]
_A_MOMENT = 0.001


class Stage:
    """One story under way. ``faults``: how many of each kind have happened."""

    def __init__(self, story: Story, world: WholeWorld) -> None:
        self.story, self.world = story, world
        self.random = random.Random(f"stage {story.seed}")  # noqa: S311  the same again
        self.recorder = Recorder(world)
        self.faults: dict[str, int] = {}
        self.open_faults: list[Undo] = []
        self.waiting: list[tuple[str, list[int], Json]] = []
        self.asker: Process | None = None  # whose request or script this moment is about
        self.began = world.clock.seconds()
        # The host that a run's script goes to is asked by a process of that run.
        self.asked_by: dict[int, Process | None] = {}
        world.transport.hooks.insert(0, _Requests(self))
        world.hosts.network.on_asked.append(self._note_asker)
        world.hosts.network.before.append(self._sent)
        world.hosts.network.after.append(self._said)
        world.cloud.journal.listeners.append(self._journal)
        self._perform: Callable[[Stage, Json], Undo | None] = lambda stage, event: None

    # Names.

    def instance(self, name: str) -> Instance | None:
        """An instance that is still there, by its name."""
        found = self.world.cloud.state.instances.values()
        return next((each for each in found if each.name == name), None)

    def machine(self, host: str) -> Machine:
        """A host, by Nova's name."""
        return self.world.hosts.machines[host]

    def note(self, who: str, what: str) -> None:
        """Write a line of the timeline."""
        self.recorder.note(who, what)

    # When.

    def begin(self, perform: Callable[[Stage, Json], Undo | None]) -> None:
        """Let every event of the story wait for its time or its moment."""
        self._perform = perform
        self.world.airflow.core.changed.append(self._task_changed)
        for event in self.story.events:
            if "when" in event:
                self.waiting.append((event["when"], [int(event.get("nth", 1))], event))
            else:
                self.world.clock.after(event.get("at", 0), partial(self.happen, event))

    def happen(self, event: Json) -> None:
        """Let an event happen now; where it lasts, it ends by itself."""
        told = ", ".join(f"{key} {value}" for key, value in event.items() if key not in _WHEN)
        self.note("FAULT", f"{event['do']}{' ' if told else ''}{told}")
        kind = event["do"]
        self.faults[kind] = self.faults.get(kind, 0) + 1
        undo = self._perform(self, event)
        if undo is None:
            return
        ended: list[bool] = []

        def end() -> None:
            if not ended:
                ended.append(True)
                self.open_faults.remove(end)
                self.note("FAULT", f"{kind} is over")
                undo()

        self.open_faults.append(end)
        self.world.clock.after(event.get("for", 60), end)

    def end_faults(self) -> None:
        """Whatever still lasts is over, and what has not happened never will."""
        self.waiting.clear()
        for end in list(self.open_faults):
            end()

    def moment(self, text: str) -> bool:
        """Something has come about; whether an event happened at it."""
        if not self.waiting:
            return False
        due = []
        for entry in self.waiting:
            wanted, left, _ = entry
            if text == wanted or (wanted.startswith("journal ") and wanted[8:] in text[8:]):
                left[0] -= 1
                if not left[0]:
                    due.append(entry)
        for entry in due:
            self.waiting.remove(entry)
            if entry[2].get("then"):
                self.world.clock.after(entry[2]["then"], partial(self.happen, entry[2]))
            else:
                self.happen(entry[2])
        return bool(due)

    def _task_changed(self, ti: Any, was: Any) -> None:
        if ti.state is not None:
            self.moment(f"task {ti.task_id} {ti.state}")

    def _journal(self, entry: Entry) -> None:
        # Something may be in the middle of it: what happens then happens right after.
        if any(wanted.startswith("journal ") for wanted, _, _ in self.waiting):
            self.world.clock.soon(partial(self.moment, f"journal {entry.who} {entry.what}"))

    def _note_asker(self, question: Question) -> None:
        self.asked_by[id(question)] = current()

    def process_of(self, question: Question) -> Process | None:
        """Who sent a script."""
        return self.asked_by.get(id(question))

    def _sent(self, question: Question) -> Fault | None:
        self.asker = self.process_of(question)
        self.moment(f"sent {question.script}")
        self.asker = None
        return None

    def _said(self, question: Question, spoken: Spoken) -> None:
        self.asker = self.process_of(question)
        self.moment(f"said {question.script}")
        self.asker = None


_WHEN = {"do", "at", "when", "nth", "then"}


class _Requests:
    """Moments of requests. Who is killed at one goes no further."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def before(self, request: Request) -> Verdict:
        return self._look("asked", request)

    def after(self, request: Request, answer: Answer) -> Verdict:
        return self._look("answered", request)

    def _look(self, what: str, request: Request) -> Verdict:
        if not self._stage.waiting:
            return None
        deed = deed_of(request)
        if request.path.endswith("/action"):
            about = request.path.split("/")[-2]
            if about not in self._stage.world.cloud.state.instances:
                deed = "probe"  # a question that Nova is to refuse: it shows what may be done
        self._stage.asker = current()
        happened = self._stage.moment(f"{what} {deed}")
        self._stage.asker = None
        return _A_MOMENT if happened else None
