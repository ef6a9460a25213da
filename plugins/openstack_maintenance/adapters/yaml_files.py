"""Read a YAML file into a dataclass, with errors that name file, line and field."""

from __future__ import annotations

import dataclasses
import re
import stat
import types
import typing
from collections.abc import Hashable, Iterator, Mapping
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import TypeAdapter, ValidationError
from yaml.constructor import ConstructorError
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from openstack_maintenance.domain.errors import PolicyError
from openstack_maintenance.domain.foreign_text import quoted

T = TypeVar("T")
Place = tuple[Hashable, ...]

# A file written by people is smaller and flatter. A few lines of YAML can stand for any number of
# values, by aliases of aliases: what counts is what has to be walked.
_MOST_BYTES = 1024 * 1024
_MOST_NODES = 30_000
_DEEPEST = 30
# A number, a date or a truth value; 1:1:1:... is a number to the base of 60.
_LONGEST_VALUE = 100
# So many faults are named; of the rest, that there are more.
_NAMED = 20
# libyaml's parser, which PyYAML has nearly everywhere, is ten times faster.
_BASE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_STRING = "tag:yaml.org,2002:str"


@dataclasses.dataclass(frozen=True)
class Fault:
    """What is wrong with one field: its place in the file's tree, and the words for it."""

    place: Place
    text: str


class _Loader(_BASE):  # type: ignore[misc]  # which of the two it is, is known at run time only
    """PyYAML's safe loader, whose own faults with a value name the value and its line."""

    def construct_object(self, node: Node, deep: bool = False) -> Any:
        is_text = not isinstance(node, ScalarNode) or node.tag == _STRING
        if not is_text and len(node.value) > _LONGEST_VALUE:
            raise ConstructorError(problem="a value is too long", problem_mark=node.start_mark)
        try:
            return super().construct_object(node, deep)
        # For a tag, or a date, that the value does not fit it raises what Python raises there.
        except (ValueError, LookupError, AttributeError, TypeError, ArithmeticError) as error:
            found = f"{quoted(node.value)} is no value of the kind {node.tag.rpartition(':')[2]}"
            raise ConstructorError(problem=found, problem_mark=node.start_mark) from error


def load_yaml(path: Path, shape: type[T], what: str) -> T:
    """Give the file's content as an instance of ``shape``; a field it does not know is an error.

    ``what`` names the kind of file in messages ("policy", "deployment"). A ``ValueError`` that a
    dataclass raises in ``__post_init__`` as ``field: text`` is reported at that field's line.

    Raises:
        PolicyError: the file cannot be read or is not valid; nothing is assumed in its place.
    """
    root, data = _parse(path, _read(path, what), what)
    lines = dict(_lines(root, ()))
    data = {} if data is None else data
    faults = [*_doubled_keys(root, ()), *islice(_wrong_fields(data, shape, ()), _NAMED + 1)]
    if not faults:
        try:
            return TypeAdapter(shape).validate_python(data)
        except ValidationError as error:
            details = error.errors(include_url=False, include_context=False)
            faults = [_as_fault(detail) for detail in details[: _NAMED + 1]]
    raise _policy_error(path, what, faults, lines)


def _read(path: Path, what: str) -> str:
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe would never end
            raise PolicyError(
                f"{what} {path}",
                "cannot be read: it is not a regular file",
                "Name a readable file.",
            )
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
        text = content.decode("utf-8")
    except (OSError, ValueError) as error:  # ValueError: not UTF-8, or a path with NUL in it
        raise PolicyError(
            f"{what} {path}", f"cannot be read: {error}", "Name a readable file, in UTF-8."
        ) from error
    if len(content) > _MOST_BYTES:
        raise PolicyError(
            f"{what} {path}",
            f"cannot be read: it is larger than {_MOST_BYTES // 1024} KiB",
            "Name the right file: no file of this kind is that large.",
        )
    return text


def _parse(path: Path, text: str, what: str) -> tuple[Node | None, Any]:
    """The file's tree, for the lines of its fields, and its data."""
    try:
        _check_size(text)
        loader = _Loader(text)
        root: Node | None = loader.get_single_node()
        return root, loader.construct_document(root) if root else None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f":{mark.line + 1}" if mark else ""
        if isinstance(error, _TooMuch):
            raise PolicyError(
                f"{what} {path}{where}",
                f"cannot be read: {error.problem}",
                "Write it in a simpler way.",
            ) from error
        raise PolicyError(
            f"{what} {path}{where}",
            f"is not YAML: {error.problem or error.context}",
            "Fix the line. Usual causes: indentation, a tab, a missing quote.",
        ) from error
    except yaml.YAMLError as error:
        raise PolicyError(f"{what} {path}", f"is not YAML: {error}", "Fix the file.") from error


class _TooMuch(yaml.MarkedYAMLError):
    """Valid YAML that stands for more than is read."""

    def __init__(self, problem: str, event: yaml.Event) -> None:
        mark: Any = event.start_mark  # of PyYAML's own parser, or of libyaml's
        super().__init__(problem=problem, problem_mark=mark)


@dataclasses.dataclass
class _Size:
    """How many nodes there are in a part of the file, aliases written out, and how deep it is."""

    anchor: str | None
    nodes: int = 1
    depth: int = 1

    def add(self, part: _Size) -> None:
        self.nodes += part.nodes
        self.depth = max(self.depth, part.depth + 1)


def _check_size(text: str) -> None:
    """Refuse what would be too much to walk, before anything is made of it."""
    within: list[_Size] = [_Size(None)]
    known: dict[str, _Size] = {}
    total = 0
    for event in yaml.parse(text, Loader=_BASE):
        if isinstance(event, yaml.CollectionStartEvent):
            within.append(_Size(event.anchor))
            total += 1
            if len(within) > _DEEPEST:
                raise _TooMuch(f"it is nested more than {_DEEPEST} levels deep", event)
            continue
        if isinstance(event, yaml.AliasEvent):
            if event.anchor in {each.anchor for each in within}:
                raise _TooMuch(f"{quoted(event.anchor)} refers to itself", event)
            part = known.get(event.anchor or "", _Size(None))
            total += part.nodes
        elif isinstance(event, yaml.CollectionEndEvent):
            part = within.pop()
        elif isinstance(event, yaml.ScalarEvent):
            part = _Size(event.anchor)
            total += 1
        else:
            continue
        if total > _MOST_NODES:
            raise _TooMuch(f"it has, with its aliases, more than {_MOST_NODES} values", event)
        if len(within) + part.depth > _DEEPEST + 1:
            raise _TooMuch(f"it is nested more than {_DEEPEST} levels deep", event)
        within[-1].add(part)
        if part.anchor and not isinstance(event, yaml.AliasEvent):
            known[part.anchor] = part


def _lines(node: Node | None, place: Place) -> Iterator[tuple[Place, int]]:
    if node is None:
        return
    if not place:
        yield place, node.start_mark.line + 1
    if isinstance(node, MappingNode):
        for key, value in node.value:
            yield (*place, _name(key)), key.start_mark.line + 1
            yield from _lines(value, (*place, _name(key)))
    elif isinstance(node, SequenceNode):
        for index, item in enumerate(node.value):
            yield (*place, index), item.start_mark.line + 1
            yield from _lines(item, (*place, index))


def _name(key: Node) -> str:
    """A field's name; a list or a mapping in its place is refused as data."""
    return key.value if isinstance(key, ScalarNode) else "?"


def _doubled_keys(node: Node | None, place: Place) -> Iterator[Fault]:
    """YAML keeps the last of two equal keys and says nothing; an operator's intent is lost."""
    if isinstance(node, MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            name = _name(key)
            if name in seen:
                yield Fault((*place, name), "is given twice")
            seen.add(name)
            yield from _doubled_keys(value, (*place, name))
    elif isinstance(node, SequenceNode):
        for index, item in enumerate(node.value):
            yield from _doubled_keys(item, (*place, index))


def _wrong_fields(data: object, shape: Any, place: Place) -> Iterator[Fault]:
    """Walk data and type side by side, for what pydantic lets pass.

    It lets standard dataclasses ignore extra fields, and takes yes for the number 1.
    """
    if dataclasses.is_dataclass(shape) and isinstance(data, Mapping):
        known = typing.get_type_hints(shape)
        known = {field.name: known[field.name] for field in dataclasses.fields(shape)}
        for key, value in data.items():
            if key in known:
                yield from _wrong_fields(value, known[key], (*place, key))
            else:
                yield Fault((*place, key), _unknown_text(key, known))
        return
    if dataclasses.is_dataclass(shape) and data is not None:
        first = dataclasses.fields(shape)[0].name
        shown = quoted(data)
        text = data if isinstance(data, str) and len(data) < len(shown) else shown
        yield Fault(place, f"write it as fields, such as {{{first}: {text}}} (found {shown})")
        return
    if shape is int and isinstance(data, bool):
        yield Fault(place, f"write a whole number (found {data!r})")
        return
    inner = [arg for arg in typing.get_args(shape) if arg is not Ellipsis]
    if typing.get_origin(shape) in (typing.Union, types.UnionType):
        for option in inner:
            yield from _wrong_fields(data, option, place)
    elif isinstance(data, list) and inner:
        for index, item in enumerate(data):
            yield from _wrong_fields(item, inner[0], (*place, index))
    elif isinstance(data, Mapping) and len(inner) == 2:
        for key, value in data.items():
            yield from _wrong_fields(value, inner[1], (*place, key))


def _unknown_text(key: object, known: Mapping[str, object]) -> str:
    near = get_close_matches(key, known, n=1) if isinstance(key, str) and len(key) < 100 else ()
    hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
    return f"is not a known field ({hint})"


def _as_fault(detail: Any) -> Fault:
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


def _policy_error(
    path: Path, what: str, faults: list[Fault], lines: Mapping[Place, int]
) -> PolicyError:
    told = [(_line_of(fault.place, lines), _words(fault)) for fault in faults[:_NAMED]]
    first = told[0][0]
    found = "; ".join([told[0][1], *(f"line {line}: {text}" for line, text in told[1:])])
    if len(faults) > _NAMED:
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
