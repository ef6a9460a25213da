"""What one look at a controller found, and the parsers of its answers. Nothing here does I/O."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from openstack_maintenance.domain.foreign_text import brief, brief_list, storable_text, whole_number
from openstack_maintenance.domain.host.answers import (
    Answers,
    one,
    parse_clock,
    parse_systemd_time,
    parse_unit,
)
from openstack_maintenance.domain.host.facts import UnitState

# controller.sh gives 60 lines of 1,000 characters at most, and 10 lines of a journal.
_LONGEST_TEXT = 60_000
_MOST_JOURNAL = 10
_MOST_ROWS = 60
_LONGEST_NAME = 200
_NODE = re.compile(r"(?<![\w.-])[\w.-]+@[\w.-]+")  # from a word's beginning: one look at each
_ALARM = re.compile(r"\{'?([\w@.-]{1,200})'?,\[([^\[\]]{1,200})\]\}")
_REFUSED = ("sudo:", "password is required", "not allowed to execute")


@dataclass(frozen=True)
class SeenService:
    """A service of the catalog as the controller's service manager shows it."""

    name: str
    state: UnitState
    journal: tuple[str, ...] = ()
    has_restart_count: bool = True  # systemd before 235 does not count


@dataclass(frozen=True)
class Broker:
    """RabbitMQ's own word about its cluster; ``error`` where it gave none."""

    members: tuple[str, ...] = ()
    running: tuple[str, ...] = ()
    partitions: tuple[str, ...] = ()
    alarms: tuple[str, ...] = ()
    error: str = ""


@dataclass(frozen=True)
class Database:
    """Whether the database answered a query, and Galera's variables where it is a cluster."""

    answers: bool = False
    galera: dict[str, str] = field(default_factory=dict)
    error: str = ""


@dataclass(frozen=True)
class Cache:
    """memcached's answer to the question for its version."""

    version: str = ""
    error: str = ""


@dataclass(frozen=True)
class Clock:
    """How far the controller's clock is ahead of ours, in seconds: between two bounds.

    ``service`` is the unit that keeps the time, empty where there is none; ``synchronised`` is
    the kernel's word, None where it was not asked.
    """

    ahead_at_least: float
    ahead_at_most: float
    service: str = ""
    service_state: str = ""
    synchronised: bool | None = None


@dataclass(frozen=True)
class SeenController:
    """Everything that one look at a controller found. None: the thing is absent."""

    hostname: str
    boot_id: str
    booted: datetime | None
    clock_now: datetime
    services: tuple[SeenService, ...]
    broker: Broker | None
    database: Database | None
    cache: Cache | None
    clock: Clock
    container_error: str = ""


def of_number(answers: Answers, number: int) -> dict[str, tuple[str, ...]]:
    """The answers about one of the services that were asked about."""
    prefix = f"s{number}."
    return {
        key.removeprefix(prefix): values
        for key, values in answers.items()
        if key.startswith(prefix)
    }


def parse_service(answers: Answers, number: int, name: str, unit: str) -> SeenService:
    """The state of the service that was asked about as ``number``."""
    own = of_number(answers, number)
    state = parse_unit(own, unit)
    lines = [line for line in own.get("journal", ()) if line != "-- No entries --"]
    restarts = whole_number(one(own, "unit.NRestarts"))
    return SeenService(
        name,
        state,
        journal=tuple(brief(line, 1_000) for line in lines[-_MOST_JOURNAL:]),
        has_restart_count=state.kind != "systemd" or restarts is not None,
    )


def parse_broker(answers: Answers) -> Broker | None:
    """``rabbitmqctl cluster_status``: JSON since 3.7, Erlang terms before."""
    if not (exit_status := one(answers, "broker.exit")):
        return None
    text = "".join(answers.get("broker.out", ()))
    if exit_status != "0":
        return Broker(error=_error(exit_status, text))
    try:
        return _broker_of(text)
    except (ValueError, KeyError, RecursionError) as error:
        return Broker(error=f"its answer cannot be read ({brief(error, 100)}): {brief(text, 200)}")


def _broker_of(text: str) -> Broker:
    if len(text) > _LONGEST_TEXT:
        raise ValueError(f"it is longer than {_LONGEST_TEXT} characters")
    if "{" in text and '"running_nodes"' in text:
        return _broker_of_json(json.loads(text[text.index("{") :]))
    return _broker_of_erlang(text)


def _broker_of_json(status: Mapping[str, Any]) -> Broker:
    return Broker(
        members=_sorted({*_names(status["disk_nodes"]), *_names(status.get("ram_nodes", []))}),
        running=_sorted(_names(status["running_nodes"])),
        partitions=tuple(
            f"{_name(node)} does not see {', '.join(brief_list(_names(others)))}"
            for node, others in sorted(_partitions(status["partitions"]).items())
        ),
        alarms=tuple(map(_alarm, _list(status["alarms"]))),
    )


def _partitions(found: object) -> dict[str, Any]:
    if isinstance(found, dict):
        return found
    if found in ([], None):
        return {}
    raise ValueError(f"its partitions are no object: {brief(found, 100)}")


def _alarm(found: object) -> str:
    parts = found.values() if isinstance(found, dict) else [found]
    return brief(" ".join(brief(part, _LONGEST_NAME) for part in parts), _LONGEST_NAME)


def _list(found: object) -> list[Any]:
    if isinstance(found, list):
        return found
    raise ValueError(f"this is not a list: {brief(found, 100)}")


def _names(found: object) -> list[str]:
    return [_name(each) for each in _list(found)]


def _name(found: object) -> str:
    if isinstance(found, str):
        return storable_text(found)
    raise ValueError(f"this is not a name: {brief(found, 100)}")


def _sorted(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(names))


def _broker_of_erlang(text: str) -> Broker:
    running = _between(text, "{running_nodes,[", "]}")
    members = _between(text, "{nodes,", "{running_nodes")
    if running is None or members is None:
        raise ValueError("no running_nodes or no nodes")
    alarms = _ALARM.findall(text.partition("{alarms,")[2])
    return Broker(
        members=_sorted(set(_NODE.findall(members))),
        running=_sorted(_NODE.findall(running)),
        partitions=tuple(filter(None, [_erlang_partitions(text)])),
        alarms=tuple(f"{node} {alarm}" for node, alarm in alarms),
    )


def _between(text: str, begin: str, end: str) -> str | None:
    """What stands between two marks; None where one is missing. One look at each character."""
    inside, found, _ = text.partition(begin)[2].partition(end)
    return inside if found else None


def _erlang_partitions(text: str) -> str:
    """As they stand there: a list in a list ends with ]} and another bracket or a comma."""
    inside = text.partition("{partitions,[")[2]
    end = re.search(r"\]\}[,\]]", inside)
    return inside[: end.start()] if end else ""


def parse_database(answers: Answers) -> Database | None:
    """The rows of ``select 1`` and of Galera's status variables, tab-separated."""
    if not (exit_status := one(answers, "database.exit")):
        return None
    lines = answers.get("database.out", ())[:_MOST_ROWS]
    if exit_status != "0":
        return Database(error=_error(exit_status, " ".join(lines)))
    rows = [line.split("\t") for line in lines]
    return Database(
        answers=["1"] in rows,
        galera={row[0]: row[1] for row in rows if len(row) == 2 and row[0].startswith("wsrep_")},
        error="" if ["1"] in rows else f"select 1 gave {brief(' '.join(lines), 200)!r}",
    )


def parse_cache(answers: Answers) -> Cache | None:
    """``VERSION 1.6.18``, or why there is none."""
    if not (exit_status := one(answers, "cache.exit")):
        return None
    text = " ".join(answers.get("cache.out", ())[:_MOST_ROWS]).strip()
    if exit_status == "0" and text.startswith("VERSION "):
        return Cache(version=brief(text.removeprefix("VERSION ").strip(), 100))
    return Cache(error=_error(exit_status, text or "no answer"))


def parse_look(answers: Answers) -> tuple[datetime, datetime]:
    """The controller's clock at the beginning and at the end of the look. Raises: ValueError."""
    return parse_clock(one(answers, "clock")), parse_clock(one(answers, "clock_end"))


def parse_time_service(answers: Answers, first: int, units: Sequence[str]) -> tuple[str, str]:
    """Of the candidates the unit that keeps the time, and its state; empty where none does."""
    states = [
        parse_unit(of_number(answers, first + place), unit) for place, unit in enumerate(units)
    ]
    used = [
        state
        for state in states
        if state.kind == "systemd" and not state.starts_at_boot.startswith("masked")
    ]
    for state in used:
        if state.active_state == "active":
            return state.name, "active"
    for state in used:
        if state.is_back_after_boot or state.active_state == "failed":
            return state.name, state.active_state
    return "", ""


def parse_clock_facts(
    answers: Answers, sent: datetime, received: datetime, time_service: tuple[str, str]
) -> Clock:
    """Bounds of the offset: the first look came after ``sent``, the last before ``received``."""
    began, ended = parse_look(answers)
    synchronised = one(answers, "NTPSynchronized")
    return Clock(
        ahead_at_least=(ended - received).total_seconds(),
        ahead_at_most=(began - sent).total_seconds(),
        service=time_service[0],
        service_state=time_service[1],
        synchronised=synchronised == "yes" if synchronised else None,
    )


def parse_booted(answers: Answers) -> datetime | None:
    """When the controller's userspace started."""
    return parse_systemd_time(one(answers, "UserspaceTimestamp"))


def _error(exit_status: str, text: str) -> str:
    said = brief(" ".join(text[:_LONGEST_TEXT].split()), 300)
    if exit_status in ("124", "137"):
        return "no answer in time"
    if any(word in said for word in _REFUSED):
        return f"it cannot be asked: {said}"
    return said or f"the question ended with status {exit_status[:20]}"
