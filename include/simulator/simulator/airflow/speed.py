"""What costs much in a process that simulates hundreds of others, and gives the same each time."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Any

import jsonschema
from jsonschema.exceptions import best_match  # type: ignore[import-untyped]  # has no types
from jsonschema.validators import validator_for  # type: ignore[import-untyped]

from openstack_maintenance.adapters import yaml_files

_sound: set[str] = set()


def validate(instance: Any, schema: Any, *args: Any, **kwargs: Any) -> None:
    """`jsonschema.validate`, which looks at the schema itself once, not for each value."""
    validator = validator_for(schema)
    text = json.dumps(schema, sort_keys=True)
    if text not in _sound:
        validator.check_schema(schema)
        _sound.add(text)
    error = best_match(validator(schema, *args, **kwargs).iter_errors(instance))
    if error is not None:
        raise error


def hurry(replace: Callable[[Any, str, Any], None]) -> None:
    """Let params and policies be read faster; what comes of them is the same."""
    replace(jsonschema, "validate", validate)
    replace(yaml_files, "TypeAdapter", _adapter_of)


@functools.cache
def _adapter_of(shape: Any) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(shape)
