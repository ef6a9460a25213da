"""Read a YAML file into a dataclass, with errors that name file, line and field."""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from collections.abc import Hashable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import TypeAdapter, ValidationError
from yaml.nodes import MappingNode, Node, SequenceNode

from openstack_maintenance.domain.errors import PolicyError

T = TypeVar("T")
Place = tuple[Hashable, ...]


@dataclasses.dataclass(frozen=True)
class Fault:
    """What is wrong with one field: its place in the file's tree, and the words for it."""

    place: Place
    text: str


def load_yaml(path: Path, shape: type[T], what: str) -> T:
    """Give the file's content as an instance of ``shape``; a field it does not know is an error.

    ``what`` names the kind of file in messages ("policy", "deployment"). A ``ValueError`` that a
    dataclass raises in ``__post_init__`` as ``field: text`` is reported at that field's line.

    Raises:
        PolicyError: the file cannot be read or is not valid; nothing is assumed in its place.
    """
    root = _parse(path, what)
    lines = dict(_lines(root, ()))
    data = yaml.safe_load(path.read_text(encoding="utf-8"))
    data = {} if data is None else data
    faults = [*_doubled_keys(root, ()), *_unknown_fields(data, shape, ())]
    if not faults:
        try:
            return TypeAdapter(shape).validate_python(data)
        except ValidationError as error:
            faults = [_as_fault(detail) for detail in error.errors(include_url=False)]
    raise _policy_error(path, what, faults, lines)


def _parse(path: Path, what: str) -> Node | None:
    try:
        root: Node | None = yaml.compose(path.read_text(encoding="utf-8"), yaml.SafeLoader)
        yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyError(
            f"{what} {path}", f"cannot be read: {error}", "Name a readable file."
        ) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f":{mark.line + 1}" if mark else ""
        raise PolicyError(
            f"{what} {path}{where}",
            f"is not YAML: {error.problem or error.context}",
            "Mend the line; often it is indentation, a tab, or a missing quote.",
        ) from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date such as 2026-02-31
        raise PolicyError(f"{what} {path}", f"is not YAML: {error}", "Mend the file.") from error
    return root


def _lines(node: Node | None, place: Place) -> Iterator[tuple[Place, int]]:
    if node is None:
        return
    if not place:
        yield place, node.start_mark.line + 1
    if isinstance(node, MappingNode):
        for key, value in node.value:
            yield (*place, key.value), key.start_mark.line + 1
            yield from _lines(value, (*place, key.value))
    elif isinstance(node, SequenceNode):
        for index, item in enumerate(node.value):
            yield (*place, index), item.start_mark.line + 1
            yield from _lines(item, (*place, index))


def _doubled_keys(node: Node | None, place: Place) -> Iterator[Fault]:
    """YAML keeps the last of two equal keys and says nothing; an operator's intent is lost."""
    if isinstance(node, MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen:
                yield Fault((*place, key.value), "is given twice")
            seen.add(key.value)
            yield from _doubled_keys(value, (*place, key.value))
    elif isinstance(node, SequenceNode):
        for index, item in enumerate(node.value):
            yield from _doubled_keys(item, (*place, index))


def _unknown_fields(data: object, shape: Any, place: Place) -> Iterator[Fault]:
    """Walk data and type side by side: pydantic lets standard dataclasses ignore extra fields."""
    if dataclasses.is_dataclass(shape) and isinstance(data, Mapping):
        known = typing.get_type_hints(shape)
        known = {field.name: known[field.name] for field in dataclasses.fields(shape)}
        for key, value in data.items():
            if key in known:
                yield from _unknown_fields(value, known[key], (*place, key))
            else:
                yield Fault((*place, key), _unknown_text(str(key), known))
        return
    if dataclasses.is_dataclass(shape) and data is not None:
        first = dataclasses.fields(shape)[0].name
        yield Fault(place, f"write it as fields, such as {{{first}: {data}}} (found {data!r})")
        return
    inner = [arg for arg in typing.get_args(shape) if arg is not Ellipsis]
    if typing.get_origin(shape) in (typing.Union, types.UnionType):
        for option in inner:
            yield from _unknown_fields(data, option, place)
    elif isinstance(data, list) and inner:
        for index, item in enumerate(data):
            yield from _unknown_fields(item, inner[0], (*place, index))
    elif isinstance(data, Mapping) and len(inner) == 2:
        for key, value in data.items():
            yield from _unknown_fields(value, inner[1], (*place, key))


def _unknown_text(key: str, known: Mapping[str, object]) -> str:
    near = get_close_matches(key, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
    return f"is not a known field ({hint})"


def _as_fault(detail: Any) -> Fault:
    place = tuple(detail["loc"])
    text = str(detail["msg"]).removeprefix("Value error, ")
    if detail["type"] == "value_error" and (match := re.match(r"([A-Za-z_][\w.]*): ", text)):
        return Fault((*place, *match[1].split(".")), text[match.end() :])
    if detail["type"] == "missing":
        return Fault(place, "is required and missing")
    if detail["type"] == "string_type" and not isinstance(detail["input"], (dict, list)):
        # YAML reads 13:00 as 780, no as False and 2026-01-01 as a date.
        unit = ", with its unit if it is a length of time" if detail["input"] is not False else ""
        return Fault(place, f"write it in quotes{unit} (YAML reads it as {detail['input']!r})")
    if detail["type"].startswith("int_"):
        text = "write a whole number"
    text = text.replace("Input should be ", "write ", 1)
    found = "" if isinstance(detail["input"], (dict, list)) else f" (found {detail['input']!r})"
    return Fault(place, f"{text[:1].lower()}{text[1:]}{found}")


def _policy_error(
    path: Path, what: str, faults: list[Fault], lines: Mapping[Place, int]
) -> PolicyError:
    told = [(_line_of(fault.place, lines), _words(fault)) for fault in faults]
    first = told[0][0]
    found = "; ".join([told[0][1], *(f"line {line}: {text}" for line, text in told[1:])])
    return PolicyError(
        f"{what} {path}:{first}", found, f"Mend {path.name} and run again; nothing was changed."
    )


def _line_of(place: Place, lines: Mapping[Place, int]) -> int:
    """The field's own line, or the nearest line above it in the tree that exists."""
    while place and place not in lines:
        place = place[:-1]
    return lines.get(place, 1)


def _words(fault: Fault) -> str:
    name = ""
    for part in fault.place:
        name += f"[{part}]" if isinstance(part, int) else f".{part}"
    return f"{name.lstrip('.')}: {fault.text}" if name else fault.text
