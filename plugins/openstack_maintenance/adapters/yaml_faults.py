"""What is wrong in a YAML file, field by field, and the words and the line for it."""

from __future__ import annotations

import dataclasses
import functools
import re
import types
import typing
from collections.abc import Hashable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from openstack_maintenance.domain.errors import PolicyError
from openstack_maintenance.domain.foreign_text import quoted

Place = tuple[Hashable, ...]
# So many faults are named; of the rest, that there are more.
NAMED = 20


@dataclasses.dataclass(frozen=True)
class Fault:
    """What is wrong with one field: its place in the file's tree, and the words for it."""

    place: Place
    text: str


def lines_of(node: Node | None, place: Place) -> Iterator[tuple[Place, int]]:
    """The line on which each place of the file's tree begins."""
    if node is None:
        return
    if not place:
        yield place, node.start_mark.line + 1
    if isinstance(node, MappingNode):
        for key, value in node.value:
            yield (*place, _name(key)), key.start_mark.line + 1
            yield from lines_of(value, (*place, _name(key)))
    elif isinstance(node, SequenceNode):
        for index, item in enumerate(node.value):
            yield (*place, index), item.start_mark.line + 1
            yield from lines_of(item, (*place, index))


def _name(key: Node) -> str:
    """A field's name; a list or a mapping in its place is refused as data."""
    return key.value if isinstance(key, ScalarNode) else "?"


def doubled_keys(node: Node | None, place: Place) -> Iterator[Fault]:
    """YAML keeps the last of two equal keys and says nothing; an operator's intent is lost."""
    if isinstance(node, MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            name = _name(key)
            if name in seen:
                yield Fault((*place, name), "is given twice")
            seen.add(name)
            yield from doubled_keys(value, (*place, name))
    elif isinstance(node, SequenceNode):
        for index, item in enumerate(node.value):
            yield from doubled_keys(item, (*place, index))


def wrong_fields(data: object, shape: Any, place: Place) -> Iterator[Fault]:
    """Walk data and type side by side, for what pydantic lets pass.

    It lets standard dataclasses ignore extra fields, and takes yes for the number 1.
    """
    if dataclasses.is_dataclass(shape) and isinstance(data, Mapping):
        yield from _wrong_in_fields(data, shape, place)
        return
    if dataclasses.is_dataclass(shape) and data is not None:
        yield _no_fields(data, shape, place)
        return
    if shape is int and isinstance(data, bool):
        yield Fault(place, f"write a whole number (found {data!r})")
        return
    inner = [arg for arg in typing.get_args(shape) if arg is not Ellipsis]
    if typing.get_origin(shape) in (typing.Union, types.UnionType):
        for option in inner:
            yield from wrong_fields(data, option, place)
    elif isinstance(data, list) and inner:
        for index, item in enumerate(data):
            yield from wrong_fields(item, inner[0], (*place, index))
    elif isinstance(data, Mapping) and len(inner) == 2:
        for key, value in data.items():
            yield from wrong_fields(value, inner[1], (*place, key))


def _wrong_in_fields(data: Mapping[Any, object], shape: Any, place: Place) -> Iterator[Fault]:
    known = _types_of(shape)
    for key, value in data.items():
        if key in known:
            yield from wrong_fields(value, known[key], (*place, key))
        else:
            yield Fault((*place, key), _unknown_text(key, known))


@functools.cache
def _types_of(shape: Any) -> dict[str, Any]:
    """The types of a dataclass' fields: Python reads their text anew each time it is asked."""
    hints = typing.get_type_hints(shape)
    return {field.name: hints[field.name] for field in dataclasses.fields(shape)}


def _no_fields(data: object, shape: Any, place: Place) -> Fault:
    first = dataclasses.fields(shape)[0].name
    shown = quoted(data)
    text = data if isinstance(data, str) and len(data) < len(shown) else shown
    return Fault(place, f"write it as fields, such as {{{first}: {text}}} (found {shown})")


def _unknown_text(key: object, known: Mapping[str, object]) -> str:
    near = get_close_matches(key, known, n=1) if isinstance(key, str) and len(key) < 100 else ()
    hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
    return f"is not a known field ({hint})"


def as_fault(detail: Any) -> Fault:
    """An error of pydantic in an operator's words."""
    place = tuple(detail["loc"])
    text = str(detail["msg"]).removeprefix("Value error, ")
    given = detail["input"]
    if detail["type"] == "value_error" and (match := re.match(r"([A-Za-z_][\w.]*): ", text)):
        return Fault((*place, *match[1].split(".")), text[match.end() :])
    if detail["type"] == "missing":
        return Fault(place, "is required and missing")
    if detail["type"] == "string_type" and not isinstance(given, (dict, list)):
        # YAML reads 13:00 as 780, no as False and 2026-01-01 as a date.
        unit = ", with its unit if it is a length of time" if given is not False else ""
        return Fault(place, f"write it in quotes{unit} (YAML reads it as {quoted(given)})")
    if detail["type"].startswith("int_") or detail["type"] == "finite_number":
        text = "write a whole number"
    text = text.replace("Input should be ", "write ", 1)
    found = "" if isinstance(given, (dict, list)) else f" (found {quoted(given)})"
    return Fault(place, f"{text[:1].lower()}{text[1:]}{found}")


def policy_error(
    path: Path, what: str, faults: list[Fault], lines: Mapping[Place, int]
) -> PolicyError:
    """All faults of a file in one error, at the first one's line."""
    told = [(_line_of(fault.place, lines), _words(fault)) for fault in faults[:NAMED]]
    first = told[0][0]
    found = "; ".join([told[0][1], *(f"line {line}: {text}" for line, text in told[1:])])
    if len(faults) > NAMED:
        found += "; and more"
    return PolicyError(
        f"{what} {path}:{first}", found, f"Fix {path.name} and run again; nothing was changed."
    )


def _line_of(place: Place, lines: Mapping[Place, int]) -> int:
    """The field's own line, or the nearest line above it in the tree that exists."""
    while place and place not in lines:
        place = place[:-1]
    return lines.get(place, 1)


def _words(fault: Fault) -> str:
    name = ""
    for part in fault.place:
        name += (
            f"[{part}]"
            if isinstance(part, int)
            else f".{part if _is_short(part) else quoted(part)}"
        )
    return f"{name.lstrip('.')}: {fault.text}" if name else fault.text


def _is_short(part: object) -> bool:
    return isinstance(part, str) and part.isprintable() and len(part) < 100
