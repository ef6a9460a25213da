"""What happens in a story, in order: for judges, and as a timeline that a person reads."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from simulator.cloud.journal import Entry

if TYPE_CHECKING:
    from simulator.whole_world import WholeWorld

_QUIET = ("scheduled", "queued")
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the timeline."""

    at: datetime
    who: str
    what: str

    def __str__(self) -> str:
        return f"{self.at:%d %H:%M:%S}.{self.at.microsecond // 100_000}  {self.who:<14} {self.what}"


class Recorder:
    """Writes down what cloud, Airflow, people and faults do."""

    def __init__(self, world: WholeWorld) -> None:
        self._world = world
        self.lines: list[Line] = []
        self.names: dict[str, str] = {}
        self._short: dict[str, str] = {}
        world.cloud.journal.listeners.append(self._heard)

    def watch_airflow(self) -> None:
        """From now on the states of tasks are written down, too."""
        airflow = self._world.airflow

        def changed(ti: object, was: object) -> None:
            change = airflow.history[-1]
            if change.state not in _QUIET and change.state is not None:
                run = self.run_name(change.dag_id, change.run_id)
                self.note(run, f"{change.name} {change.state}")

        airflow.core.changed.append(changed)

    def run_name(self, dag_id: str, run_id: str) -> str:
        """A short name of a run: run-1, night-1, ..."""
        kind = {"compute_host_maintenance": "run", "nightly_compute_maintenance": "night"}
        key = f"{dag_id} {run_id}"
        if key not in self._short:
            short = kind.get(dag_id, dag_id.removeprefix("controller_"))
            count = sum(1 for each in self._short.values() if each.startswith(f"{short}-"))
            self._short[key] = f"{short}-{count + 1}"
        return self._short[key]

    def note(self, who: str, what: str) -> None:
        """Write a line."""
        self.lines.append(Line(self._world.clock.now(), who, what))

    def _heard(self, entry: Entry) -> None:
        about = " ".join(each for each in (entry.instance, entry.host) if each)
        self.note(entry.who, f"{entry.what} {about}".rstrip())

    def named(self, text: str) -> str:
        """With names instead of ids."""
        known = {**self.names}
        for each in self._world.cloud.state.instances.values():
            known.setdefault(each.id, each.name)
        for each in self._world.cloud.state.buried.values():
            known.setdefault(each.id, each.name)
        return _ID.sub(lambda found: known.get(found[0], found[0]), text)

    def timeline(self, longest: int = 400) -> list[str]:
        """All lines; where there are too many, the first and the last ones."""
        found = [
            self.named(str(each)) for each in self.lines if not _is_beginning(each, self.lines)
        ]
        if len(found) > longest:
            half = longest // 2
            found = [*found[:half], f"... {len(found) - longest} lines ...", *found[-half:]]
        return found


def _is_beginning(line: Line, lines: list[Line]) -> bool:
    """A guest that was there before the story."""
    return line.at == lines[0].at and line.what.startswith("starts ")
