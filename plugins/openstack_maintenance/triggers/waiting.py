"""The patience that the waits share: look until it is there, and end with one sentence if not."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from airflow.triggers.base import TriggerEvent

from openstack_maintenance.domain.errors import (
    CheckFailed,
    CloudError,
    HostError,
    MaintenanceError,
    error_payload,
)
from openstack_maintenance.domain.foreign_text import brief

Look = Callable[[], Awaitable[dict[str, Any]]]
TooLate = Callable[[str], Awaitable[MaintenanceError]]

_LONGEST = 2_000
_LONGEST_PART = 6_000
LONGEST_LINE = 8_000  # in a log


class StillWaiting(Exception):
    """A look found that it is not there yet. ``found``: what is missing, for the log."""

    def __init__(self, found: str) -> None:
        super().__init__(found)
        self.found = found


def error_event(error: MaintenanceError) -> TriggerEvent:
    """What resumes the task with an error: plain JSON that every database and log takes."""
    said = {key: brief(text, _LONGEST_PART) for key, text in error_payload(error).items()}
    return TriggerEvent({"error": said})


class Waiting:
    """One wait. ``look`` gives what was waited for (plain JSON), or raises StillWaiting;
    ``too_late`` gives the sentence for the end of the patience. ``log``: the trigger's.

    What goes wrong while looking may pass: the deadline decides. Only a MaintenanceError of another
    kind than Cloud- and HostError ends the wait at once.
    """

    def __init__(self, subject: str, look: Look, too_late: TooLate, log: Any) -> None:
        self._subject = subject
        self._look = look
        self._too_late = too_late
        self._log = log
        self._surprises: set[str] = set()

    async def until(self, deadline: datetime, every_seconds: float) -> dict[str, Any]:
        """Look every few seconds, and give what was found. Raises: MaintenanceError."""
        last = ""
        while True:
            try:
                return await self._once()
            except StillWaiting as missing:
                found = missing.found
            if found != last:
                self._log.info("%s", found)
                last = found
            if datetime.now(UTC) >= deadline:
                raise await self._late(found)
            await asyncio.sleep(every_seconds)

    async def _once(self) -> dict[str, Any]:
        try:
            return await self._look()
        except StillWaiting as missing:
            found = missing.found
        except (CloudError, HostError) as error:
            found = str(error)
        except MaintenanceError:
            raise
        except Exception as error:  # nobody foresaw it: told, and looked again like at a silence
            found = f"still waiting, last error: {self._surprised(error)}"
        raise StillWaiting(brief(found, _LONGEST))

    async def _late(self, found: str) -> MaintenanceError:
        try:
            return await self._too_late(found)
        except MaintenanceError as error:
            return error
        except Exception as error:  # the last words must come, whatever they are made of
            return CheckFailed(
                self._subject,
                f"the deadline has passed. The last state seen: {found}. More details cannot be "
                f"read: {self._surprised(error)}",
                "Look at it by hand, then clear this task with Downstream: it waits again.",
            )

    def _surprised(self, error: Exception) -> str:
        """Words for an error that was not foreseen; its traceback goes into the log once."""
        kind = type(error).__name__
        if kind not in self._surprises:
            self._surprises.add(kind)
            told = "".join(traceback.format_exception(error))
            self._log.info("unexpected error: %s", brief(told, LONGEST_LINE))
        return f"{kind}: {brief(error, 300)}"
