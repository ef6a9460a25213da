"""What Nova says to a body, or to the parameters of a URL, of the wrong shape.

Source: nova.api.validation.validators, of Nova 34.0.0.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import lru_cache
from typing import Any

import jsonschema
from jsonschema import Draft202012Validator

from simulator.cloud.refusals import BadRequest
from simulator.http.nova_schemas import Schema


def _is_regex(value: object) -> bool:
    if not isinstance(value, str):
        return True
    try:
        re.compile(value)
    except re.error:
        return False
    return bool(value)


def _is_time(value: object) -> bool:
    if not isinstance(value, str):
        return True
    try:
        datetime.fromisoformat(value.replace("Z", "+00:00"))
    except ValueError:
        return False
    return True


def is_uuid(value: object) -> bool:
    """Whether a text is a UUID; what is no text may be anything."""
    if not isinstance(value, str):
        return True
    try:
        return str(uuid.UUID(value)).replace("-", "") == value.lower().replace("-", "")
    except ValueError:
        return False


_FORMATS = jsonschema.FormatChecker(formats=())
for _name, _check in (("regex", _is_regex), ("date-time", _is_time), ("uuid", is_uuid)):
    _FORMATS.checks(_name)(_check)


def _least(
    validator: Any, minimum: float, value: Any, schema: Schema
) -> Iterator[jsonschema.ValidationError]:
    """A number may be given as text."""
    try:
        number = int(value)
    except (TypeError, ValueError):
        return
    yield from Draft202012Validator.VALIDATORS["minimum"](validator, minimum, number, schema) or ()


_Validator = jsonschema.validators.extend(Draft202012Validator, {"minimum": _least})

Shape = Callable[[int], Schema]


def check_body(shape: Shape, minor: int, body: Any) -> None:
    """Raises: BadRequest."""
    if complaint := _complaint(shape, minor, json.dumps(body), True):
        raise BadRequest(complaint)


def check_query(shape: Shape, minor: int, query: dict[str, str]) -> None:
    """Raises: BadRequest."""
    values = {name: [value] for name, value in query.items()}
    if complaint := _complaint(shape, minor, json.dumps(values), False):
        raise BadRequest(complaint)


@lru_cache(maxsize=4096)
def _complaint(shape: Shape, minor: int, text: str, is_body: bool) -> str | None:
    validator, value = _validator(shape, minor), json.loads(text)
    try:
        validator.validate(value)
    except jsonschema.ValidationError as error:
        if not error.path:
            return str(error.message)
        what = "field/attribute" if is_body else "query parameters"
        name = error.path[-1] if is_body else error.path[0]
        return f"Invalid input for {what} {name}. Value: {error.instance}. {error.message}"
    return None


@lru_cache(maxsize=1024)
def _validator(shape: Shape, minor: int) -> Any:
    return _Validator(shape(minor), format_checker=_FORMATS)
