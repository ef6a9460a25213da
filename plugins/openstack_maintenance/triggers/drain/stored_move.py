"""A move as it was stored in the database, checked: another release may have written it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from math import isfinite
from typing import Any

from openstack_maintenance.domain.drain.move_order import Order, Step
from openstack_maintenance.domain.drain.slots import Limits
from openstack_maintenance.domain.errors import MigrationFailed
from openstack_maintenance.domain.foreign_text import in_short
from openstack_maintenance.domain.mark import Mark
from openstack_maintenance.domain.window import Window
from openstack_maintenance.triggers.drain.move import MoveRequest
from openstack_maintenance.triggers.drain.sight import HostSight
from openstack_maintenance.triggers.stored import nova_compute

# It becomes part of a request's path.
_ID = re.compile(r"(?!\.)[\w.:-]{1,64}", re.ASCII)
_LONGEST = 255
_MOST = 2**31
_YEARS = range(1971, 3000)
_METHODS = ("live", "cold", "stop")
_ON_STUCK = ("abort", "force_complete")
_BLOCK = ("auto", "true", "false")


class _Odd(ValueError):
    """An argument is not what this release stores."""


def read_request(stored: Mapping[str, Any]) -> MoveRequest:
    """The move that a trigger's stored arguments ask for.

    Raises: MigrationFailed, where they cannot be read: nothing was moved.
    """
    try:
        return _request(stored)
    except _Odd as odd:
        order = stored.get("order")
        known = order.get("name") if isinstance(order, Mapping) else None
        raise MigrationFailed(
            f"instance {in_short(known)}" if isinstance(known, str) and known else "an instance",
            f"the stored arguments of its move cannot be read: {odd}",
            "Clear this task: it then stores them again.",
        ) from None


def read_window(stored: Any) -> Window | None:
    """The window that a move must keep to; None where it was asked to ignore it."""
    if stored is None:
        return None
    given = _Stored("window", stored)
    try:
        return Window(**{**given.values, "exclude": tuple(given.texts("exclude"))})
    except (ValueError, TypeError):
        raise _Odd("window is none") from None


def _request(stored: Mapping[str, Any]) -> MoveRequest:
    given = _Stored("", stored)
    patience = given.part("patience")
    window = read_window(stored.get("window"))
    return MoveRequest(
        order=_order(given.part("order"), patience),
        destination=given.find_name("destination"),
        block_migration=given.one_of("block_migration", _BLOCK),
        limits=_limits(given.part("limits")),
        turn_patience=patience.seconds("turn_seconds"),
        api_patience=patience.seconds("api_seconds"),
        may_start=_closed_because(window),
        owner=_owner(stored.get("owner")),
        is_suggestion=given.flag("is_suggestion"),
        sight=_sight(stored.get("guests"), given.part("order")),
    )


def _sight(stored: Any, order: _Stored) -> HostSight | None:
    """How hosts are reached, where this was stored."""
    if stored is None:
        return None
    guests = _Stored("guests", stored)
    try:
        compute = nova_compute(guests.values.get("nova_compute"))
    except ValueError as error:
        raise _Odd(f"guests: {in_short(str(error))}") from None
    return HostSight(
        guests.name("ssh_conn_id"), compute, order.name("source"), guests.name("address")
    )


def _order(order: _Stored, patience: _Stored) -> Order:
    return Order(
        instance_id=order.id("instance_id"),
        name=order.text("name"),
        source=order.name("source"),
        method=order.one_of("method", _METHODS),
        was_running=order.flag("was_running"),
        ram_mib=order.number("ram_mib"),
        since=order.time("since"),
        retries=patience.number("retries"),
        timeout_per_gib=patience.seconds("timeout_per_gib_seconds"),
        on_stuck=Step(patience.one_of("on_stuck", _ON_STUCK)),
        may_stop="may_stop" in order.values and order.flag("may_stop"),
        copied_gib=order.number("copied_gib") if "copied_gib" in order.values else 0,
    )


def _limits(limits: _Stored) -> Limits:
    # A limit that this release does not know would not be kept to.
    if unknown := sorted(set(map(str, limits.values)) - {"per_host", "total", "nova_limit"}):
        raise _Odd(f"limits has {in_short(unknown[0])}, which this release does not know")
    nova_limit = limits.values.get("nova_limit")
    return Limits(
        limits.number("per_host", 1),
        limits.number("total", 1),
        None if nova_limit is None else limits.number("nova_limit", 1),
    )


def _owner(stored: Any) -> Mark | None:
    if stored is None:
        return None
    is_list = isinstance(stored, (list, tuple)) and len(stored) in (2, 3)
    if not is_list or not all(isinstance(each, str) for each in stored):
        raise _Odd("owner is not a DAG id and a run id")
    return Mark(*stored)


def _closed_because(window: Window | None) -> Callable[[datetime], str | None]:
    def closed_because(now: datetime) -> str | None:
        if window is None or window.current(now) is not None:
            return None
        return f"the maintenance window {window} closed before its turn came"

    return closed_because


class _Stored:
    """Some stored arguments; every reading raises _Odd where it is not what was to be stored."""

    def __init__(self, what: str, values: Any) -> None:
        if not isinstance(values, Mapping):
            raise _Odd(f"{what} is not an object")
        self._what = f"{what}." if what else ""
        self.values = values

    def part(self, key: str) -> _Stored:
        return _Stored(key, self.values.get(key))

    def id(self, key: str) -> str:
        return self._checked(key, "an id", lambda found: _ID.fullmatch(found) is not None)

    def name(self, key: str) -> str:
        return self._checked(
            key, "a name", lambda found: 0 < len(found) <= _LONGEST and found.isprintable()
        )

    def find_name(self, key: str) -> str | None:
        return None if self.values.get(key) in (None, "") else self.name(key)

    def text(self, key: str) -> str:
        return self._checked(key, "a text", lambda found: True)

    def one_of(self, key: str, words: tuple[str, ...]) -> Any:
        return self._checked(key, " or ".join(words), lambda found: found in words)

    def texts(self, key: str) -> list[str]:
        found = self.values.get(key, ())
        if not isinstance(found, (list, tuple)) or not all(isinstance(x, str) for x in found):
            raise self._odd(key, "a list of strings")
        return list(found)

    def flag(self, key: str) -> bool:
        found = self.values.get(key)
        if not isinstance(found, bool):
            raise self._odd(key, "true or false")
        return found

    def number(self, key: str, least: int = 0) -> int:
        found = self.values.get(key)
        if isinstance(found, int) and not isinstance(found, bool) and least <= found < _MOST:
            return found
        raise self._odd(key, f"a whole number, {least} or more")

    def seconds(self, key: str) -> timedelta:
        found = self.values.get(key)
        is_number = isinstance(found, (int, float)) and not isinstance(found, bool)
        if is_number and 0 <= found < _MOST and isfinite(found):  # type: ignore[operator,arg-type]
            # Beyond some years nothing is timed out; more would leave the calendar.
            return timedelta(seconds=min(float(found), 1e7))  # type: ignore[arg-type]
        raise self._odd(key, "a number of seconds")

    def time(self, key: str) -> datetime:
        found = self.values.get(key)
        try:
            moment = datetime.fromisoformat(found) if isinstance(found, str) else None
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None or moment.year not in _YEARS:
            raise self._odd(key, "a time with its zone")
        return moment

    def _checked(self, key: str, wanted: str, is_right: Callable[[str], bool]) -> str:
        found = self.values.get(key)
        if not isinstance(found, str) or not is_right(found):
            raise self._odd(key, wanted)
        return found

    def _odd(self, key: str, wanted: str) -> _Odd:
        state = "is missing, it should be" if key not in self.values else "is not"
        return _Odd(f"{self._what}{key} {state} {wanted}")
