"""An operator and a trigger that do what they are told, one thing at each try.

This file is a plugin of a real Airflow: only what stands here is known to its triggerer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import (
    AirflowFailException,
    AirflowSkipException,
    DownstreamTasksSkipped,
)
from airflow.triggers.base import BaseTrigger, TaskFailedEvent, TaskSuccessEvent, TriggerEvent


class Toy(BaseOperator):
    """Does the word of its try, the last one ever after.

    ok, skip, fail, fail of:ELEMENT, fail for good, sleep:SECONDS, list:LENGTH,
    skip downstream:TASK,
    defer:SECONDS:event|success|failed|raise|nothing, and a deferral's timeout as a fourth part.
    keep: fails once, and succeeds when it finds what it kept. pull:TASK: its XCom must be {"x": 1}.
    """

    template_fields: Sequence[str] = ("notes", "given")

    def __init__(self, *, does: list[str], given: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.does = does
        self.given = given
        self.notes = "{{ params.notes }}"

    def execute(self, context: Any) -> Any:
        if hasattr(self, "_seen"):
            raise AirflowFailException("another process has left something in this operator")
        self._seen = True
        attempt = context["ti"].try_number
        return self._do(context, self.does[min(attempt, len(self.does)) - 1])

    def on_kill(self) -> None:
        _note(self.notes, f"on_kill of task {self.task_id}")

    def _do(self, context: Any, word: str) -> Any:
        what, *parts = word.split(":")
        match what:
            case "skip":
                raise AirflowSkipException("told so")
            case "fail":
                raise RuntimeError("told so")
            case "fail of":
                if self.given == int(parts[0]):
                    raise RuntimeError("told so")
            case "fail for good":
                raise AirflowFailException("told so")
            case "sleep":
                _note(self.notes, f"task {self.task_id} begins")
                time.sleep(float(parts[0]))
            case "list":
                return list(range(int(parts[0])))
            case "skip downstream":
                raise DownstreamTasksSkipped(tasks=parts)
            case "defer":
                self._defer(*parts)
            case "keep":
                if context["task_state_store"].get("kept") is None:
                    context["task_state_store"].set("kept", 1)
                    raise RuntimeError("told so")
            case "pull":
                found = context["ti"].xcom_pull(task_ids=parts[0])
                if found != '{"x": 1}':
                    raise AirflowFailException(f"pulled {found!r}")
        return None

    def _defer(self, seconds: str, then: str, timeout: str | None = None) -> None:
        self.defer(
            trigger=ToyTrigger(float(seconds), then, f"{self.notes}|{self.task_id}"),
            method_name="resumed",
            timeout=None if timeout is None else timedelta(seconds=float(timeout)),
        )

    def resumed(self, context: Any, event: Any = None) -> Any:
        return event


class ToyTrigger(BaseTrigger):
    """Waits, and then does as it is told."""

    def __init__(self, seconds: float, then: str, notes: str) -> None:
        super().__init__()
        self.seconds, self.then, self.notes = seconds, then, notes

    def serialize(self) -> tuple[str, dict[str, Any]]:
        kwargs = {"seconds": self.seconds, "then": self.then, "notes": self.notes}
        return "airflow_toys.ToyTrigger", kwargs

    async def run(self) -> AsyncIterator[TriggerEvent]:
        _note(*self._words("trigger of %s begins"))
        await asyncio.sleep(self.seconds)
        match self.then:
            case "event":
                yield TriggerEvent({"waited": self.seconds})
            case "success":
                yield TaskSuccessEvent(xcoms={"return_value": {"x": 1}})
            case "failed":
                yield TaskFailedEvent()
            case "raise":
                raise RuntimeError("told so")

    async def on_kill(self) -> None:
        _note(*self._words("on_kill of trigger of %s"))

    def _words(self, text: str) -> tuple[str, str]:
        notes, task_id = self.notes.split("|")
        return notes, text % task_id


def _note(file: str, text: str) -> None:
    if file:
        with Path(file).open("a") as notes:
            notes.write(f"{text}\n")
