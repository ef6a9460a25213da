"""Text and JSON from elsewhere, as databases, files, logs and people can take them."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping
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


def storable(value: Any) -> Any:
    """Plain JSON of the same meaning that every database and every file takes.

    NUL and lone surrogates become U+FFFD, also in keys; what is nested too deep becomes "...";
    what is no JSON becomes its text.
    """
    return _storable(value, _DEEPEST)


def _storable(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return _UNSTORABLE.sub(_REPLACEMENT, value)
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
