"""What others wrote (tenants, hosts, proxies, people), made fit to be kept, shown and counted.

PostgreSQL takes no NUL, UTF-8 takes no lone surrogate (JSON may hold both, escaped), and a message
is for a person: nothing in it is longer than a person reads. Nothing here raises.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

# PostgreSQL takes no NUL, and UTF-8 has no code for half a surrogate pair.
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_REPLACEMENT = "\ufffd"
# Deeper than anything of ours; readers of JSON, and Python itself, end somewhere, too.
_DEEPEST = 40
_CUT = "..."
# Python turns no longer number into text (sys.set_int_max_str_digits).
_MOST_BITS = 10_000
_QUOTED = 120
# Control characters, halves of surrogate pairs, and what else some readers take for a line's end.
_BREAKS = frozenset({"Cc", "Cs", "Zl", "Zp"})
_WHOLE_NUMBER = re.compile(r"[0-9]{1,18}")  # what a database's bigint takes
_SHORT = 80


def storable_text(text: str) -> str:
    """The text with U+FFFD for what PostgreSQL or UTF-8 cannot take."""
    return _UNSTORABLE.sub(_REPLACEMENT, text)


def storable(value: Any) -> Any:
    """Plain JSON of the same meaning that every database and every file takes.

    NUL and lone surrogates become U+FFFD, also in keys; what is nested too deep becomes "...";
    what is no JSON becomes its text.
    """
    return _storable(value, _DEEPEST)


def _storable(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return storable_text(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if value.bit_length() < _MOST_BITS else quoted(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)  # JSON has no infinity
    if not depth:
        return _CUT
    if isinstance(value, Mapping):
        return {str(_storable(key, 0)): _storable(each, depth - 1) for key, each in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_storable(each, depth - 1) for each in value]
    return _storable(str(value), 0)


def shortened(text: str, longest: int) -> str:
    """The text, its middle left out where it is longer than ``longest`` characters."""
    if len(text) <= longest:
        return text
    head = (longest - len(_CUT)) * 2 // 3
    tail = longest - len(_CUT) - head
    return f"{text[:head]}{_CUT}{text[len(text) - tail :]}"


def quoted(value: object, longest: int = _QUOTED) -> str:
    """A value as a message repeats it: on one line, and short, whatever it is."""
    if isinstance(value, str):
        return repr(shortened(value, longest))
    try:
        return shortened(repr(value), longest)
    except (RecursionError, ValueError):  # nested too deep; a number of too many digits
        return f"<a {type(value).__name__} that is too large to show>"


def is_one_line(text: str) -> bool:
    """Whether a text holds no line break and no other control character, by anyone's reading."""
    return text.isprintable() or not any(unicodedata.category(each) in _BREAKS for each in text)


def brief(text: object, most: int = 500) -> str:
    """Words for a message: storable, and cut where they are too long to be read."""
    said = storable_text(str(text))
    return said if len(said) <= most else f"{said[:most]} ..."


def brief_list(items: Sequence[object], most: int = 20, longest: int = 150) -> tuple[str, ...]:
    """The first of the items, each in brief, and how many more there are."""
    shown = tuple(brief(item, longest) for item in items[:most])
    more = len(items) - len(shown)
    return (*shown, f"and {more} more") if more else shown


def whole_number(text: str) -> int | None:
    """A decimal number of ASCII digits, or None: "²" and 5,000 digits are none."""
    return int(text) if _WHOLE_NUMBER.fullmatch(text) else None


def in_short(name: str) -> str:
    """A name that a tenant chose, for a message: on one line, and not too long."""
    found = "".join(each if each.isprintable() else "\ufffd" for each in name[: _SHORT + 1])
    return found if len(found) <= _SHORT else f"{found[: _SHORT - 3]}..."
