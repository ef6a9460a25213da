"""What an API promises of its answers, checked: anything else is no answer.

An answer of another shape must never count as a shorter list, an empty host or a free slot.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

# Nova's, Cinder's and Neutron's columns take no longer names; what is free text is cut instead.
_LONGEST_NAME = 255
_LONGEST_WORDS = 1000
_LONGEST_NUMBER = 2**63
# The id of a thing becomes part of a request's path.
_ID = re.compile(r"(?!\.)[\w.:-]{1,64}", re.ASCII)
_NAME = re.compile(rf"[^\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]{{1,{_LONGEST_NAME}}}")
_UNPRINTABLE = re.compile(r"[\x00\ud800-\udfff]")
_FIRST_YEAR, _LAST_YEAR = 1971, 2999
# A list that does not end by then never will: no cloud has so much.
MOST_PAGES = 2_000
_KINDS = {
    "NoneType": "null",
    "dict": "an object",
    "list": "a list",
    "str": "a string",
    "int": "a number",
    "float": "a number",
    "bool": "true or false",
}


class Unreadable(ValueError):
    """An answer does not have the shape that its API promises."""


def body_of(answer: Any) -> dict[str, Any]:
    """The JSON object that an answer is. Raises: ValueError, RecursionError."""
    # Not answer.json(): without a charset it guesses at the bytes, for seconds.
    found = json.loads(answer.content)
    if not isinstance(found, dict):
        raise Unreadable(f"the answer is {_kind(found)}, not an object")
    return found


def object_in(body: Mapping[str, Any], key: str) -> dict[str, Any]:
    """The object that an answer holds under a key. Raises: Unreadable."""
    found = body.get(key)
    if not isinstance(found, dict):
        raise Unreadable(f"{key} is {_kind_at(body, key)}, not an object")
    return found


def rows_in(body: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    """The list of objects that an answer holds under a key. Raises: Unreadable."""
    found = body.get(key)
    if not isinstance(found, list):
        raise Unreadable(f"{key} is {_kind_at(body, key)}, not a list")
    for row in found:
        if not isinstance(row, dict):
            raise Unreadable(f"{key} lists {_kind(row)}, not an object")
    return found


def texts_in(body: Mapping[str, Any], key: str) -> list[str]:
    """The list of names that an answer holds under a key. Raises: Unreadable."""
    found = body.get(key)
    if not isinstance(found, list):
        raise Unreadable(f"{key} is {_kind_at(body, key)}, not a list")
    if not all(isinstance(each, str) and _NAME.fullmatch(each) for each in found):
        raise Unreadable(f"{key} lists something other than names")
    return found


def every_page(
    ask: Callable[[dict[str, str]], Mapping[str, Any]], key: str, marker: str = "id"
) -> Iterator[dict[str, Any]]:
    """All rows of a list that comes in pages. Raises: Unreadable where it never ends.

    ``ask``: asks for the page with these parameters. The next page is asked for by the last row's
    ``marker``, never by the link: that may lead anywhere, and the token would go with it.
    """
    asked: set[str] = set()
    where: dict[str, str] = {}
    while True:
        body = ask(where)
        page = rows_in(body, key)
        yield from page
        if not _goes_on(body, f"{key}_links"):
            return
        last = Row(key, page[-1]).id(marker) if page else ""
        if not last or last in asked or len(asked) >= MOST_PAGES:
            raise Unreadable(f"the pages of {key} do not end")
        asked.add(last)
        where = {"marker": last}


def _goes_on(body: Mapping[str, Any], key: str) -> bool:
    if key not in body:
        return False
    return any(row.get("rel") == "next" for row in rows_in(body, key))


class Row:
    """One object of an answer. Every reading raises Unreadable where it is not what was promised.

    Where a key is missing, or null, and may be, the reading is None (or empty).
    """

    def __init__(self, what: str, values: Mapping[str, Any]) -> None:
        self._what = what
        self._values = values

    def has(self, key: str) -> bool:
        """Whether the key is there at all."""
        return key in self._values

    def id(self, key: str) -> str:
        """An id, as text: what may be part of a request's path."""
        found = self._values.get(key)
        if isinstance(found, int) and not isinstance(found, bool) and 0 <= found < _LONGEST_NUMBER:
            return str(found)
        if isinstance(found, str) and _ID.fullmatch(found):
            return found
        raise self._odd(key, "an id")

    def name(self, key: str) -> str:
        """A name of one line: of a host, a binary, a state."""
        found = self._values.get(key)
        if isinstance(found, str) and _NAME.fullmatch(found):
            return found
        raise self._odd(key, "a name")

    def find_name(self, key: str) -> str | None:
        """A name, or None."""
        return None if self._values.get(key) in (None, "") else self.name(key)

    def words(self, key: str, longest: int = _LONGEST_WORDS) -> str | None:
        """Free text, or None; what no log and no database takes is replaced, and it is cut."""
        found = self._values.get(key)
        if found is None:
            return None
        if not isinstance(found, str):
            raise self._odd(key, "a text")
        return _UNPRINTABLE.sub("\ufffd", found[:longest])

    def number(self, key: str) -> int:
        """A whole number, 0 or more."""
        found = self._values.get(key)
        is_whole = isinstance(found, int) and not isinstance(found, bool)
        if is_whole and 0 <= found < _LONGEST_NUMBER:  # type: ignore[operator]
            return int(found)  # type: ignore[arg-type]
        raise self._odd(key, "a whole number")

    def find_number(self, key: str) -> int | None:
        """A whole number, or None."""
        return None if self._values.get(key) is None else self.number(key)

    def ratio(self, key: str) -> float:
        """A number, 0 or more."""
        found = self._values.get(key)
        is_number = isinstance(found, (int, float)) and not isinstance(found, bool)
        if is_number and math.isfinite(found) and 0 <= found < 1e9:  # type: ignore[arg-type,operator]
            return float(found)  # type: ignore[arg-type]
        raise self._odd(key, "a number")

    def flag(self, key: str) -> bool:
        """True or false."""
        found = self._values.get(key)
        if isinstance(found, bool):
            return found
        raise self._odd(key, "true or false")

    def find_flag(self, key: str) -> bool:
        """True or false; false where it is missing."""
        return self._values.get(key) is not None and self.flag(key)

    def time(self, key: str) -> datetime:
        """A moment, in UTC."""
        found = self._values.get(key)
        try:
            moment = datetime.fromisoformat(str(found).replace("Z", "+00:00"))
            moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
        except (ValueError, OverflowError):
            raise self._odd(key, "a time") from None
        if isinstance(found, str) and _FIRST_YEAR <= moment.year <= _LAST_YEAR:
            return moment
        raise self._odd(key, "a time")

    def find_time(self, key: str) -> datetime | None:
        """A moment, in UTC, or None."""
        return None if self._values.get(key) in (None, "") else self.time(key)

    def part(self, key: str) -> Row:
        """An object inside."""
        found = self._values.get(key)
        if isinstance(found, dict):
            return Row(f"{self._what}, {key}", found)
        raise self._odd(key, "an object")

    def find_part(self, key: str) -> Row:
        """An object inside; an empty one where it is missing. Nova writes "" for no image."""
        if self._values.get(key) in (None, ""):
            return Row(f"{self._what}, {key}", {})
        return self.part(key)

    def find_names(self, key: str) -> list[str]:
        """A list of names; an empty one where it is missing."""
        return [] if self._values.get(key) is None else texts_in(self._values, key)

    def find_texts(self, key: str) -> dict[str, str]:
        """Keys and values of metadata; numbers and flags as texts, nothing where it is missing."""
        found = self._values.get(key)
        if found is None:
            return {}
        if not isinstance(found, dict):
            raise self._odd(key, "an object")
        if not all(isinstance(each, (str, int, float)) for each in found.values()):
            raise Unreadable(f"{self._what}: {key} holds something other than strings")
        return {str(name): str(value) for name, value in found.items()}

    def _odd(self, key: str, wanted: str) -> Unreadable:
        return Unreadable(f"{self._what}: {key} is {_kind_at(self._values, key)}, not {wanted}")


def _kind_at(values: Mapping[str, Any], key: str) -> str:
    if key not in values:
        return "missing"
    found = values[key]
    if isinstance(found, str):
        return "another string" if found else "empty"
    return _kind(found)


def _kind(value: Any) -> str:
    return _KINDS.get(type(value).__name__, "something else")
