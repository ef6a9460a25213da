"""What can be proven of a service in a past night, from its unit's times and the journal."""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from openstack_maintenance.domain.checks.controller_facts import of_number
from openstack_maintenance.domain.checks.finding import Finding, Verdict
from openstack_maintenance.domain.checks.night import Span
from openstack_maintenance.domain.checks.service_rules import is_in_use
from openstack_maintenance.domain.deployment import Deployment, Service
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

# A restart this short, and no more than so many, still counts as having been active.
_SHORT = timedelta(minutes=1)
_FEW = 2
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
_GRACE = timedelta(seconds=10)
_EARLY_BOOT = timedelta(minutes=10)  # what kernel and initrd log before userspace starts


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
    events: dict[str, list[Event]] = {}
    for at, row in rows:
        event = _event(at, row)
        if event is not None:
            events.setdefault(row["UNIT"], []).append(event)
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
        events={unit: tuple(sorted(found, key=lambda e: e.at)) for unit, found in events.items()},
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
    return any(abs(last - farewell) < _GRACE for farewell in around)


def _unit(own: Answers, name: str, unit: str) -> UnitNow:
    inactive = parse_systemd_time(one(own, "unit.InactiveEnterTimestamp"))
    return UnitNow(name, parse_unit(own, unit), inactive)


def judge_night(deployment: Deployment, history: History, night: Span) -> dict[str, list[Finding]]:
    """A finding for each service about a past night, by the titles of the catalog's groups."""
    units = {each.name: each for each in history.units}
    return {
        group.title: [
            judge_then(service, units[service.name], history, night) for service in group.services
        ]
        for group in deployment.groups
    }


def judge_then(service: Service, unit: UnitNow, history: History, night: Span) -> Finding:
    """One service: active then, not active then, or unknown and why."""
    verdict, text = _by_its_times(unit, history, night) or _by_the_journal(unit, history, night)
    if verdict == "bad" and not service.required and not is_in_use(unit.state):
        verdict = "absent"
    if unit.state.kind == "absent" and verdict == "unknown" and not service.required:
        reason = service.retired or "there is none now, and the journal names none"
        verdict, text = "absent", f"absent ({reason})"
    return Finding(service.name, verdict, text)


def _by_its_times(unit: UnitNow, history: History, night: Span) -> tuple[Verdict, str] | None:
    """What has been so since before the night was so in the night."""
    opens, state = night[0], unit.state
    if state.active_state == "active" and state.active_enter and state.active_enter <= opens:
        return "ok", f"active then (since {_at(state.active_enter)})"
    if state.kind == "absent" or state.active_state not in ("inactive", "failed"):
        return None
    if unit.inactive_enter and unit.inactive_enter <= opens:
        word = state.active_state
        return "bad", f"not active then ({word} since {_at(unit.inactive_enter)})"
    never = state.kind == "systemd" and not unit.inactive_enter and not state.active_enter
    if never and state.active_state == "inactive" and history.booted and history.booted <= opens:
        return "bad", f"not active then (not started since the boot at {_at(history.booted)})"
    return None


def _by_the_journal(unit: UnitNow, history: History, night: Span) -> tuple[Verdict, str]:
    opens, closes = night
    if unit.state.kind in ("docker", "podman"):
        return "unknown", f"unknown ({unit.state.kind} keeps no history of it)"
    if history.journal_error:
        return "unknown", f"unknown (the journal cannot be read: {history.journal_error})"
    if not history.boots or history.reaches_to is None:
        return "unknown", "unknown (the journal is empty)"
    if history.reaches_to > opens:
        reach = _at(history.reaches_to)
        return "unknown", f"unknown (the journal reaches back only to {reach})"
    return _by_the_host(history, night) or _by_events(unit, history, opens, closes)


def _by_the_host(history: History, night: Span) -> tuple[Verdict, str] | None:
    """A host that was down, or booting, ran no service; None where it was up all night."""
    opens, closes = night
    later = [boot for boot in history.boots if boot.first > opens]
    if later and later[0].first <= closes:
        return "bad", f"not active then (the controller booted at {_at(later[0].first)})"
    boot = _boot_at(history, opens)
    if boot.id == history.boot_id or boot.last >= closes:
        return None
    back = f" to {_at(later[0].first)}" if later else ""
    if boot.was_shut_down:
        return "bad", f"not active then (the controller was down from {_at(boot.last)}{back})"
    return "unknown", f"unknown (the journal breaks off at {_at(boot.last)})"


def _by_events(
    unit: UnitNow, history: History, opens: datetime, closes: datetime
) -> tuple[Verdict, str]:
    boot = _boot_at(history, opens)
    reach = max(boot.first, history.reaches_to or boot.first)
    known = history.events.get(unit.state.name, ())
    before = [event for event in known if boot.first <= event.at <= opens]
    within = [event for event in known if opens < event.at <= closes]
    if not before and not within and not _is_whole(boot, history):
        return (
            "unknown",
            f"unknown (the journal, back to {_at(reach)}, says neither start nor stop)",
        )
    if not before and not within:
        return "bad", f"not active then (not started since the boot at {_at(boot.first)})"
    downs = list(_downs(before, within, closes))
    if not downs:
        return "ok", f"active then ({before[-1].text} {_at(before[-1].at)})"
    told = ", ".join(f"{_at(start)} to {_at(end)}" for start, end in downs[:3])
    lasting = [each for each in downs if each[1] - each[0] > _SHORT or each[1] >= closes]
    if lasting or len(downs) > _FEW or not before:
        more = f", and {len(downs) - 3} times more" if len(downs) > 3 else ""
        why = before[-1].text if before and not before[-1].is_up else "down"
        return "bad", f"not active then ({why} {told}{more})"
    return "ok", f"active then (but for a restart, {told})"


def _downs(
    before: Sequence[Event], within: Sequence[Event], closes: datetime
) -> Iterable[tuple[datetime, datetime]]:
    """The spans in which it was down, the first from when it went down, the last to the end."""
    down_since = before[-1].at if before and not before[-1].is_up else None
    if not before and within and within[0].is_up:
        down_since = within[0].at
    for event in within:
        if event.is_up and down_since is not None:
            yield down_since, event.at
            down_since = None
        elif not event.is_up and down_since is None:
            down_since = event.at
    if down_since is not None:
        yield down_since, closes


def _boot_at(history: History, moment: datetime) -> Boot:
    return [boot for boot in history.boots if boot.first <= moment][-1]


def _is_whole(boot: Boot, history: History) -> bool:
    """Whether all events of the boot are here: the oldest boot's first may be lost already."""
    if history.reaches_to is None or history.reaches_to > boot.first:
        return False
    if boot != history.boots[0]:
        return True
    if boot.id != history.boot_id or history.booted is None:
        return False
    # Much earlier than that, and the clock or the journal is not what it seems.
    return history.booted - _EARLY_BOOT <= boot.first <= history.booted + _GRACE


def _at(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"
