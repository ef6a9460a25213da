"""Strategies for what strangers write: texts and JSON that reach deep into whoever reads them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

# What readers trip over: NUL, lone surrogates, other line ends, digits that are none, ...
_CHARS = (
    "\0\ud800\udfff\u2028\u2029\x85\x0b\x0c\x1c\x1d\x1e\n\r\t\x1b²٣１"
    "'\"`$(){}[]<>&|;:-_./\\~*?#%@!= "
)
TIMES = (
    "2026-13-01T00:00:00Z",
    "9999-12-31T23:59:59-14:00",
    "0001-01-01T00:00:00+14:00",
    "2026-11-22T01:00:00+00:00",
    "2026-11-22T01:00:00",
)
_WORDS = (*TIMES, "c01", "../c01", "-oProxyCommand=x", "{{ 7 * 7 }}", "<b>", "\ufeff", "x" * 300)

chars = st.one_of(st.sampled_from(_CHARS), st.characters(exclude_categories=()))
texts = st.one_of(st.sampled_from(_WORDS), st.text(chars, max_size=30))
numbers = st.one_of(
    st.integers(),
    st.floats(),
    st.sampled_from([10**400, -(10**400), 2**63, float("nan"), float("inf")]),
    st.just(9000).map(lambda power: 16**power),  # too long for Python to print
)
scalars = st.one_of(st.none(), st.booleans(), numbers, texts)


def _deep(depth: int) -> Any:
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


json_values = st.one_of(
    scalars,
    st.recursive(
        scalars,
        lambda inner: st.one_of(
            st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)
        ),
        max_leaves=12,
    ),
    st.sampled_from([60, 900, 5000]).map(_deep),
)


anything = st.one_of(texts, json_values)


def mutated(example: Any, values: st.SearchStrategy[Any] = anything) -> st.SearchStrategy[Any]:
    """The example, with such values in one or more of its places."""
    places = list(_places(example))
    changes = st.lists(st.tuples(st.sampled_from(places), values), min_size=1, max_size=3)
    return changes.map(lambda made: _changed(example, made))


def _places(value: Any, place: tuple[Any, ...] = ()) -> Any:
    yield place
    items = value.items() if isinstance(value, dict) else ()
    items = enumerate(value) if isinstance(value, list) else items
    for key, each in items:
        yield from _places(each, (*place, key))


def _changed(value: Any, changes: list[tuple[tuple[Any, ...], Any]]) -> Any:
    for place, new in changes:
        value = _with(value, place, new)
    return value


def _with(value: Any, place: tuple[Any, ...], new: Any) -> Any:
    if not place:
        return new
    key, *rest = place
    if isinstance(value, dict):
        return {**value, key: _with(value.get(key), tuple(rest), new)}
    if isinstance(value, list) and isinstance(key, int) and key < len(value):
        return [*value[:key], _with(value[key], tuple(rest), new), *value[key + 1 :]]
    return value
