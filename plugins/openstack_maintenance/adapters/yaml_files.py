"""Read a YAML file into a dataclass, with errors that name file, line and field."""

from __future__ import annotations

import dataclasses
import stat
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import TypeAdapter, ValidationError
from yaml.constructor import ConstructorError
from yaml.nodes import Node, ScalarNode

from openstack_maintenance.adapters.yaml_faults import (
    NAMED,
    as_fault,
    doubled_keys,
    lines_of,
    policy_error,
    wrong_fields,
)
from openstack_maintenance.domain.errors import PolicyError
from openstack_maintenance.domain.foreign_text import quoted

T = TypeVar("T")

# A file written by people is smaller and flatter. A few lines of YAML can stand for any number of
# values, by aliases of aliases: what counts is what has to be walked.
_MOST_BYTES = 1024 * 1024
_MOST_NODES = 30_000
_DEEPEST = 30
# A number, a date or a truth value; 1:1:1:... is a number to the base of 60.
_LONGEST_VALUE = 100
# libyaml's parser, which PyYAML has nearly everywhere, is ten times faster.
_BASE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_STRING = "tag:yaml.org,2002:str"


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
    lines = dict(lines_of(root, ()))
    data = {} if data is None else data
    faults = [*doubled_keys(root, ()), *islice(wrong_fields(data, shape, ()), NAMED + 1)]
    if not faults:
        try:
            return TypeAdapter(shape).validate_python(data)
        except ValidationError as error:
            details = error.errors(include_url=False, include_context=False)
            faults = [as_fault(detail) for detail in details[: NAMED + 1]]
    raise policy_error(path, what, faults, lines)


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
