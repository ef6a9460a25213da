"""Real answers, changed in one place or a few: what a parser must survive lies deep in them."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

ODD_TEXTS = [
    "",
    " ",
    "\0",
    "\ud800",
    "a\u2028b\u2029c\u0085d\x0be\x0cf\x1cg\x1dh\x1e",
    "²",
    "٣",
    "1" * 5000,
    "-1",
    "x" * 300,
    "x" * 5000,
    "../../os-services",
    "a b",
    "?x=1#",
    "true",
    "UNKNOWN",
    "enabled",
    "0000-00-00T00:00:00",
    "9999-12-31T23:59:59.999999-14:00",
    "0001-01-01T00:00:00+14:00",
    "2026-13-01T00:00:00Z",
    "2026-11-22T12:55:15",
    "99999-01-01",
    "anti-affinity",
    "{{ 7 * 7 }}",
    "https://u:p@h/",
    "<html>",
]
ODD_NUMBERS = [0, -1, 1, 3, 2**31, 2**63, 10**30, -(10**30), 0.5, 1e300, float("inf"), float("nan")]


def _nested(depth: int) -> Any:
    found: Any = None
    for _ in range(depth):
        found = [found]
    return found


ODD_VALUES = [
    None,
    True,
    False,
    [],
    {},
    [None],
    [{}],
    {"": None},
    [[]],
    ["x"],
    {"id": 1},
    _nested(50),
    *ODD_TEXTS,
    *ODD_NUMBERS,
]
odd_values = st.one_of(
    st.sampled_from(ODD_VALUES),
    st.text(max_size=20),
    st.integers(),
    st.recursive(
        st.sampled_from(ODD_VALUES),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
        max_leaves=4,
    ),
)
# What is no JSON at all, or more than a parser takes.
RAW = [
    b"",
    b"null",
    b"[]",
    b"{}",
    b"7",
    b'"x"',
    b"\xff\xfe",
    b"\xef\xbb\xbf{}",
    b"<html><body>Welcome</body></html>",
    b"[" * 5000,
    b'{"a":' * 5000,
    b"1" * 5000,
    b"NaN",
    b"{" + b'"a":1,' * 500 + b'"a":1}',
]


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to each value inside a JSON value, that itself first."""
    yield at
    inner = (
        value.items() if isinstance(value, dict) else enumerate(value) if _is_list(value) else ()
    )
    for key, each in inner:
        yield from places(each, (*at, key))


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


_GONE, _TWICE = object(), object()


@st.composite
def changed(draw: st.DrawFn, real: Any) -> Any:
    """A real JSON value; one to three of its places hold something else, or are gone."""
    found = copy.deepcopy(real)
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.sampled_from(list(places(found))))
        what = draw(st.sampled_from([_GONE, _TWICE]) | odd_values | odd_values)
        if not at:
            if what is _GONE or what is _TWICE:
                continue
            return what
        inner = found
        for key in at[:-1]:
            inner = inner[key]
        if what is _GONE:
            del inner[at[-1]]
        elif what is _TWICE:
            if isinstance(inner, list):
                inner.append(inner[at[-1]])
        else:
            inner[at[-1]] = copy.deepcopy(what)
        if not isinstance(found, (dict, list)):
            return found
    return found


def bodies(real: Any) -> st.SearchStrategy[bytes]:
    """Answers: mostly a changed real one, sometimes what is no answer at all."""
    written = changed(real).map(lambda value: json.dumps(value).encode())
    cut = st.tuples(written, st.integers(0, 400)).map(lambda both: both[0][: -both[1] or None])
    return st.one_of(written, written, written, cut, st.sampled_from(RAW), st.binary(max_size=50))
