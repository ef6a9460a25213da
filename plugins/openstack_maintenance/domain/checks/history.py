"""What a controller keeps of its past: boots, and each unit's ups and downs, from its journal."""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from openstack_maintenance.domain.checks.controller_facts import of_number
from openstack_maintenance.domain.foreign_text import whole_number
from openstack_maintenance.domain.host.answers import (
    Answers,
    one,
    parse_clock,
    parse_systemd_time,
    parse_unit,
    words,
)
from openstack_maintenance.domain.host.facts import UnitState
from openstack_maintenance.domain.moment import moment_after_epoch, parse_iso

_EVENT_LIMIT = 8000  # what controller_past.sh asks for at most
# Message ids of systemd, see systemd.journal-fields(7) and `journalctl --catalog`.
_STARTED = "39f53479d3a045ac8e11786248231fbf"
_DOWN = {
    "9d1aaa27d60140bd96365438aad20286": "stopped",
    "7ad2d189f7e94e70a38c781354912448": "ended",
    "d9b373ed55a64feb8242e02dbe79a49c": "failed",
    "be02cf6855d2428ba40df7e9d022f03d": "failed to start",
    "5eb03494b6584870a536b337290809b3": "was to be restarted",
}
_FAREWELL = "d93fb3c9c24d451a97cea615ce59c00b"
# systemd before 240 gives no id to the end of a process.
_DOWN_TEXT = re.compile(r"main process exited|entered failed state|Failed with result", re.I)
_TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}"
_BOOT = re.compile(
    rf"(?P<id>[0-9a-f]{{32}}) {{1,9}}\w{{3}} (?P<first>{_TIME}) UTC"
    rf"\W{{1,9}}\w{{3}} (?P<last>{_TIME}) UTC"
)
GRACE = timedelta(seconds=10)


@dataclass(frozen=True)
class Event:
    """A unit went up or down."""

    at: datetime
    is_up: bool
    text: str


@dataclass(frozen=True)
class Boot:
    """A boot as the journal has it; ``was_shut_down``: the journal recorded its orderly end."""

    id: str
    first: datetime
    last: datetime
    was_shut_down: bool = False


@dataclass(frozen=True)
class UnitNow:
    """The unit as it is now, with the times of its last changes."""

    name: str
    state: UnitState
    inactive_enter: datetime | None = None


@dataclass(frozen=True)
class History:
    """What a controller keeps: its boots, oldest first, and each unit's ups and downs."""

    hostname: str
    boot_id: str
    booted: datetime | None
    clock_now: datetime
    units: tuple[UnitNow, ...]
    boots: tuple[Boot, ...]
    events: Mapping[str, tuple[Event, ...]]
    reaches_to: datetime | None
    journal_error: str = ""


def parse_history(answers: Answers, names: Sequence[tuple[str, str]]) -> History:
    """Parse controller_past.sh's answers. ``names``: the services' names and units, in order.

    Raises: ValueError where the controller does not say its clock.
    """
    lines = answers.get("event", ())
    rows = list(_rows(lines))
    farewells = sorted(at for at, row in rows if row.get("MESSAGE_ID") == _FAREWELL)
    boots = tuple(sorted(_boots(answers.get("boot", ()), farewells), key=lambda boot: boot.first))
    reach = boots[0].first if boots else None
    # Lines that cannot be read were sent, too.
    if len(lines) >= _EVENT_LIMIT and reach is not None:
        oldest = min((at for at, _ in rows), default=None)
        reach = max(reach, oldest) if oldest else None  # what is older was not sent
    return History(
        hostname=one(answers, "hostname"),
        boot_id=one(answers, "boot_id").replace("-", ""),
        booted=parse_systemd_time(one(answers, "UserspaceTimestamp")),
        clock_now=parse_clock(one(answers, "clock")),
        units=tuple(
            _unit(of_number(answers, number), name, unit)
            for number, (name, unit) in enumerate(names)
        ),
        boots=boots,
        events=_events(rows),
        reaches_to=reach,
        journal_error=words(answers, "journal_error"),
    )


def _rows(lines: Iterable[str]) -> Iterator[tuple[datetime, dict[str, Any]]]:
    """Each entry that can be read, with its time."""
    for line in lines:
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            continue  # a line that was cut: journald's own hints, a field of many kilobytes
        if isinstance(row, dict) and (at := _moment(row.get("__REALTIME_TIMESTAMP"))):
            yield at, row


def _events(rows: Iterable[tuple[datetime, dict[str, Any]]]) -> dict[str, tuple[Event, ...]]:
    """Each unit's ups and downs, oldest first."""
    events: dict[str, list[Event]] = {}
    for at, row in rows:
        event = _event(at, row)
        if event is not None:
            events.setdefault(row["UNIT"], []).append(event)
    return {unit: tuple(sorted(found, key=lambda e: e.at)) for unit, found in events.items()}


def _moment(microseconds: object) -> datetime | None:
    number = whole_number(microseconds) if isinstance(microseconds, str) else None
    return None if number is None else moment_after_epoch(number)


def _event(at: datetime, row: Mapping[str, Any]) -> Event | None:
    # journald gives what is no text as a list of numbers, and a field that stands there twice as
    # a list of strings.
    message_id, unit, message = (row.get(key) for key in ("MESSAGE_ID", "UNIT", "MESSAGE"))
    if not isinstance(unit, str):
        return None
    if message_id == _STARTED:
        is_up = row.get("JOB_RESULT", "done") == "done"
        return Event(at, is_up, "started" if is_up else "failed to start")
    if isinstance(message_id, str) and message_id in _DOWN:
        return Event(at, False, _DOWN[message_id])
    if isinstance(message, str) and _DOWN_TEXT.search(message):
        return Event(at, False, "failed")
    return None


def _boots(lines: Iterable[str], farewells: Sequence[datetime]) -> Iterator[Boot]:
    """``farewells``: in order, so that each boot looks at its nearest ones only."""
    for line in lines:
        match = _BOOT.search(line)
        if match is None:
            continue
        first, last = (parse_iso(f"{match[key]}+00:00") for key in ("first", "last"))
        if first is not None and last is not None:
            yield Boot(match["id"], first, last, _said_farewell(last, farewells))


def _said_farewell(last: datetime, farewells: Sequence[datetime]) -> bool:
    nearest = bisect_left(farewells, last)
    around = farewells[max(nearest - 1, 0) : nearest + 1]
    return any(abs(last - farewell) < GRACE for farewell in around)


def _unit(own: Answers, name: str, unit: str) -> UnitNow:
    inactive = parse_systemd_time(one(own, "unit.InactiveEnterTimestamp"))
    return UnitNow(name, parse_unit(own, unit), inactive)
