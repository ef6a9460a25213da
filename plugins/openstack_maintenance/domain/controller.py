"""What one look at a controller found, and the parsers of its answers. Nothing here does I/O."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from openstack_maintenance.domain.host import (
    Answers,
    UnitState,
    one,
    parse_clock,
    parse_systemd_time,
    parse_unit,
)

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
class Controller:
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
    return SeenService(
        name,
        state,
        journal=tuple(line for line in own.get("journal", ()) if line != "-- No entries --"),
        has_restart_count=state.kind != "systemd" or "unit.NRestarts" in own,
    )


def parse_broker(answers: Answers) -> Broker | None:
    """``rabbitmqctl cluster_status``: JSON since 3.7, Erlang terms before."""
    if not (exit_status := one(answers, "broker.exit")):
        return None
    text = "".join(answers.get("broker.out", ()))
    if exit_status != "0":
        return Broker(error=_error(exit_status, text))
    if "{" in text and '"running_nodes"' in text:
        try:
            return _broker_of_json(json.loads(text[text.index("{") :]))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return Broker(error=f"its answer cannot be read ({error}): {text[:200]}")
    return _broker_of_erlang(text)


def _broker_of_json(status: Mapping[str, Any]) -> Broker:
    alarms = [
        each if isinstance(each, str) else " ".join(map(str, each.values()))
        for each in status["alarms"]
    ]
    return Broker(
        members=tuple(sorted({*status["disk_nodes"], *status.get("ram_nodes", [])})),
        running=tuple(sorted(status["running_nodes"])),
        partitions=tuple(
            f"{node} does not see {', '.join(map(str, others))}"
            for node, others in sorted(dict(status["partitions"] or {}).items())
        ),
        alarms=tuple(alarms),
    )


def _broker_of_erlang(text: str) -> Broker:
    running = re.search(r"\{running_nodes,\[(.*?)\]\}", text)
    members = re.search(r"\{nodes,(.*?)\{running_nodes", text)
    if running is None or members is None:
        return Broker(error=f"its answer cannot be read: {text[:200]}")
    partitions = re.search(r"\{partitions,\[(.*?)\]\}(?:,|\])", text)
    alarms = re.findall(r"\{'?([\w@.-]+)'?,\[([^\[\]]+)\]\}", _after(text, "{alarms,"))
    return Broker(
        members=tuple(sorted(set(_erlang_nodes(members[1])))),
        running=tuple(sorted(_erlang_nodes(running[1]))),
        partitions=(partitions[1],) if partitions and partitions[1] else (),
        alarms=tuple(f"{node} {alarm}" for node, alarm in alarms),
    )


def _erlang_nodes(text: str) -> list[str]:
    return re.findall(r"[\w.-]+@[\w.-]+", text)


def _after(text: str, mark: str) -> str:
    return text.partition(mark)[2]


def parse_database(answers: Answers) -> Database | None:
    """The rows of ``select 1`` and of Galera's status variables, tab-separated."""
    if not (exit_status := one(answers, "database.exit")):
        return None
    lines = answers.get("database.out", ())
    if exit_status != "0":
        return Database(error=_error(exit_status, " ".join(lines)))
    rows = [line.split("\t") for line in lines]
    return Database(
        answers=["1"] in rows,
        galera={row[0]: row[1] for row in rows if len(row) == 2 and row[0].startswith("wsrep_")},
        error="" if ["1"] in rows else f"select 1 gave {' '.join(lines)[:200]!r}",
    )


def parse_cache(answers: Answers) -> Cache | None:
    """``VERSION 1.6.18``, or why there is none."""
    if not (exit_status := one(answers, "cache.exit")):
        return None
    text = " ".join(answers.get("cache.out", ())).strip()
    if exit_status == "0" and text.startswith("VERSION "):
        return Cache(version=text.removeprefix("VERSION ").strip())
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
    said = " ".join(text.split())[:300]
    if exit_status in ("124", "137"):
        return "no answer in time"
    if any(word in said for word in _REFUSED):
        return f"it cannot be asked: {said}"
    return said or f"the question ended with status {exit_status}"
